"""`python -m memgen.doctor.card FILE --until T --work DIR`: the process that measures; doctor starts it."""

import argparse
import sys
from pathlib import Path

import torch

from memgen.doctor.card.bench import Bench
from memgen.doctor.card.measure import STEPS, measure
from memgen.doctor.card.sizes import full, tiny
from memgen.stop import die_with_parent


def main(arguments: list[str] | None = None) -> None:
    """Make the measurements that FILE does not hold."""
    parser = argparse.ArgumentParser(prog="python -m memgen.doctor.card", description=__doc__)
    parser.add_argument("file", type=Path, help="JSON of all measurements")
    parser.add_argument("--until", type=float, required=True, help="no measurement begins after; seconds since 1970")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is written on the way")
    parser.add_argument("--device", default="cuda", help="another than a GPU is measured with small models")
    given = parser.parse_args(arguments)
    die_with_parent()
    device = torch.device(given.device)
    sizes = full() if device.type == "cuda" else tiny()
    measure(Bench(given.file, device, sizes, given.until, given.work, say=_say), STEPS)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
