"""`python -m benchmarks.gpu --out DIR [--minutes N] [--only STEP] [--tiny]`: measure a machine with one GPU.

What `memgen doctor --gpu` measures, with where the time of a pass goes, and runs as a user starts them. DIR/gpu.json
holds every measurement as soon as it was made. Started again with the same DIR, the command makes those that are
missing. Without a GPU it refuses, but with `--tiny`: small models on the CPU, to try the script itself.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.gpu import command, traced
from memgen.doctor.card import measure as doctors
from memgen.doctor.card.bench import Bench
from memgen.doctor.card.measure import Step
from memgen.doctor.card.sizes import full, tiny
from memgen.stop import die_with_parent

_FIRST = ("card", "faithful", "speed", "stages")
STEPS = {
    **{name: doctors.STEPS[name] for name in _FIRST},
    "traced": Step(0.5, traced.run),
    "large": Step(0.5, doctors.STEPS["large"].run),
    "command": Step(0.6, command.run),
    "batching": doctors.STEPS["batching"],
}
"""By how much they are worth."""


def main(arguments: list[str] | None = None) -> int:
    """Measure in a process of its own, again and again until all is measured or the time is up."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="gpu.json goes there")
    parser.add_argument("--minutes", type=float, default=8.0, help="no measurement begins after so many; default 8")
    parser.add_argument("--only", choices=STEPS, action="append", metavar="STEP", help=f"of {', '.join(STEPS)}")
    parser.add_argument("--tiny", action="store_true", help="small models, on the CPU where there is no GPU")
    parser.add_argument("--until", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    until = given.until or time.time() + 60 * given.minutes
    if given.work is not None:
        die_with_parent()
        return measure(given.out / "gpu.json", until, given.only or list(STEPS), given.tiny, given.work)
    passed_on = ["--out", str(given.out), "--until", str(until), *(["--tiny"] if given.tiny else [])]
    passed_on += [word for step in given.only or [] for word in ("--only", step)]
    with tempfile.TemporaryDirectory(prefix="memgen-gpu-") as work:
        return doctors.in_a_process(["benchmarks.gpu", *passed_on, "--work", work], until, _say)


def measure(file: Path, until: float, steps: list[str], small: bool, work: Path) -> int:
    """Make the measurements of these steps in this process."""
    if not torch.cuda.is_available() and not small:
        print(f"error: torch {torch.__version__} sees no GPU here; --tiny tries the script on the CPU", file=sys.stderr)
        return 2
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    bench = Bench(file, device, tiny() if small else full(), until, work, say=_say)
    doctors.measure(bench, {name: STEPS[name] for name in steps})
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
