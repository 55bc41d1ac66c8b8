"""Texts that are data of the contract and are shown by the dashboard: a new stage or field brings its own here."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from backend.api.schemas import EVENT_WORDS, KIND_WORDS, STATUS_WORDS
from backend.services.comparable import FROM_CONFIG, FROM_ENVIRONMENT
from memgen.contract import alarms, machine_metrics
from memgen.contract.causal_check import CHECK_WORDS
from memgen.contract.checkpoint_kinds import ADAPTERS, KINDS
from memgen.contract.config_text import help_of
from memgen.contract.data_sets.field import WORDS
from memgen.contract.data_sets.record import AnswerKind, Split
from memgen.contract.data_sets.registered import Columns, Registration
from memgen.contract.data_sets.registry import data_sets
from memgen.contract.pipeline import STEPS
from memgen.contract.presets import BUILT_IN
from memgen.contract.stage import Stage
from memgen.contract.stages import STAGES
from memgen.contract.status import CAUSE_TEXT, AttemptStatus, PipelineStatus, RunStatus
from memgen.contract.titles import ON_OFF, label_of, title_of

LATENTS = ("query_norms",)
"""Names of what a checkpoint says of its latents that are no fields of a config."""
SCORES = ("compute_reward", "accuracy_strict", "nll", "nll_tokens")
"""Names of an answer's scores that are shown by their titles."""
PHASES = ("load", "data", "download", "convert", "generate", "train")
UNITS = ("questions", "steps")
"""Of a trainer's progress."""
EVENTS = ("run", "attempt", "warning", "alarm", "archive", "priority", "rescored")
"""Kinds of lines of a run's history."""
OUTCOMES = (
    "does not start", "leaves the queue", "ends at its next step and keeps what is done",
    "ends at its next step without saving", "is killed at once", "goes with its files",
)  # fmt: skip
"""What becomes of runs that are stopped or deleted together."""


def texts_of_records() -> Iterator[tuple[str, str]]:
    """Where each text stands, and the text."""
    for stage in STAGES:
        yield from ((f"stage {stage.name}", text) for text in _of_stage(stage))
    yield from (("pipeline", step.label) for step in STEPS.values())
    for kind in KINDS.values():
        yield "checkpoint kinds", kind.label
    yield from (("checkpoint parts", name) for name in ADAPTERS)
    yield from (("status", one.value) for status in (RunStatus, AttemptStatus, PipelineStatus) for one in status)
    yield from (("causes", text) for text in CAUSE_TEXT.values())
    for rule in (*alarms.RULES, alarms.STALLED):
        yield from ((f"alarm {rule.code}", text) for text in (rule.title, rule.cause, rule.remedy))
    for panel in (panel for row in machine_metrics.PANELS for panel in row):
        yield from (("machine metrics", text) for text in (panel.title, panel.help))
    yield from (("presets", one.note) for one in BUILT_IN)
    yield from (("data sets", text) for one in data_sets().values() for text in (one.word, one.help))
    yield from (("answers", name) for name in (*get_args(AnswerKind), *get_args(Split)))
    yield from (("causal checks", text) for text in CHECK_WORDS.values())
    yield from (("words", text) for text in ON_OFF.values())
    yield from (("latents", title_of(name)) for name in LATENTS)
    yield from (("scores", title_of(name)) for name in SCORES)
    yield from (("conditions", title_of(name)) for name in (*FROM_CONFIG, *FROM_ENVIRONMENT.values(), "scorer"))
    yield from (("phases", text) for text in (*PHASES, *UNITS))
    yield from (("history", name) for name in EVENTS)
    for words_of in (KIND_WORDS, EVENT_WORDS, STATUS_WORDS):
        yield from (("notifications", words) for words in words_of.values())
    yield from (("bulk", words) for words in OUTCOMES)
    for model in (Registration, Columns):
        yield from (("registration", help_of(model, name)) for name in model.model_fields)


def _of_stage(stage: Stage[Any]) -> Iterator[str]:
    launch, charts = stage.launch, stage.charts
    yield from (text for form in launch.forms for text in (form.label, form.about))
    yield from launch.empty.values()
    yield from (one.label for one in launch.variations)
    yield from (text for row in charts.panels for panel in row for text in (panel.title, panel.help))
    yield from (figure.label for figure in charts.figures)
    yield charts.first_metrics
    yield from (one.label for one in stage.next)
    yield from _of_config(stage.config)


def _of_config(config: type[BaseModel]) -> Iterator[str]:
    """As the launch form shows them: label, help, and words of choices."""
    for name, part in config.model_json_schema()["properties"].items():
        yield label_of(name, part.get("title") or "")
        yield title_of(name)
        yield " ".join(str(part.get("description", "")).split())
        yield from part.get(WORDS, {}).values()
