"""`python -m benchmarks.service --json FILE [--quick] [--without-mlflow]`: the service with 10,000 runs, 10^7 metrics.

With 20 pages that poll and 4 supervisors that report: seconds (95th percentile) of the list of runs, of one run's
metrics, of a submission, and from a trainer's print to the API; then metrics per second at full speed; then 200 reads
at once on each route (`burst`: seconds of the slowest; `burst_stop`, `burst_beat`: of a stop and of heartbeats that
come in meanwhile; `burst_refused`: how many did not answer 200). An MLflow tracking server on SQLite, installed into
MEMGEN_HOME for this alone, does the same in the same run as far as it can; ratios are theirs over ours (of rates ours
over theirs), so more than 1 is in our favour. `--quick` is small, to see that it works.

`--large [--runs N] [--only PART]`: our side alone with 100,000 runs (or N), 100 points in each, 100 workers that report
and 50 tabs that poll. Seconds (95th percentile) of every list, alone and beside all these, of submissions and stops;
start, reconciler, ingestion, backup and deletion; then more workers and more tabs until something is refused or late.
The home is filled once and kept (MEMGEN_HOME, below `bench-large-N`). Each figure is in the file as soon as it is there
and is not measured again. Exit code 1 if a list alone takes more than 0.1 s.
"""

import argparse
import json
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import machine
from benchmarks.ports import free_port
from benchmarks.service.burst import Request, bursts
from benchmarks.service.large.command import measure, missed, table
from benchmarks.service.large.measure import PARTS
from benchmarks.service.large.plan import LARGE, SMALL
from benchmarks.service.load import ingest_rate, load
from benchmarks.service.ours import Ours
from benchmarks.service.plan import FULL, QUICK, Scale, p95
from benchmarks.service.theirs import VERSION, Theirs
from memgen.contract.home import home_of_environment

SHARED = ("list_runs", "list_filtered", "read_metric")
SHARED_BURSTS = tuple(f"burst_{key}" for key in SHARED)


def main() -> int:
    """Measure both sides and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.service", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the figures go")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--without-mlflow", action="store_true")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--runs", type=int, metavar="N", help="with --large: another number of runs")
    parser.add_argument("--only", choices=PARTS, action="append", metavar="PART", help=f"of {', '.join(PARTS)}")
    given = parser.parse_args()
    if given.large:
        return measure_large(given.json, given.quick, given.runs, given.only or [])
    scale = QUICK if given.quick else FULL
    folder = home_of_environment() / "bench-service"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "home", ignore_errors=True)
    figures: dict[str, object] = {"scale": vars(scale), "mlflow": VERSION, **machine.describe()}
    ours = measure_ours(Ours(folder, free_port(), scale), scale, say)
    theirs = {} if given.without_mlflow else measure_theirs(Theirs(folder, free_port(), scale), scale, say)
    ratios = {key: theirs[key] / ours[key] for key in (*SHARED, *SHARED_BURSTS) if theirs}
    if theirs:
        ratios["ingest"] = ours["ingest"] / theirs["ingest"]
    figures |= {"ours": ours, "theirs": theirs, "ratios": ratios}
    given.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    for key, own in ours.items():
        beside = f" | MLflow {theirs[key]:12.4f} | ratio {ratios[key]:7.1f}" if key in ratios else ""
        print(f"{key:16} {own:12.4f}{beside}")
    return 0


def measure_large(file: Path, quick: bool, runs: int | None, only: Sequence[str]) -> int:
    """Measure our side at its largest and print the tables; 1 if a list misses its goal."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what was started, too
    scale = SMALL if quick else LARGE
    scale = scale if runs is None else scale.of_runs(runs)
    folder = home_of_environment() / f"bench-large-{scale.runs}"
    folder.mkdir(parents=True, exist_ok=True)
    figures = measure(scale, file, folder, only, say)
    print(table(figures))
    short = missed(figures)
    for line in short:
        print(f"missed: {line}")
    return 1 if short else 0


def measure_ours(ours: Ours, scale: Scale, tell: Callable[[str], None]) -> dict[str, float]:
    """Figures of our side: seconds, and metrics per second."""
    tell("filling our database")
    ours.fill()
    ours.start()
    try:
        with load(ours) as wrong:
            found = {name: p95(getattr(ours, name), scale.asked) for name in SHARED}
            found["read_all_metrics"] = p95(ours.read_all_metrics, scale.asked)
            found["submit"] = p95(ours.submit, scale.asked)
            found["print_to_api"] = ours.log_delay()
        if wrong:
            raise RuntimeError(f"{len(wrong)} requests of the load failed: {wrong[0]}")
        found["ingest"] = ingest_rate(ours, scale.seconds)
        tell("200 requests at once on each route")
        found |= burst_figures(ours.port, ours.burst_routes(), ours.urgent)
        found["locked"] = ours.locked()
    finally:
        ours.stop()
    return found


def measure_theirs(theirs: Theirs, scale: Scale, tell: Callable[[str], None]) -> dict[str, float]:
    """The same of MLflow, as far as it has it."""
    tell("installing MLflow")
    theirs.install()
    tell("filling MLflow's database")
    theirs.fill()
    theirs.start()
    try:
        with load(theirs) as wrong:
            found = {name: p95(getattr(theirs, name), scale.asked) for name in SHARED}
        found["failed"] = float(len(wrong))
        found["ingest"] = ingest_rate(theirs, scale.seconds)
        tell("200 requests at once on each route of MLflow that has a counterpart")
        found |= burst_figures(theirs.port, theirs.burst_routes(), list)
    finally:
        theirs.stop()
    return found


def burst_figures(
    port: int, routes: Mapping[str, Callable[[int], Request]], urgent: Callable[[], Sequence[Request]]
) -> dict[str, float]:
    """Seconds of the slowest request of a burst on any route and on those that both sides have, and who was hurt."""
    done = bursts(port, routes, urgent)
    figures = {f"burst_{name}": done[name].slowest for name in SHARED}
    figures["burst"] = max(one.slowest for one in done.values())
    figures["burst_refused"] = float(
        sum(count for one in done.values() for s, count in one.statuses.items() if s != 200)
    )
    if replies := [one.urgent for one in done.values() if one.urgent]:
        if any(status != 200 for one in replies for status, _ in one):
            raise RuntimeError(f"what is urgent was refused: {replies}")
        figures["burst_stop"] = max(one[0][1] for one in replies)
        figures["burst_beat"] = max(seconds for one in replies for _, seconds in one[1:])
    return figures


def say(line: str) -> None:
    """A line about what is being done."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
