"""`python -m benchmarks.learning --seed N [--quick]`: does the pipeline learn, with controls, on held-out questions.

Each step is a run of its own under MEMGEN_HOME/learning and stays there: the same command goes on where it ended. When
all steps of a seed are done (about 100 minutes on 2 cores, 15 with `--quick`) its answers are written to docs/learning/
(`--quick`: beside the runs, as it measures on the validation split, for tuning). `--table` prints the paired table of
all seeds that are there.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.learning import record
from benchmarks.learning.plan import FULL, QUICK, STEPS
from benchmarks.learning.seed import run_seed
from benchmarks.learning.table import table
from memgen.contract.home import home_of_environment

DATA = Path(__file__).parents[2] / "docs" / "learning"


def main(arguments: list[str] | None = None) -> int:
    """Run a seed, or print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.learning", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--seed", type=int, metavar="N", help="run this seed, or go on with it")
    what.add_argument("--table", action="store_true", help="print the table of all seeds in docs/learning")
    parser.add_argument("--quick", action="store_true", help="small, on validation questions")
    parser.add_argument("--until", choices=[step.name for step in STEPS], metavar="STEP", help="stop after this step")
    given = parser.parse_args(arguments)
    home = home_of_environment()
    if given.table:
        print(table(home / "learning" if given.quick else DATA))
        return 0
    scale, name = (QUICK, "quick") if given.quick else (FULL, "full")
    folder = home / "learning" / f"{name}-{given.seed}"
    done = run_seed(scale, given.seed, folder, home, given.until)
    if len(done) == len(STEPS):
        path = (home / "learning" if given.quick else DATA) / f"seed-{given.seed}.jsonl"
        record.write(path, scale, given.seed, folder, done)
        print(f"recorded in {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
