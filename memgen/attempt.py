"""One start of a run in this process, from its first event to its end. No torch before the stage needs it."""

import math
import os
import sys
import time
import traceback

from pydantic import BaseModel, ConfigDict

from memgen.card_errors import CARD_FAILED, ERROR, OUT_OF_MEMORY, failure_code
from memgen.contract import ways_out
from memgen.contract.config import RunConfig
from memgen.contract.data_sets.folders import folder_of
from memgen.contract.data_sets.registry import data_set
from memgen.contract.errors import BadInput, Diverged
from memgen.contract.events import Failed
from memgen.contract.home import home_of_environment
from memgen.contract.presets import get_preset
from memgen.contract.rundir import EXIT_BAD_INPUT, EXIT_DONE, EXIT_ERROR, EXIT_STOPPED, RunDir, write_json
from memgen.contract.trying import SessionDir
from memgen.monitor import Monitor
from memgen.parallel.team import Team
from memgen.stages.context import Context
from memgen.stages.stages import run_stage
from memgen.stop import Stopped, StopRequest

WAYS_OUT = {
    OUT_OF_MEMORY: ways_out.OUT_OF_MEMORY,
    CARD_FAILED: "`python -m memgen probe` tells whether the GPU works; `nvidia-smi` and `dmesg` tell more.",
}


class Ending(BaseModel):
    """How an attempt ended."""

    model_config = ConfigDict(frozen=True)

    exit_code: int
    failed: Failed | None = None
    """What to say of it, if it failed."""


def work(
    config: RunConfig, run_dir: RunDir, earlier: RunDir | None, monitor: Monitor, stop: StopRequest, team: Team
) -> Ending:
    """Run the stage and leave its result; a failure is returned and not yet told."""
    try:
        folder = folder_of(data_set(config.data), os.environ)
        context = Context(run_dir, earlier, home_of_environment(), folder, monitor, stop, team)
        monitor.started(config.stage, os.getpid(), earlier.path.name if earlier else None)
        result = _finite(run_stage(config, context), monitor)
        if team.is_main:
            write_json(run_dir.result, result)
        monitor.finished(dict(result))
        monitor.say("done: " + ", ".join(f"{name} {value:.4g}" for name, value in result.items()))
        return Ending(exit_code=EXIT_DONE)
    except Stopped as stopped:
        monitor.say(str(stopped))
        return Ending(exit_code=EXIT_STOPPED)
    except Exception as error:
        return _failure(error)


def fetch(config: RunConfig, run_dir: RunDir, monitor: Monitor) -> Ending:
    """Get the base's weights and leave word of them for the trainer; a failure is returned and not yet told."""
    from memgen.model.fetch import fetch_model, keep_fetched

    try:
        keep_fetched(fetch_model(get_preset(config.preset), config.revision, home_of_environment(), monitor), run_dir)
    except Exception as error:
        return _failure(error)
    return Ending(exit_code=EXIT_DONE)


def hold(folder: SessionDir, monitor: Monitor, stop: StopRequest) -> Ending:
    """Answer the questions of a session until it is to end; a failure is returned and not yet told."""
    from memgen.trying.session import serve

    try:
        return Ending(exit_code=serve(folder, monitor, stop))
    except Exception as error:
        return _failure(error)


def _failure(error: Exception) -> Ending:
    code = failure_code(error)
    if isinstance(error, BadInput | Diverged) and code == ERROR:
        exit_code = EXIT_BAD_INPUT if isinstance(error, BadInput) else EXIT_ERROR
        return Ending(exit_code=exit_code, failed=Failed(time=time.time(), **dict(error.problem)))
    text = "".join(traceback.format_exception(error))
    failed = Failed(
        time=time.time(),
        code=code,
        message=f"{type(error).__name__}: {error}",
        way_out=WAYS_OUT.get(code, ""),
        traceback=text[-20_000:],
    )
    return Ending(exit_code=EXIT_ERROR, failed=failed)


def _finite(result: dict[str, float], monitor: Monitor) -> dict[str, float]:
    """The numbers of a result that JSON can carry; a warning names the others."""
    kept = {name: value for name, value in result.items() if math.isfinite(value)}
    if len(kept) < len(result):
        missing = ", ".join(sorted(result.keys() - kept.keys()))
        monitor.warn("result_not_finite", f"the result leaves out what is no finite number: {missing}")
    return kept


def tell(ending: Ending, monitor: Monitor) -> None:
    """Say why an attempt failed, if it did: an event for machines, a line or a traceback for people."""
    failed = ending.failed
    if failed is None:
        return
    monitor.failed(failed)
    print(failed.traceback or f"error: {failed}", file=sys.stderr, flush=True)
