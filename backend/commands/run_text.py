"""A run as lines of text, as it goes on."""

import time
from collections.abc import Callable

from backend.api.client import Client
from backend.api.schemas import RunDetail
from backend.launcher.terminal import say
from memgen.contract.status import RUN_ENDED


def follow_run(api: Client, run_id: int, tell: Callable[[str], None] = say) -> RunDetail:
    """Tell the progress and the alarms of a run until it has ended."""
    said, alarms = "", 0
    while True:
        run = api.run(run_id)
        line = _line(run)
        if line != said:
            tell(line)
            said = line
        for alarm in run.alarms[alarms:]:
            tell(f"alarm: {alarm.title}. {alarm.fact} {alarm.remedy}")
        alarms = len(run.alarms)
        if run.status in RUN_ENDED:
            if run.failure:
                tell(f"{run.failure.message} {run.failure.way_out}")
            return run
        time.sleep(1)


def _line(run: RunDetail) -> str:
    progress = run.progress
    line = f"run {run.id} {run.status}"
    if run.waits_for:
        line += f": {run.waits_for}"
    if progress and progress.total:
        line += f": {progress.phase} {progress.done:.0f}/{progress.total:.0f} {progress.unit}"
    elif progress:
        line += f": {progress.phase}"
    if "accuracy" in run.summary:
        line += f", accuracy {100 * run.summary['accuracy']:.1f} %"
    return line
