"""`python -m tests.golden DIR... [--json FILE]`: compare our method with golden folders.

Prints the worst difference of each quantity beside its limit. Exit code 0 only if every one holds, 2 for a folder that
is none.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from memgen.doctor.card.golden import Difference, compare


def main(arguments: list[str] | None = None) -> int:
    """Compare, print, and say by the exit code whether all holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the differences there too")
    given = parser.parse_args(arguments)
    for folder in given.folders:
        if not (folder / "golden.json").exists():
            print(f"error: {folder} holds no golden.json; name folders such as tests/golden/a", file=sys.stderr)
            return 2
    found: dict[str, list[Difference]] = {}
    for folder in given.folders:
        found[str(folder)] = compare(folder)
        print(folder)
        for one in found[str(folder)]:
            print(f"  {'ok  ' if one.holds else 'FAIL'} {one.quantity:32} {one.worst:9.2e}  limit {one.limit:.0e}")
    if given.json:
        given.json.write_text(
            json.dumps({name: [asdict(one) | {"holds": one.holds} for one in all_] for name, all_ in found.items()})
        )
    return 0 if all(one.holds for differences in found.values() for one in differences) else 1


if __name__ == "__main__":
    sys.exit(main())
