"""Peak memory of loading: base with both adapters against the base alone, each in a process of its own.

`python -m benchmarks.memory base|woven MODEL` loads one and prints the peak of its resident memory in MiB.
"""

import resource
import subprocess
import sys
from pathlib import Path

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


def peak() -> float:
    """MiB that this process had resident at most. Linux' ru_maxrss would count what its parent had at the fork, too."""
    status = Path("/proc/self/status")
    if status.exists():
        return (
            next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 2**10
        )
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    kept = {"base": plain, "woven": woven}[sys.argv[1]](sys.argv[2])
    print(peak())
