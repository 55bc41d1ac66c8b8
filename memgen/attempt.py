"""One start of a run in this process, from its first event to its end. No torch before the stage needs it."""

import os
import sys
import time
import traceback
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from memgen.contract.config import RunConfig
from memgen.contract.errors import BadInput
from memgen.contract.events import Failed
from memgen.contract.rundir import EXIT_BAD_INPUT, EXIT_DONE, EXIT_ERROR, EXIT_STOPPED, RunDir, write_json
from memgen.monitor import Monitor
from memgen.parallel.team import Team
from memgen.stages.context import Context
from memgen.stages.stages import run_stage
from memgen.stop import Stopped, StopRequest


class Ending(BaseModel):
    """How an attempt ended."""

    model_config = ConfigDict(frozen=True)

    exit_code: int
    failed: Failed | None = None
    """What to say of it, if it failed."""


def home() -> Path:
    """Where weights and published checkpoints are: MEMGEN_HOME, else `data`."""
    return Path(os.environ.get("MEMGEN_HOME") or "data").resolve()


def work(
    config: RunConfig, run_dir: RunDir, earlier: RunDir | None, monitor: Monitor, stop: StopRequest, team: Team
) -> Ending:
    """Run the stage and leave its result; a failure is returned and not yet told."""
    gsm8k = os.environ.get("MEMGEN_GSM8K_DIR")
    context = Context(run_dir, earlier, home(), Path(gsm8k).resolve() if gsm8k else None, monitor, stop, team)
    try:
        monitor.started(config.stage, os.getpid(), earlier.path.name if earlier else None)
        result = run_stage(config, context)
        if team.is_main:
            write_json(run_dir.result, result)
        monitor.finished(dict(result))
        monitor.say("done: " + ", ".join(f"{name} {value:.4g}" for name, value in result.items()))
        return Ending(exit_code=EXIT_DONE)
    except Stopped as stopped:
        monitor.say(str(stopped))
        return Ending(exit_code=EXIT_STOPPED)
    except BadInput as error:
        failed = Failed(
            time=time.time(),
            code=error.code,
            message=error.message,
            field=error.field,
            value=error.value,
            way_out=error.way_out,
        )
        return Ending(exit_code=EXIT_BAD_INPUT, failed=failed)
    except Exception as error:
        text = traceback.format_exc()
        code = "out_of_memory" if "OutOfMemory" in type(error).__name__ or isinstance(error, MemoryError) else "error"
        failed = Failed(
            time=time.time(), code=code, message=f"{type(error).__name__}: {error}", traceback=text[-20_000:]
        )
        return Ending(exit_code=EXIT_ERROR, failed=failed)


def tell(ending: Ending, monitor: Monitor) -> None:
    """Say why an attempt failed, if it did: an event for machines, a line or a traceback for people."""
    failed = ending.failed
    if failed is None:
        return
    monitor.failed(failed)
    said = BadInput(failed.code, failed.message, field=failed.field, value=failed.value, way_out=failed.way_out)
    print(failed.traceback or f"error: {said}", file=sys.stderr, flush=True)
