"""Running a config by its stage's runner. Torch is imported only with that, once the data is known to be there."""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

from memgen.contract.alarms import NOT_FINITE, Alarm, Watch
from memgen.contract.config import RunConfig
from memgen.contract.errors import Diverged
from memgen.contract.rows import check_num_questions
from memgen.contract.stages import stage_of
from memgen.data.questions import rows_hash
from memgen.stages.context import Context


def run_stage(config: RunConfig, context: Context) -> dict[str, float]:
    """Run a stage; returns the numbers of its result.

    Raises:
        BadInput: data, model, checkpoint or the folder to resume can't be used.
        Stopped: a stop was asked for; what its mode allows has been saved.
    """
    check_num_questions(config, context.data_folder)
    stage = stage_of(config)
    questions = [context.questions(config, split, limit) for split, limit in stage.work.reads(config)]
    context = replace(context, rows_hash=rows_hash(*questions))
    _watch(config, context)
    try:
        result: dict[str, float] = function_at(stage.runner)(config, context, *questions)
    except Diverged as diverged:
        context.monitor.alarm(Alarm(NOT_FINITE, step=0, fact=f"{diverged.problem.message}."))
        raise
    from memgen.stages.peak import peak_of  # torch is there by now

    return {**result, **peak_of(config, context)} if context.team.is_main else result


def _watch(config: RunConfig, context: Context) -> None:
    """Look at the run's metrics as they are told, and stop it on an alarm where its config says so."""

    def on_alarm(alarm: Alarm) -> None:
        if config.stops_on_alarm and alarm.rule.stops:
            context.monitor.say("stopping: the config says so (stop_on_alarm)")
            context.stop.ask()

    context.monitor.watch(Watch(config.model_dump()), on_alarm)


def function_at(path: str) -> Callable[..., Any]:
    """The function that a stage's record names as `module:function`."""
    module, _, name = path.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function
