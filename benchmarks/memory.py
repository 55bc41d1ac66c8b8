"""Peak memory of loading: base with both adapters against the base alone, each in a process of its own.

`python -m benchmarks.memory base|woven MODEL` loads one and prints the peak of its resident memory in MiB.
"""

import subprocess
import sys

from benchmarks.machine import peak_resident
from benchmarks.ratio import Ratio, Side, measure
from benchmarks.setup import plain, woven

ROUNDS, LIMIT = 3, 1.15


def run(name: str) -> Ratio:
    """Measure; a new process has nothing to warm up."""
    return measure(loading("woven", name), loading("base", name), ROUNDS, LIMIT, warm_up=False)


def loading(what: str, name: str) -> Side:
    """MiB at the peak of a process that loads something."""

    def measured() -> float:
        command = [sys.executable, "-m", "benchmarks.memory", what, name]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return float(done.stdout.splitlines()[-1])

    return measured


if __name__ == "__main__":
    kept = {"base": plain, "woven": woven}[sys.argv[1]](sys.argv[2])
    print(peak_resident() / 2**20)
