"""`python -m tests.faults [--only NAME ...] [--no-soak] [--seed N]`: make every fault and see that it is survived.

Prints `survived NAME in N s (limit M s)` for each and a last line with the count. Exit code 1 if one was not survived.
"""

import argparse
import json
import logging
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.conftest import GOLDEN, TINY
from tests.faults import life
from tests.faults.catalogue import FAULTS
from tests.faults.house import House
from tests.faults.soak import LIMIT as SOAK_LIMIT
from tests.faults.soak import soak

SEED = 20261124
HISTORIES_LIMIT = 300.0  # seconds


def main() -> int:
    """Run the faults; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[one.name for one in FAULTS], default=[])
    parser.add_argument("--no-soak", action="store_true", help="leave out random histories and the soak")
    parser.add_argument("--seed", type=int, default=SEED, help="of the soak's faults")
    given = parser.parse_args()
    faults = [one for one in FAULTS if not given.only or one.name in given.only]
    chosen = [one.name for one in faults]
    logging.getLogger("backend").setLevel(logging.ERROR)  # random histories lose attempts by the hundred
    began, failed = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="memgen-faults-") as folder:
        presets = Path(folder) / "presets.json"
        presets.write_text(json.dumps([{"name": TINY, "folder": str(GOLDEN / "tiny_base")}]))
        house = House(Path(folder) / "home", presets)
        house.up()
        try:
            for one in faults:
                try:
                    one.run(house)
                except Exception:
                    traceback.print_exc()
                    failed.append(one.name)
                    print(f"NOT survived {one.name}", flush=True)
                    continue
                print(f"survived {one.name} in {house.seconds:.1f} s (limit {one.limit:.0f} s)", flush=True)
            if not given.no_soak and not given.only:
                for name, limit, work in (
                    ("random_histories", HISTORIES_LIMIT, life.explore),
                    ("soak", SOAK_LIMIT, lambda: soak(house, given.seed)),
                ):
                    chosen.append(name)
                    start = time.monotonic()
                    try:
                        said = work()
                    except Exception:
                        traceback.print_exc()
                        failed.append(name)
                        print(f"NOT survived {name} (seed {given.seed})", flush=True)
                        continue
                    taken = time.monotonic() - start
                    print(f"survived {name} in {taken:.1f} s (limit {limit:.0f} s): {said}", flush=True)
        finally:
            house.close()
    count = len(chosen) - len(failed)
    print(f"{count} of {len(chosen)} faults survived in {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
