"""`python -m benchmarks.gpu --out DIR [--minutes N] [--only STEP] [--tiny]`: measure a machine with one GPU.

DIR/gpu.json holds every measurement as soon as it was made. Started again with the same DIR, the command makes those
that are missing. Without a GPU it refuses, but with `--tiny`: small models on the CPU, to try the script itself.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STEPS = {  # by how much they are worth; each with the share that it may have of the time left when it begins
    "card": 0.1,
    "faithful": 0.2,
    "speed": 0.4,
    "stages": 0.45,
    "traced": 0.5,
    "large": 0.5,
    "command": 0.6,
    "batching": 1.0,
}
STARTS = 6  # of the measuring process, which ends when a measurement hangs or leaves the GPU unusable


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
        return measure(given.out / "gpu.json", until, given.only or list(STEPS), given.tiny, given.work)
    passed_on = ["--out", str(given.out), "--until", str(until), *(["--tiny"] if given.tiny else [])]
    passed_on += [word for step in given.only or [] for word in ("--only", step)]
    code = 1
    with tempfile.TemporaryDirectory(prefix="memgen-gpu-") as work:
        for _ in range(STARTS):
            code = subprocess.call([sys.executable, "-m", "benchmarks.gpu", *passed_on, "--work", work])
            if code in (0, 2) or time.time() > until:
                break
            print(f"the measuring process ended with {code}: starting it again", flush=True)
    return code


def measure(file: Path, until: float, steps: list[str], small: bool, work: Path) -> int:
    """Make the measurements of these steps in this process."""
    import torch

    from benchmarks.gpu import batching, card, command, faithful, large, speed, stages, traced
    from benchmarks.gpu.bench import Bench
    from benchmarks.gpu.sizes import full, tiny

    if not torch.cuda.is_available() and not small:
        print(f"error: torch {torch.__version__} sees no GPU here; --tiny tries the script on the CPU", file=sys.stderr)
        return 2
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    bench = Bench(file, device, tiny() if small else full(), until, work)
    rooms = {
        "card": card.run,
        "faithful": faithful.run,
        "speed": speed.run,
        "stages": stages.run,
        "traced": traced.run,
        "large": large.run,
        "command": command.run,
        "batching": batching.run,
    }
    for step in steps:
        bench.begin(step, STEPS[step])
        bench.attempt(rooms[step])
    return 0


if __name__ == "__main__":
    sys.exit(main())
