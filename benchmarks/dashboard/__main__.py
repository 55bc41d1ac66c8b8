"""`python -m benchmarks.dashboard --json FILE [--quick] [--only PART]`: the dashboard with 10,000 runs.

A real backend, a real dashboard and a real browser over a home that is filled once and kept (MEMGEN_HOME, below
`bench-dashboard`): 10,000 runs, 10^6 points in one of them, a log of 100 MB, two evaluations of 1,319 answers.

`paint`: seconds until the content of each page can be seen, and that over an empty page of the same app, which is
opened in turn with it (goal: at most 2). Both are opened several times, and the fastest counts: the rest is what other
processes took from the machine. `cost`: requests at the backend, bytes of its replies and bytes that the browser gets,
for a page that is opened and for one that is drawn anew. `idle`, `live`: the same a minute, of a page that nobody
touches, without and beside a run under way. `tabs`: of 20 tabs on one live run (goal: at most 60 requests a minute).
`try`: a session of the shipped checkpoint on the demo's model, with a worker and a home of its own (the first time the
model is fetched): what is said while it loads, and seconds from the click on *Ask* to the first token that can be seen
(goal for the second question on two cores: at most 2).
Each part is in the file as soon as it is measured, and is not measured again. Exit code 1 if a goal is missed.
"""

import argparse
import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks import machine
from benchmarks.dashboard.home import filled
from benchmarks.dashboard.house import open_house
from benchmarks.dashboard.measure import PARTS, Bench, Figures, missed, say
from benchmarks.dashboard.plan import FULL, QUICK
from benchmarks.dashboard.visitor import VIEWPORT, Visitor, chromium
from memgen.contract.home import home_of_environment


def main(arguments: list[str] | None = None) -> int:
    """Measure what is not in the file yet, print it, and say by the exit code whether the goals are met."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dashboard", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the figures go")
    parser.add_argument("--quick", action="store_true", help="small, to see that it works")
    parser.add_argument("--only", choices=PARTS, action="append", metavar="PART", help=f"of {', '.join(PARTS)}")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what was started, too
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing is fetched, and nobody waits for a hub
    scale = QUICK if given.quick else FULL
    home = home_of_environment() / ("bench-dashboard-quick" if given.quick else "bench-dashboard")
    figures: Figures = json.loads(given.json.read_text(encoding="utf-8")) if given.json.exists() else {}
    if figures.get("scale", asdict(scale)) != asdict(scale):
        parser.error(f"{given.json} has figures of another size; name another file")
    figures |= {"scale": asdict(scale), **machine.describe()}
    say(f"filling {home}")
    numbers = filled(home, scale)
    with open_house(home) as house, chromium() as browser:
        visitor = Visitor(house, browser.new_context(viewport=VIEWPORT))
        bench = Bench(house, visitor, numbers, scale, figures, given.json)
        for part in given.only or PARTS:
            PARTS[part](bench)
    return tell(figures)


def tell(figures: Figures) -> int:
    """Print the figures and what misses its goal; 1 where something does."""
    for name, paint in figures.get("paint", {}).items():
        cost = figures.get("cost", {}).get(name, {})
        print(
            f"{name:20} {paint['seconds']:6.2f} s  {paint['ratio']:5.2f} of an empty page  "
            f"{cost.get('requests', 0):3.0f} requests, {cost.get('reply_bytes', 0):9,.0f} bytes; "
            f"drawn anew {cost.get('rerun_requests', 0):3.0f}, {cost.get('rerun_reply_bytes', 0):9,.0f}"
        )
    if (tabs := figures.get("tabs")) is not None:
        asked = f"{tabs['requests']:.0f} requests a minute, {tabs['reply_bytes']:,.0f} bytes"
        print(f"{tabs['tabs']} tabs on a live run: {asked}")
    if (tried := figures.get("try")) is not None:
        first, second = tried["first_token_seconds"]
        loaded = f"loaded after {tried['loaded_seconds']:.1f} s"
        print(f"Try on the demo's model: {loaded}, first tokens after {first:.2f} and {second:.2f} s")
    short = missed(figures)
    for line in short:
        print(f"missed: {line}")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
