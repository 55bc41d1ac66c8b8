"""The columns of a session: one base, and what each column has beside it, loaded once.

At rest everything in the base is off, and the base is the plain model; a column switches its own part on while it
answers. So an answer is the one that an evaluation with the column's config gives to the same question.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from memgen.contract.answers import AnswerRecord, LtpoTrace
from memgen.contract.causal_check import WholeCheck
from memgen.contract.config import RunConfig, parse_config
from memgen.contract.data_sets.folders import folder_of
from memgen.contract.data_sets.registry import data_set
from memgen.contract.errors import BadInput
from memgen.contract.manifest import Manifest
from memgen.contract.planner.parts import parts_in, parts_of
from memgen.contract.planner.shapes import longest_row
from memgen.contract.presets import get_preset
from memgen.contract.rollouts import Decided
from memgen.contract.stage_configs import INSERTION, LENGTHS
from memgen.contract.stages import stage_of
from memgen.contract.trying import Change, SessionConfig, parse_columns
from memgen.data.questions import Question
from memgen.model.base import BaseModel, load_base, use_threads
from memgen.model.checkpoint import load_checkpoint
from memgen.model.checkpoint_files import verify
from memgen.model.fetch import LocalModel, fetch_model, fetched
from memgen.model.generation import encode_prompts, generate_greedy, generate_sampled
from memgen.model.lora import load_lora, switch_off, switched_on
from memgen.model.memgen_model import MemGenModel
from memgen.model.reading_check import check_reading, check_window
from memgen.model.woven_generation import Completion, Overrule, Sampling, generate_woven
from memgen.scoring import answer_of, score
from memgen.stages.answer_book import NOTHING_INSERTED, Insertions, record_of
from memgen.stages.answering import by_number, insertions_of, text_of
from memgen.stages.causal_check import LatentsCheck
from memgen.stages.context import Context
from memgen.stages.recipe import Recipe
from memgen.stages.stages import function_at
from memgen.stop import StopRequest


@dataclass(frozen=True)
class SoFar:
    """An answer that is under way."""

    ids: list[int]
    """Its tokens."""
    points: list[Decided]
    ltpo: list[LtpoTrace] | None


@dataclass(frozen=True)
class Answer:
    """An answer that is complete."""

    record: AnswerRecord
    points: list[Decided]
    extracted: str | None


UNCHANGED = Change()
Watch = Callable[[int, Callable[[], SoFar]], None]
"""Called after each token and each insertion, with the number of tokens so far and what tells of the answer so far."""


@dataclass(frozen=True)
class Column:
    """What answers in one way."""

    config: RunConfig
    recipe: Recipe
    base: BaseModel
    model: MemGenModel | None = None
    """Weaver and trigger, where there are latents."""
    check: LatentsCheck | None = None
    """What replaces the weaver's latents, if anything does."""
    lora: str | None = None
    """Name of its LoRA in the base, where it has one."""

    def text(self, ids: list[int]) -> str:
        """The text of an answer's tokens."""
        return text_of(self.base, ids)

    def answer(
        self, question: Question, number: int, watch: Watch, stop: StopRequest, change: Change = UNCHANGED
    ) -> Answer:
        """Answer a question.

        Args:
            question: whose solution may be empty; then the answer has no scores.
            number: of the question in its session.
            watch: is told how the answer grows.
            stop: asked at each token, and at each step of LTPO.
            change: what is done otherwise than the config says.

        Raises:
            BadInput: `prompt_too_long`, `change_unused`.
            Diverged: the model's numbers are none.
            Stopped: a stop was asked for before the answer was complete.
        """
        text = self.recipe.prompt.text(question.question)
        (prompt,) = encode_prompts(self.base, [text], self.config.max_prompt_length)
        began = time.perf_counter()
        ids, truncated, insertions, points = (
            self._plainly(prompt, watch, stop, change)
            if self.model is None
            else self._woven(question, prompt, watch, stop, change)
        )
        completion, kind = text_of(self.base, ids), self.recipe.prompt.chosen.answer
        scores = score(completion, question.solution, kind) if question.solution else {}
        record = record_of(
            question, number, self.recipe.prompt, completion, len(ids), truncated, insertions, scores,
            seconds=time.perf_counter() - began, batch_size=1,
        )  # fmt: skip
        return Answer(record, points, answer_of(completion, kind))

    def _plainly(
        self, prompt: list[int], watch: Watch, stop: StopRequest, change: Change
    ) -> tuple[list[int], bool, Insertions, list[Decided]]:
        if change.leave_out or change.force:
            raise _no_latents(self.config)
        so_far: list[int] = []
        ended: list[tuple[list[int], bool]] = []

        def on_token(_row: int, token: int) -> None:
            so_far.append(token)
            watch(len(so_far), lambda: SoFar(so_far, [], None))

        def on_row(_row: int, ids: list[int], truncated: bool) -> None:
            ended.append((ids, truncated))

        def should_stop() -> bool:
            return stop.requested() is not None

        def generate() -> None:
            longest = self.config.max_completion_length
            if change.temperature is None:
                generate_greedy(self.base, [prompt], longest, on_row, should_stop, on_token=on_token)
            else:
                generate_sampled(
                    self.base, prompt, longest, on_row, should_stop, on_token,
                    temperature=change.temperature, seed=change.seed,
                )  # fmt: skip

        if self.lora is None:
            generate()
        else:
            with switched_on(self.base.model, self.lora):
                generate()
        if not ended:
            stop.check()
        ((ids, truncated),) = ended
        return ids, truncated, NOTHING_INSERTED, []

    def _woven(
        self, question: Question, prompt: list[int], watch: Watch, stop: StopRequest, change: Change
    ) -> tuple[list[int], bool, Insertions, list[Decided]]:
        assert self.model is not None
        names = [question.id]
        improve, check = self.recipe.search(self.model, names, stop), self.check
        ended: list[Completion] = []

        def on_grown(completions: Sequence[Completion]) -> None:
            (completion,) = completions
            traces = improve.traces[0] if improve else None
            watch(
                len(completion.text_ids),
                lambda: SoFar(completion.text_ids, self._points(completion), None if traces is None else list(traces)),
            )

        if check is not None:
            check.forget(question.id)  # what an answer that broke off left
        generate_woven(
            self.model,
            [torch.tensor(prompt, device=self.base.device)],
            self.config.max_completion_length,
            trigger=self.config.uses_trigger,
            width=1,
            improve=improve,
            replace=by_number(names, check) if check else None,
            choose=self.recipe.choose(names),
            overrule=_overrule(change),
            sampling=_sampling(change),
            on_row=lambda _number, completion: ended.append(completion),
            should_stop=lambda: stop.requested() is not None,
            on_grown=on_grown,
        )
        if not ended:
            stop.check()
        (completion,) = ended
        insertions = insertions_of(completion, self.base, 0, question.id, improve, check)
        return completion.text_ids, not completion.ended, insertions, self._points(completion)

    def _points(self, completion: Completion) -> list[Decided]:
        ids = completion.text_ids
        return [
            Decided(
                token=one.token,
                asked=one.asked,
                inserted=one.inserted,
                character=len(text_of(self.base, ids[: one.token])),
                probability=one.probability,
            )
            for one in completion.decisions
        ]


def with_check(column: Column, check: WholeCheck, context: Context) -> Column:
    """The same column with other latents in the place of its weaver's.

    Raises:
        BadInput: `change_unused`, or no training question can be had to take latents from.
        InvalidConfig: evaluations of the column's kind have no causal checks.
        Stopped: a stop was asked for.
    """
    if column.model is None:
        raise _no_latents(column.config)
    config = parse_config({**column.config.model_dump(mode="json"), "causal_check": check})
    recipe = _recipe(config, context)
    return replace(column, config=config, recipe=recipe, check=recipe.check(column.model, context.stop))


def _no_latents(config: RunConfig) -> BadInput:
    return BadInput(
        "change_unused",
        "this column has no latents",
        field="change",
        value=config.measured,
        way_out="Change an answer of a column with a weaver, or its temperature alone.",
    )


def _overrule(change: Change) -> Overrule | None:
    """The last word at the points that a change speaks of."""
    if not change.leave_out and not change.force:
        return None
    return lambda _number, token, inserts: token in change.force or (inserts and token not in change.leave_out)


def _sampling(change: Change) -> Sampling | None:
    """Tokens drawn by the change's seed; decisions stay as they are."""
    if change.temperature is None:
        return None
    return Sampling(change.temperature, True, [torch.Generator().manual_seed(change.seed)], decisions=False)


def load_columns(session: SessionConfig, context: Context) -> list[Column]:
    """Load the base once, and every column.

    Raises:
        BadInput: the model or a checkpoint can't be used.
        Stopped: a stop was asked for.
    """
    configs = parse_columns(session.columns)
    first, monitor = configs[0], context.monitor
    starts = [_start(config, session, context) for config in configs]
    recipes = [_recipe(config, context) for config in configs]
    use_threads()
    source = fetched(context.run_dir) or fetch_model(get_preset(first.preset), first.revision, context.home, monitor)
    context.stop.check()
    monitor.phase("load", source.identity)
    base = load_base(source, first.dtype, plain=not any(config.has_latents for config in configs))
    _check_base(configs, starts, base, source, context)
    parts = _Parts(base, source.identity)
    columns = []
    for place, (config, start, recipe) in enumerate(zip(configs, starts, recipes, strict=True)):
        context.stop.check()
        model = parts.model(config, start) if config.has_latents else None
        lora = parts.lora(config, start) if config.has_lora else None
        check = recipe.check(model, context.stop) if model is not None else None
        columns.append(Column(config, recipe, base, model, check, lora))
        monitor.progress(place + 1, len(configs), "columns")
    return columns


@dataclass(frozen=True)
class _Start:
    """The checkpoint of a column, its files compared with their hashes."""

    folder: Path
    manifest: Manifest


class _Parts:
    """What stands beside the base, each loaded once for all columns that are made of it."""

    def __init__(self, base: BaseModel, identity: str) -> None:
        self._base = base
        self._identity = identity
        self._models: dict[tuple[object, ...], MemGenModel] = {}
        self._loras: dict[Path, str] = {}

    def model(self, config: RunConfig, start: _Start | None) -> MemGenModel:
        """Weaver and trigger of a checkpoint, with the lengths and limits of a config."""
        assert start is not None
        wanted = config.model_dump(include={*LENGTHS, *INSERTION})
        key = (start.folder, *sorted(wanted.items()))
        if key not in self._models:
            mark = f"_{len(self._models)}"
            self._models[key] = load_checkpoint(start.folder, self._base, self._identity, wanted, mark)
        return self._models[key]

    def lora(self, config: RunConfig, start: _Start | None) -> str:
        """Name of a checkpoint's LoRA in the base, in which it is off."""
        assert start is not None
        if start.folder not in self._loras:
            name, need = f"column_{len(self._loras)}", stage_of(config).need(getattr(config, "setting", None))
            load_lora(start.folder, self._base, self._identity, need, name)
            switch_off(self._base.model)
            self._loras[start.folder] = name
        return self._loras[start.folder]


def _start(config: RunConfig, session: SessionConfig, context: Context) -> _Start | None:
    if not config.checkpoint:
        return None
    known = session.checkpoints.get(config.checkpoint)
    folder = context.home / known if known is not None else Path(config.checkpoint)
    return _Start(folder, verify(folder))


def _recipe(config: RunConfig, context: Context) -> Recipe:
    """How a column answers; of its data set only what the recipe draws from is read."""
    stage = stage_of(config)
    assert stage.recipe is not None
    _, *others = stage.work.reads(config)
    context = replace(context, data_folder=folder_of(data_set(config.data), os.environ))
    training = [context.questions(config, split, limit) for split, limit in others]
    recipe: Recipe = function_at(stage.recipe)(config, [], *training)
    return recipe


def _check_base(
    configs: Sequence[RunConfig],
    starts: Sequence[_Start | None],
    base: BaseModel,
    source: LocalModel,
    context: Context,
) -> None:
    """Refuse a base that columns with latents can't read.

    Raises:
        BadInput: `unsupported_family`.
    """
    woven = [(config, start) for config, start in zip(configs, starts, strict=True) if config.has_latents]
    for config, start in woven:
        assert start is not None
        check_window(base, longest_row(config, parts_of(config, parts_in(start.manifest))))
    if woven:
        check_reading(base, source, context.home)
