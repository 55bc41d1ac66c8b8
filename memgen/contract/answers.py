"""The answer file: JSON Lines, one object per question, and a summary as its last line."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from memgen.contract.errors import first_error
from memgen.contract.json_file import lines_of
from memgen.contract.numbers import Amount, Finite, Whole


class Message(BaseModel):
    """One chat message."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Literal["system", "user", "assistant"]
    content: str


class Augmentation(BaseModel):
    """One decision point of a completion."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    token: Whole
    """Index of the completion token in front of which the latents stand; 0 is the end of the prompt."""
    asked: bool
    """Whether the trigger was asked (an inactive trigger always inserts)."""
    inserted: bool
    character: Whole | None = None
    """Characters of the completion in front of that token; older answers have none."""


class LtpoTrace(BaseModel):
    """How LTPO moved the latents of one insertion."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    token: Whole
    """Index of the completion token in front of which the latents stand; 0 is the end of the prompt."""
    rewards: list[Finite] = Field(min_length=1)
    """Of the starting latents, then of each step's candidate."""
    best_step: Whole
    """Which of `rewards` is the best, whose latents were used; 0 is the start."""
    distance: Finite
    """Mean Euclidean distance of the used latents from the starting ones."""
    step_ulps: Finite | None = None
    """Mean size of a step per coordinate, in units in the last place of the model's number format: far below 1 the
    model sees little of a single step. Older answers have none."""
    entropy: list[Finite]
    """Mean entropy in nats of the next-token distribution at the latents: at the start and at the best step."""
    top1: list[Finite]
    """Mean probability of the likeliest token there: at the start and at the best step."""

    @model_validator(mode="after")
    def _best_is_one_of_them(self) -> Self:
        if self.best_step >= len(self.rewards):
            raise ValueError(f"best_step {self.best_step} is none of {len(self.rewards)} rewards")
        return self


class ReplacedLatents(BaseModel):
    """What stood in the place of the weaver's latents at one insertion; means over its latents."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    token: Whole
    """Index of the completion token in front of which the latents stand; 0 is the end of the prompt."""
    norm: Finite
    """Euclidean norm of the weaver's latents."""
    used_norm: Finite
    """Euclidean norm of what was inserted."""
    cosine: Finite
    """Cosine between a latent of the weaver and what was inserted for it."""


class CheckedLatents(BaseModel):
    """What a causal check did in one answer."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    check: str
    """`mean latents`, `latents times 0.5`, ..."""
    taken_from: str | None = None
    """Id of the training question whose latents were inserted; None where they are not those of one question."""
    insertions: list[ReplacedLatents] = Field(default_factory=list)


class AnswerRecord(BaseModel):
    """The answer to one question."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    id: str
    """Data set and first 16 hex digits of the sha256 of the stripped question."""
    index: Whole
    """Place of the question in its split."""
    question: str | None = None
    """The question alone, as the data set has it; answers of earlier versions have it in their prompt only."""
    prompt: list[Message]
    solution: str
    completion: str
    """Generated text up to the first end-of-sequence token."""
    metrics: dict[str, Finite]
    """`accuracy`, `accuracy_strict`, `compute_reward`, `format_ok`."""
    completion_tokens: Whole
    truncated: bool
    """Whether the completion ended at its length limit."""
    augmentations: list[Augmentation] = Field(default_factory=list)
    ltpo: list[LtpoTrace] | None = None
    """One trace per insertion where latents were optimised."""
    causal_check: CheckedLatents | None = None
    """What was inserted in the place of the weaver's latents."""
    batch_size: int | None = Field(default=None, ge=1, le=2**31)
    """How many questions were answered at the same time, at most; answers of versions before have none."""
    seconds: Amount
    """From the start of its completion (of its batch, in a base evaluation) to its end."""
    elapsed: Amount = 0.0
    """Seconds of the evaluation until it was there, those of earlier attempts included."""

    @field_validator("metrics")
    @classmethod
    def _strict_follows(cls, value: dict[str, float]) -> dict[str, float]:
        return with_strict(value)


def with_strict(metrics: Mapping[str, float]) -> dict[str, float]:
    """Scores with `accuracy_strict`, accuracy with the box required.

    An answer without a box has 0, and beside a box nothing else counts in any kind of answer: so it follows from
    `accuracy` and `format_ok`, also for answers of versions that did not have it.
    """
    if "accuracy_strict" in metrics or not {"accuracy", "format_ok"} <= metrics.keys():
        return dict(metrics)
    return {**metrics, "accuracy_strict": metrics["accuracy"] * metrics["format_ok"]}


def scorer_version(environment: Mapping[str, object]) -> int:
    """Version of the scorer that a run's environment names; what names none was scored by version 1."""
    version = environment.get("scorer_version")
    return version if isinstance(version, int) and not isinstance(version, bool) and 0 < version < 2**31 else 1


class Summary(BaseModel):
    """The last line; a file without it is incomplete."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    summary_metrics: dict[str, float]


def parse_line(line: str | bytes) -> AnswerRecord | Summary:
    """One line of an answer file.

    Raises:
        ValueError: the line is neither an answer nor a summary.
    """
    try:
        data = json.loads(line)
    except RecursionError:
        raise ValueError("the line is nested too deep") from None
    if isinstance(data, dict) and "summary_metrics" in data:
        return Summary.model_validate(data)
    return AnswerRecord.model_validate(data)


def read_answers(path: Path) -> tuple[list[AnswerRecord], Summary | None]:
    """All whole lines of an answer file; a torn last line (its writer died) is left out.

    Raises:
        ValueError: a line in the middle is broken.
    """
    answers: list[AnswerRecord] = []
    summary = None
    lines = lines_of(path.read_bytes())
    whole = lines[:-1]  # what follows the last newline is empty or torn
    for number, line in enumerate(whole, start=1):
        try:
            entry = parse_line(line)
        except ValueError as error:
            reason = first_error(error) if isinstance(error, ValidationError) else error
            raise ValueError(f"line {number} of {path.name} is broken: {reason}") from error
        if isinstance(entry, Summary):
            summary = entry
        else:
            answers.append(entry)
    return answers, summary


def summarize(answers: list[AnswerRecord], seconds: float) -> Summary:
    """Means of all metrics over the answers, counts, and the time they took in seconds."""
    n = len(answers)
    metrics: dict[str, float] = {"num_questions": n}
    for name in sorted({name for answer in answers for name in answer.metrics}):
        metrics[name] = sum(answer.metrics.get(name, 0.0) for answer in answers) / n
    if n:
        metrics["truncated"] = sum(answer.truncated for answer in answers) / n
        metrics["mean_completion_tokens"] = sum(answer.completion_tokens for answer in answers) / n
    if widths := [answer.batch_size for answer in answers if answer.batch_size is not None]:
        metrics["batch_size"] = min(widths)
    metrics |= _insertions(answers) | _ltpo(answers) | _replaced(answers)
    metrics["seconds"] = round(seconds, 3)
    return Summary(summary_metrics=metrics)


def _insertions(answers: list[AnswerRecord]) -> dict[str, float]:
    points = [point for answer in answers for point in answer.augmentations]
    if not points:
        return {}
    inserted = sum(point.inserted for point in points)
    return {"mean_insertions": inserted / len(answers), "insert_rate": inserted / len(points)}


def _ltpo(answers: list[AnswerRecord]) -> dict[str, float]:
    traces = [trace for answer in answers for trace in answer.ltpo or []]
    if not traces:
        return {}
    ulps = [trace.step_ulps for trace in traces if trace.step_ulps is not None]
    gains = [trace.rewards[trace.best_step] - trace.rewards[0] for trace in traces]
    return {
        "ltpo_reward_gain": sum(gains) / len(traces),
        "ltpo_distance": sum(trace.distance for trace in traces) / len(traces),
        "ltpo_best_step": sum(trace.best_step for trace in traces) / len(traces),
        **({"ltpo_step_ulps": sum(ulps) / len(ulps)} if ulps else {}),
    }


def _replaced(answers: list[AnswerRecord]) -> dict[str, float]:
    replaced = [one for answer in answers if answer.causal_check for one in answer.causal_check.insertions]
    if not replaced:
        return {}
    return {
        "latents_norm": sum(one.norm for one in replaced) / len(replaced),
        "used_norm": sum(one.used_norm for one in replaced) / len(replaced),
        "latents_cosine": sum(one.cosine for one in replaced) / len(replaced),
    }
