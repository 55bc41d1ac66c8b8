"""What can be launched, and what a config would take."""

from typing import Annotated, Any, Literal

from pydantic import Field

from backend.api.schemas.base import NOTE_LENGTH, ApiReply, ApiRequest
from memgen.contract.data_sets.record import AnswerKind
from memgen.contract.pipeline import PipelineSpec
from memgen.contract.problem import Problem

TagName = Annotated[str, Field(max_length=200)]


class PresetOut(ApiReply):
    """A model that can be launched."""

    name: str
    note: str
    parameters: int
    weights_bytes: int
    """One copy of the weights in bfloat16, in bytes."""
    expected_hours: dict[str, tuple[float, float]]


class DataSetOut(ApiReply):
    """A data set that runs can use."""

    name: str
    word: str
    """How forms call it."""
    help: str
    answer: AnswerKind
    """How answers are found and compared."""
    sizes: dict[str, int] | None
    """Rows of each split; null where they can't be counted now."""
    registered: bool = False
    """Whether a user registered it here."""


class BrokenPluginOut(ApiReply):
    """An installed plug-in, or a registered data set, that can't be used."""

    package: str | None
    """Null for what was registered here."""
    name: str
    reason: str


class DataSetList(ApiReply):
    """All data sets, and plug-ins that can't be used."""

    items: list[DataSetOut]
    broken: list[BrokenPluginOut]


class PresetList(ApiReply):
    """All presets."""

    items: list[PresetOut]
    next_cursor: str | None = None


class PreflightRequest(ApiRequest):
    """A config to try."""

    config: dict[str, Any]
    site: str | None = Field(default=None, max_length=200)
    """Where it is to run, one of `GET /sites`; null for the workers of this service."""


class SlotFit(ApiReply):
    """How a run and a slot that is alive go together."""

    host: str
    slot: str
    state: Literal["free", "busy", "held", "sick", "closed", "too_small"]
    """`free` and `busy` hold the run (`busy` once it is done with another); `held` has memory enough that another
    program uses now; `sick` takes no work; `closed` is given none; `too_small` never holds it."""
    needed_bytes: int
    """Memory that the run needs there, on each device of the slot."""
    total_bytes: int
    """Memory of the smallest device of the slot."""
    run_id: int | None = None
    """Run that the slot works on."""


class PreflightReply(ApiReply):
    """Whether a config would run, and what it would take."""

    ok: bool
    problems: list[Problem]
    """Why it can't be submitted."""
    warnings: list[str]
    """What would make it wait or fail later, e.g. that no worker is alive."""
    num_questions: int | None
    memory_bytes: int | None
    """Memory on the device of the slots that are alive (on a CPU if there are none); where the config takes as many
    rows at the same time as fit, what it can't do without."""
    memory_device: str
    fits: bool | None
    """Whether a slot that is alive holds it."""
    placement: str
    """How the slots that are alive hold it, one sentence; and how many rows it would work on at the same time on each,
    where its config leaves that open."""
    disk_bytes: int | None
    """What the run writes at most."""
    expected_seconds: float | None
    """From the median seconds per question of past runs of the same model, or null."""
    slots: list[SlotFit] = Field(default_factory=list)
    """Each slot that is alive."""
    starts: str = ""
    """When the run would start, one sentence; empty where something is wrong with the config."""


class RunCreate(ApiRequest):
    """A run to submit."""

    config: dict[str, Any]
    """A run config: `stage` and the fields of `GET /schema/{stage}`."""
    note: str = Field(default="", max_length=NOTE_LENGTH)
    """A few words to find the run again."""
    fixes: int | None = Field(default=None, ge=1, le=2**63 - 1)
    """Failed run that this one mends; it starts from its beginning."""
    tags: list[TagName] = Field(default_factory=list, max_length=20)
    """Words to find it by."""
    group: TagName | None = None
    """The tag that it is listed and drawn with, which it gets, too."""
    site: str | None = Field(default=None, max_length=200)
    """Where it is to run, one of `GET /sites`; null for the workers of this service."""


class PipelineCreate(PipelineSpec):
    """A pipeline to submit."""

    tags: list[TagName] = Field(default_factory=list, max_length=20)
    """Words to find it and its runs by."""
    group: TagName | None = None
    """The tag that its runs are listed and drawn with; the pipeline gets it as a tag, too."""

    @property
    def spec(self) -> PipelineSpec:
        """What is to run."""
        return PipelineSpec.model_validate(self.model_dump(include=set(PipelineSpec.model_fields)))
