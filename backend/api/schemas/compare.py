"""Evaluations side by side."""

from typing import Literal

from pydantic import Field

from backend.api.schemas.base import ApiReply
from backend.api.schemas.labels import LabelledRun
from memgen.contract.answers import AnswerRecord


class Estimate(ApiReply):
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


class ChangeOut(ApiReply):
    """A setting against the base, on the questions that both answered."""

    num_questions: int
    points: float
    """Change in accuracy in percentage points."""
    low: float
    """95 % bootstrap interval of the change, in points."""
    high: float
    expected: tuple[float, float] | None
    """The expected change in points."""
    fixed: list[str]
    """Ids of questions that the base got wrong and this setting right."""
    broken: list[str]
    """Ids of questions that the base got right and this setting wrong."""
    fixed_without_box: list[str] = Field(default_factory=list)
    """Those of the fixed whose right answer stands in no box: what the text ends with counted."""
    broken_without_box: list[str] = Field(default_factory=list)
    """Those of the broken of which the same is true of the base's right answer."""
    strict: Estimate | None = None
    """Change in points where only an answer in a box counts, with its bootstrap interval."""
    p_value: float
    """Exact McNemar test of fixed against broken."""
    nll: Estimate | None = None
    """Mean change in the solutions' NLL in nats per token, paired by question, with its t interval; below 0 they are
    likelier. None where one of the two did not measure it."""
    smallest_detectable: float | None
    """Smallest change in points that so many questions show with a power of 80 %; None where no answer differs."""
    verdict: Literal["better", "worse", "no_difference", "too_few_questions"]
    text: str
    """The verdict in a sentence."""
    box_text: str = ""
    """What of the change is none where the box is required; empty where all of it stands."""


class ComparedRun(LabelledRun):
    """One evaluation in a comparison."""

    run_id: int
    preset: str
    note: str
    num_questions: int
    accuracy: float
    low: float
    """95 % Wilson interval of the accuracy."""
    high: float
    accuracy_strict: Estimate | None = None
    """Accuracy where only an answer in a box counts, with its 95 % Wilson interval."""
    nll: Estimate | None = None
    """Mean negative log-likelihood of the questions' solutions in nats per token, with its t interval."""
    summary: dict[str, float]
    scorer_version: int = 1
    """The same for all in a comparison."""
    is_base: bool
    change: ChangeOut | None
    """Against the base; None of the base itself."""


class SettingOut(ApiReply):
    """A setting in which the compared evaluations differ, or the trainings of a stage that they descend from."""

    name: str
    """Field of the config."""
    stage: str = ""
    """The training whose setting it is; empty of the evaluations themselves."""
    values: list[str]
    """In the order of the evaluations, as words; empty where one has no such setting or training."""


class CompareOut(ApiReply):
    """Evaluations side by side, the base first."""

    base_id: int
    conditions: dict[str, str]
    """What all have in common: model, data, split, prompt, length, version of the scorer. Of a run that was asked in
    another way, `prompt of run 7` has the style and the hash of its prompt."""
    warnings: list[str]
    """What differs and may matter a little, e.g. the device."""
    items: list[ComparedRun]
    settings: list[SettingOut] = Field(default_factory=list)
    """In which they differ, apart from the number of the checkpoint that each starts from."""
    pinned_id: int | None = None
    """The pinned baseline, whether it is among them or not."""


class AnswerPair(ApiReply):
    """One question, answered by two evaluations."""

    id: str
    kind: Literal["fixed", "broken", "both_right", "both_wrong"]
    """What became of it from the first evaluation to the second."""
    without_box: bool = False
    """Whether the right one of a fixed or broken pair has no box: what the text ends with counted."""
    before: AnswerRecord
    after: AnswerRecord


class AnswerPairs(ApiReply):
    """A page of questions that two evaluations answered."""

    items: list[AnswerPair]
    next_cursor: str | None
    total: int
    """Pairs that match the filter."""
    counts: dict[str, int]
    """`all`, `fixed`, `broken`, `both_right`, `both_wrong`, and `without_box` of the fixed and broken ones."""


class InsertionGroup(ApiReply):
    """Questions in whose answers the second evaluation inserted latents alike."""

    at_prompt: bool | None
    """Whether it inserted at the end of the prompt; None where no decision was taken there."""
    in_completion: int
    """Insertions in the completion."""
    num_questions: int
    right_before: int
    """How many of them the first evaluation answered rightly."""
    right_after: int
    """How many the second."""
    fixed: int
    broken: int


class InsertionGroups(ApiReply):
    """Questions by the insertions of the second evaluation; no group where it has no decision points."""

    items: list[InsertionGroup]
