"""What messages say, in plain words. Nothing here is markup: each way of sending makes text inert in its own way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backend.services.evidence import Change
from backend.store.models import Pipeline, Run
from memgen.contract.alarms import find_rule
from memgen.contract.pipeline import STEPS, StepName
from memgen.contract.stages import find_stage
from memgen.contract.status import CAUSE_TEXT, Cause, RunStatus

MOST_FIGURES, MOST_NAMED, LONGEST = 4, 5, 1500
"""Numbers of a run, messages that a digest names, and characters of a text."""
_VERDICTS = {
    "better": "better",
    "worse": "worse",
    "no_difference": "no difference",
    "too_few_questions": "too few questions to tell",
}


@dataclass(frozen=True)
class Words:
    """A message."""

    title: str
    text: str

    @classmethod
    def of(cls, title: str, lines: Sequence[str]) -> "Words":
        """A message of these lines, without empty ones, cut where it is too long."""
        text = "\n".join(line for line in lines if line)
        return cls(title, text if len(text) <= LONGEST else text[:LONGEST].rstrip() + " …")


def run_words(run: Run, detail: str) -> Words:
    """A run that has finished or failed.

    Args:
        run: as it has ended.
        detail: what its history says of the end.
    """
    name = f"Run {run.id} ({what_of(run)})"
    if run.status == RunStatus.SUCCEEDED:
        return Words.of(f"{name} has finished", [about(run), *_figures(run), _time_taken(run)])
    if run.failure is not None:
        reason = run.failure.in_sentences()
        lines = [reason.message, reason.way_out]
    else:
        cause = CAUSE_TEXT[Cause(run.cause)] if run.cause else "it failed"
        lines = [f"{cause[:1].upper()}{cause[1:]}" + (f": {detail}" if detail else "") + "."]
    return Words.of(f"{name} has failed", [*lines, about(run)])


def alarm_words(run: Run, code: str, step: int, fact: str) -> Words:
    """An alarm with cause and remedy; of a rule that this version does not know with what was seen alone."""
    rule = find_rule(code)
    title = f"Alarm in run {run.id} ({what_of(run)}): {rule.title if rule is not None else code}"
    why = [f"Likely cause: {rule.cause}", f"What helps: {rule.remedy}"] if rule is not None else []
    return Words.of(title, [f"Step {step}. {fact}", *why, about(run)])


def pipeline_words(pipeline: Pipeline, steps: Mapping[str, Run | None], *, finished: bool) -> Words:
    """A pipeline that has ended as a whole.

    Args:
        pipeline: that has ended.
        steps: its runs by step; None where one was deleted.
        finished: whether all steps have succeeded.
    """
    title = f"Pipeline {pipeline.id} has {'finished' if finished else 'failed'}"
    note = f" {pipeline.note}" if pipeline.note else ""
    about = f"{pipeline.preset} on {pipeline.data}.{note}"
    return Words.of(title, [about, *(_step_line(step, run) for step, run in steps.items())])


def queue_empty_words() -> Words:
    """Nothing is left to do."""
    return Words.of("The queue ran empty", ["No run is queued, waits or runs any more: the slots are free."])


def test_words(channel: str) -> Words:
    """What a test says."""
    return Words.of(
        "This is a test", [f"Messages of the channel {channel} arrive here. No run has anything to do with it."]
    )


def digest_words(titles: Sequence[str], counts: Mapping[str, int]) -> Words:
    """Several messages in one.

    Args:
        titles: of all of them, oldest first.
        counts: how many there are of each kind, by its words.
    """
    what = ", ".join(f"{number} times: {words}" for words, number in counts.items())
    more = len(titles) - MOST_NAMED
    lines = [f"{what}.", *(f"- {title}" for title in titles[:MOST_NAMED])]
    return Words.of(f"{len(titles)} messages in one", [*lines, f"and {more} more" if more > 0 else ""])


def change_line(base_id: int, number: int, change: Change) -> str:
    """`+18.7 points against run 3 on 48 questions (+9.1 to +28.0): better.`"""
    interval = f"{change.low:+.1f} to {change.high:+.1f}"
    verdict = _VERDICTS[change.verdict]
    return f"{change.points:+.1f} points against run {base_id} on {number} questions ({interval}): {verdict}."


def what_of(run: Run) -> str:
    """`evaluate, weaver`."""
    return f"{run.stage}, {run.setting}" if run.setting else run.stage


def about(run: Run) -> str:
    """Model, data and note of a run."""
    return f"{run.preset} on {run.data}." + (f" {run.note}" if run.note else "")


def _figures(run: Run) -> list[str]:
    stage = find_stage(run.stage)
    figures = (
        [one for one in stage.charts.figures if one.name in run.summary][:MOST_FIGURES] if stage is not None else []
    )
    words = (f"{one.label}: {_number(run.summary[one.name], one.form)}" for one in figures)
    return [line + "." for line in [", ".join(words)] if line]


def _number(value: float, form: str) -> str:
    return f"{value * 100:.1f} %" if form == "%" else format(value, form)


def _time_taken(run: Run) -> str:
    if run.started_at is None or run.ended_at is None:
        return ""
    minutes, seconds = divmod(round(run.ended_at - run.started_at), 60)
    hours, minutes = divmod(minutes, 60)
    taken = f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    return f"Time taken: {taken}."


def _step_line(step: str, run: Run | None) -> str:
    name: StepName | None = step if step in STEPS else None
    label = STEPS[name].label if name is not None else step
    if run is None:
        return f"- {label}: its run was deleted"
    figures = "".join(f"; {line.rstrip('.')}" for line in _figures(run)) if run.status == RunStatus.SUCCEEDED else ""
    return f"- {label} (run {run.id}): {run.status}{figures}"
