"""What the product knows of a stage, as one record: every other room derives from it.

A stage has two modules: its config class and its record in `memgen/contract/stages/`, and what runs it in
`memgen/stages/`. Nothing else asks which stage a config is. The record is plain data and plain functions of a config;
it knows of no framework that shows, stores or computes anything.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from memgen.contract.checkpoint_kinds import least
from memgen.contract.errors import BadInput
from memgen.contract.planner.moments import Moment
from memgen.contract.planner.parts import Parts
from memgen.contract.planner.shapes import Shape
from memgen.contract.presets import Dimensions
from memgen.contract.stage_configs import StageConfig

Need = str | None
"""The kind (`checkpoint_kinds`) that the checkpoint of a run must offer; None needs no checkpoint at all."""
Config = TypeVar("Config", bound=StageConfig)
Read = TypeVar(
    "Read", bound=StageConfig, contravariant=True
)  # a config that is only read: a function that accepts every config accepts this one


@dataclass(frozen=True)
class Output:
    """Names of what a stage leaves."""

    area: str
    """Folder below the home under which outputs of this kind are published."""
    folder: str
    """The output itself, in a run folder and where it is published."""
    answers: str | None = None
    """The answer file in it; None where the output is a checkpoint."""


@dataclass(frozen=True)
class Work(Generic[Read]):
    """Questions and steps."""

    reads: Callable[[Read], Sequence[tuple[str, int | None]]]
    """Splits that the runner is given, and how many questions of each from the first on (None: all). `num_questions`
    counts those of the first split."""
    rows: Callable[[int], int]
    """Given the size of a split, how many questions a run takes if its config names no number."""
    at_once: Callable[[Read, int], int]
    """Given the number of questions, how many rows are worked on together at most."""
    pace: tuple[str, ...]
    """Config fields that decide how long one question (of a training: one step) takes."""
    steps: Callable[[Read, int], int] | None = None
    """Steps of a training on so many questions."""
    lacks: Callable[[Read, int], BadInput | None] = lambda _config, _left: None
    """Given how many training rows are not among the questions of an evaluation, why they are too few for what is drawn
    from them."""
    reads_solutions: bool = False
    """Whether rows are prompts with their solutions, and those that are too long are left out; else one prompt that is
    too long fails the run."""
    is_shared: bool = True
    """Whether several processes may share the rows that are worked on together."""


@dataclass(frozen=True)
class Memory(Generic[Read]):
    """What the memory planner asks."""

    batch: Callable[[Read, Parts], Shape]
    """The batch with most tokens, by limits and data."""
    moments: Callable[[Read, Parts, Dimensions, int, str, Shape], list[Moment]]
    """Moments at which a run may need most: of a config, what the run has beside its base, a model, bytes per number, a
    device and a batch."""
    trained: Callable[[Read, Parts, Dimensions], int] = lambda _config, _parts, _dims: 0
    """Numbers that are trained."""
    keeps_start: bool = False
    """Whether what is trained is also held as it was at the start."""


@dataclass(frozen=True)
class Form:
    """One way to launch a single run, which may also be a step of a pipeline."""

    name: str
    """As in the address of the launch page and in a pipeline."""
    label: str
    about: str
    """What such a run does, in a sentence."""
    setting: str | None = None
    """What it measures; None for a training."""
    asks_setting: bool = False
    """Whether the form lets the user choose among the stage's settings."""
    absent: tuple[str, ...] = ()
    """Fields that keep their default and are not shown."""
    turns: Mapping[str, str] = field(default_factory=dict)
    """Settings that a run has instead where the field of this name is not empty."""
    alone: tuple[str, ...] = ()
    """Fields that make of the run something else to measure; they stay empty in a step of a pipeline."""


@dataclass(frozen=True)
class Variation:
    """Settings to start a form from in one click, e.g. an ablation."""

    label: str
    values: Mapping[str, Any]
    """Fields that differ from their defaults."""


@dataclass(frozen=True)
class Launch:
    """How the launch forms show the config."""

    forms: tuple[Form, ...]
    first: tuple[str, ...]
    """Fields that most launches look at, in their order; the others are folded away."""
    empty: Mapping[str, str] = field(default_factory=dict)
    """What an empty field stands for, in a few words."""
    defaults: Mapping[tuple[str, Any], Mapping[str, Any]] = field(default_factory=dict)
    """Defaults of other fields that come with a field's value."""
    variations: tuple[Variation, ...] = ()
    """What a form can start from instead of the defaults."""


@dataclass(frozen=True)
class Panel:
    """A small chart of metrics that belong together."""

    title: str
    names: tuple[str, ...]
    help: str
    width: int = 1
    """Share of its row."""


@dataclass(frozen=True)
class Figure:
    """A number of the result that the run's header shows."""

    name: str
    """In the result, and of a training, with the prefix `train/`, among the metrics."""
    label: str
    form: str
    """A format of Python, or `%` for a share."""
    so_far: bool = False
    """Whether the label says so while the run goes on."""


@dataclass(frozen=True)
class Next:
    """What can be launched from a checkpoint of this stage."""

    label: str
    form: str
    icon: str
    """Name of a Material symbol."""


@dataclass(frozen=True)
class Charts:
    """How a run's numbers are shown."""

    figures: tuple[Figure, ...]
    first_metrics: str
    """What the first metrics come with: `the first ...`."""
    panels: tuple[tuple[Panel, ...], ...] = ()
    """Rows of charts that matter at a glance."""
    shares: frozenset[str] = frozenset()
    """Metrics between 0 and 1 that read best in percent."""
    of_questions: frozenset[str] = frozenset()
    """Those of them that are shares of the questions answered so far, whose number is the step."""


@dataclass(frozen=True)
class Stage(Generic[Config]):
    """What the product knows of a stage."""

    name: str
    config: type[Config]
    runner: str
    """`module:function` that runs it, with the config, the context and a list of questions per split that it reads."""
    output: Output
    needs: Mapping[str, Need]
    """Settings that it measures, the default first, and what each needs; a training has the one setting `""`."""
    work: Work[Config]
    memory: Memory[Config]
    launch: Launch
    charts: Charts
    makes: str | None = None
    """The kind of its checkpoints."""
    recipe: str | None = None
    """`module:function` that says how an evaluation answers (`memgen/stages/recipe.py`), given the config, questions
    and training rows. What has one can also answer a single question that somebody asks; None where it can't."""
    next: tuple[Next, ...] = ()
    """What may come next, the usual thing first."""
    told: Mapping[str, Callable[[Any], str]] = field(default_factory=dict)
    """Fields that labels of what a run has made speak of where they are not the default, and in what words."""

    @property
    def trains(self) -> bool:
        """Whether it leaves a checkpoint; what does not train answers questions."""
        return self.output.answers is None

    @property
    def rolls_out(self) -> bool:
        """Whether it learns from rewards of completions, which can be looked at step by step."""
        return self.config.learns_from_rewards

    def need(self, setting: str | None) -> Need:
        """What a run must start from; without a setting, the least of what those that use a checkpoint need."""
        if setting is not None and setting in self.needs:
            return self.needs[setting]
        return least(self.needs.values())
