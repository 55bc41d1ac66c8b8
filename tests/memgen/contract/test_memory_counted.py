"""The planner against tensors: the models of all presets in bfloat16 on the meta device, counted and not computed.

The longest row has the planner's shape; the others are shorter, as in any batch.
"""

import gc
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import DynamicCache
from trl.kernels import chunked_logprob
from trl.trainer.utils import add_fused_lm_head

from memgen.contract.config import RunConfig
from memgen.contract.planner.gold import gold_moment
from memgen.contract.planner.memory import MemoryPlan, plan
from memgen.contract.planner.moments import Moment
from memgen.contract.planner.parts import Lora, Parts, parts_of
from memgen.contract.planner.shapes import Shape, weaver_passes
from memgen.contract.planner.width import rows_that_fit
from memgen.contract.presets import BUILT_IN, Preset, get_preset
from memgen.contract.stages import stage_of
from memgen.contract.stages.evaluate import EvaluateConfig
from memgen.contract.stages.lora_grpo import LoraGrpoConfig
from memgen.contract.stages.lora_sft import LoraSftConfig
from memgen.contract.stages.lora_trainings import LoraTraining
from memgen.contract.stages.ltpo_evaluate import LtpoEvaluateConfig
from memgen.contract.stages.trigger_grpo import TriggerGrpoConfig
from memgen.contract.stages.weaver_grpo import WeaverGrpoConfig
from memgen.contract.stages.weaver_sft import WeaverSftConfig
from memgen.contract.weaver_variants import LORA_TARGETS
from memgen.model.batch_dropout import drop_by_batch
from memgen.model.ltpo import score_logits
from memgen.model.memgen_model import MemGenModel
from memgen.model.row_cache import Reading, RowStream
from memgen.model.stream import Stream
from memgen.stages import gold
from tests.memgen.contract.on_meta import (
    Peak,
    Saved,
    model_of,
    parameters_of,
    plain_model_of,
    pretended_gpu,
    rows_on_meta,
    size_of,
)

pytestmark = pytest.mark.usefixtures("pretended_gpu")
__all__ = ["pretended_gpu"]

LONG = (pytest.mark.long,)
PROMPTS, ANSWERS = (152, 149, 143, 150), (212, 208, 212, 199)
POINTS = (0, 31, 60, 112, 140, 190)  # of the answers: after the prompt, and five delimiters
SHAPE = Shape(rows=4, prompt=152, completion=212)


LAYERS = 8  # of a model that stands for its layout: each further one costs as much again, in memory and in time


def shallow(preset: Preset, layers: int = LAYERS) -> Preset:
    """A preset with a few of its layers."""
    return preset.model_copy(update={"dimensions": preset.dimensions.model_copy(update={"num_layers": layers})})


ALWAYS = ("SmolLM3-3B", "Qwen2.5-1.5B-Instruct", "Qwen3-14B")  # one of each layout that trains differently
EACH = [
    *(
        pytest.param(shallow(one), id=f"{one.short_name} {LAYERS} layers")
        for one in BUILT_IN
        if one.short_name in ALWAYS
    ),
    *(pytest.param(one, id=one.short_name, marks=LONG) for one in BUILT_IN),
]


@pytest.fixture(scope="module", params=EACH)
def preset(request: pytest.FixtureRequest) -> Preset:
    return request.param


@pytest.fixture(scope="module")
def model(preset: Preset) -> Iterator[MemGenModel]:
    yield model_of(preset, "meta", torch.bfloat16)
    gc.collect()


def near(size: int) -> object:
    return pytest.approx(size, rel=0.15)


def said(
    config: RunConfig, preset: Preset, name: str, shape: Shape = SHAPE, start: Parts | None = None
) -> tuple[MemoryPlan, Moment]:
    """The plan, and one of its moments."""
    held = {
        moment.name: moment
        for moment in stage_of(config).memory.moments(
            config, parts_of(config, start), preset.dimensions, 2, "cuda", shape
        )
    }
    return plan(config, preset, "cuda", shape, start), held[name]


TRAININGS = [WeaverSftConfig(), WeaverGrpoConfig(), TriggerGrpoConfig(checkpoint="x")]


@pytest.mark.parametrize("config", TRAININGS, ids=lambda one: one.stage)
def test_training_step_holds_what_the_planner_says(
    config: RunConfig, preset: Preset, model: MemGenModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams: list[Stream] = []
    make = model.stream
    monkeypatch.setattr(model, "stream", lambda rows: streams.append(make(rows)) or streams[-1])
    is_weaver = stage_of(config).makes == "weaver"
    groups = model.train_part("weaver" if is_weaver else "trigger")
    model.train(isinstance(config, WeaverSftConfig))
    trained = [parameter for group in groups.values() for parameter in group]
    rows = rows_on_meta(PROMPTS, ANSWERS, POINTS)
    saved = Saved(model)
    with Peak(parameters_of(model)) as peak:
        with saved:
            logprobs = model.token_logprobs(rows) if is_weaver else model.decision_logprobs(rows)
        kept, caches = saved.size(), size_of(cached(streams.pop()))
        streams.clear()
        torch.cat(logprobs).sum().backward()  # type: ignore[no-untyped-call]
    gradients = size_of(parameter.grad for parameter in trained if parameter.grad is not None)
    optimizer = torch.optim.AdamW(trained)
    optimizer.step()
    state = size_of(one for own in optimizer.state.values() for name, one in own.items() if name != "step")
    model.zero_grad()

    whole, moment = said(config, preset, "backward")
    weights = size_of(parameters_of(model)) + (size_of(trained) if stage_of(config).memory.keeps_start else 0)
    assert whole.weights + whole.trainables == near(weights)
    assert whole.gradients == near(gradients)
    assert whole.optimizer == near(state)
    assert moment.kept_by_layers + moment.kept_by_ends + moment.caches == near(kept)
    assert moment.caches == near(caches)
    assert moment.total + whole.gradients == near(peak.most)
    planned = whole.weights + whole.trainables + whole.optimizer + whole.gradients + moment.total
    assert planned == near(weights + state + peak.most)


def cached(stream: Stream) -> list[torch.Tensor]:
    return [one for pair in stream._layers for heads in pair for one in heads]


@pytest.mark.parametrize("config", TRAININGS, ids=lambda one: one.stage)
def test_step_with_gradient_checkpointing_holds_what_the_planner_says(config: RunConfig) -> None:
    preset, is_weaver = get_preset("Qwen/Qwen2.5-1.5B-Instruct"), stage_of(config).makes == "weaver"
    if is_weaver:  # of the trigger's the layer that runs again is planned too high: it counts among all of them
        preset = shallow(preset)
    model = model_of(preset, "meta", torch.bfloat16)
    model.train_part("weaver" if is_weaver else "trigger")
    model.recompute_layers()
    model.train(isinstance(config, WeaverSftConfig))
    rows = rows_on_meta(PROMPTS, ANSWERS, POINTS)
    with Peak(parameters_of(model)) as peak:
        logprobs = model.token_logprobs(rows) if is_weaver else model.decision_logprobs(rows)
        torch.cat(logprobs).sum().backward()  # type: ignore[no-untyped-call]
    whole, moment = said(config.model_copy(update={"gradient_checkpointing": True}), preset, "backward")
    assert moment.total + whole.gradients == near(peak.most)


@pytest.mark.parametrize(
    "config",
    [
        WeaverSftConfig(weaver_variant="static"),
        WeaverSftConfig(weaver_variant="no_lora"),
        WeaverSftConfig(weaver_variant="projections_only"),
        WeaverSftConfig(lora_targets="attention"),
        WeaverSftConfig(lora_targets="mlp"),
        WeaverSftConfig(lora_targets="all"),
    ],
    ids=lambda config: f"{config.weaver_variant} {config.lora_targets}",
)
def test_step_of_an_ablated_weaver_holds_what_the_planner_says(config: WeaverSftConfig) -> None:
    preset = shallow(get_preset("Qwen/Qwen2.5-0.5B-Instruct"), 4)
    variant, targets = config.weaver_variant, config.lora_targets
    model = model_of(preset, "meta", torch.bfloat16, variant=variant, lora_targets=targets)
    trained = [parameter for group in model.train_part("weaver").values() for parameter in group]
    model.train()
    saved = Saved(model)
    with Peak(parameters_of(model)) as peak:
        with saved:
            logprobs = model.token_logprobs(rows_on_meta(PROMPTS, ANSWERS, POINTS))
        kept = saved.size()
        torch.cat(logprobs).sum().backward()  # type: ignore[no-untyped-call]
    whole, moment = said(config, preset, "backward")
    assert whole.weights + whole.trainables == near(size_of(parameters_of(model)))
    assert whole.gradients == size_of(trained) == whole.optimizer // 2
    assert moment.kept_by_layers + moment.kept_by_ends + moment.caches == near(kept)
    assert moment.total + whole.gradients == near(peak.most)


def test_generation_and_latent_search_hold_what_the_planner_says(preset: Preset, model: MemGenModel) -> None:
    model.train_part(None)
    model.eval()
    ids = [torch.empty(prompt, dtype=torch.long, device="meta") for prompt in PROMPTS]
    everyone = range(len(ids))

    def weave(chunks: list[torch.Tensor], beside: Reading, *, prompt: bool) -> list[torch.Tensor]:
        return model.read_and_weave(beside, Reading(weaver, everyone, chunks), prompt=[prompt] * len(ids))[1]

    with Peak(parameters_of(model)) as peak, torch.no_grad():
        reasoner, weaver, trigger = (model.row_stream(len(ids)) for _ in range(3))
        prompts = [model.embed(own) for own in ids]
        model.decide(trigger, everyone, prompts)
        latents = weave(prompts, Reading(reasoner, everyone, prompts), prompt=True)
        answer = model.embed(torch.empty(SHAPE.completion, dtype=torch.long, device="meta"))
        for start, end in zip(POINTS, (*POINTS[1:], SHAPE.completion), strict=True):
            fresh = answer[start:end]
            hidden = reasoner.read(everyone, [torch.cat([own, fresh]) for own in latents])
            model.logits(torch.stack([own[-1] for own in hidden]))
            if end < SHAPE.completion:
                model.decide(trigger, everyone, [fresh] * len(ids))
                chunks = [torch.cat([own, fresh]) for own in latents]
                latents = weave(chunks, Reading(reasoner, [], []), prompt=False)
    caches = sum(size_of(buffers(stream)) for stream in (reasoner, weaver, trigger))
    whole, moment = said(EvaluateConfig(setting="weaver+trigger", checkpoint="x", batch_size=4), preset, "generation")
    assert (whole.gradients, whole.optimizer) == (0, 0)
    assert moment.caches == near(caches)
    weights = whole.weights + whole.trainables
    assert weights + moment.total == near(size_of(parameters_of(model)) + peak.most)

    candidate = torch.stack(latents).float().requires_grad_()
    saved = Saved(model)
    with Peak([*parameters_of(model), *buffers(reasoner), candidate]) as peak:
        with saved:
            hidden = reasoner.prefix(list(everyone)).peek(candidate.to(torch.bfloat16))
            score = score_logits(model.logits(hidden), 10)
        kept = saved.size()
        torch.autograd.grad(score.reward.sum(), candidate)
    _, moment = said(LtpoEvaluateConfig(checkpoint="x", batch_size=4), preset, "latent search")
    assert moment.kept_by_layers + moment.kept_by_ends == near(kept)
    assert moment.total - moment.caches == near(peak.most)


@pytest.mark.parametrize("rows", [8, 64, 256])
def test_base_generation_holds_what_the_planner_says_however_wide_it_is(rows: int) -> None:
    preset, shape = get_preset("Qwen/Qwen2.5-1.5B-Instruct"), Shape(rows, 160, 256, 0, 0)
    with torch.device("meta"):
        base = plain_model_of(preset, torch.bfloat16)
    cache = DynamicCache()

    def pass_of(new: int, seen: int) -> None:
        ids = torch.empty((rows, new), dtype=torch.long, device="meta")
        mask = torch.ones((rows, 1, new, seen), dtype=torch.bool, device="meta")
        base(input_ids=ids, attention_mask=mask, past_key_values=cache, logits_to_keep=1).logits[:, -1].float()

    with Peak(base.parameters()) as prompts, torch.inference_mode():
        pass_of(shape.prompt, shape.prompt)
    for layer in cache.layers:  # as long as in front of the last token
        grown = (rows, preset.dimensions.num_kv_heads, shape.positions - 1, preset.dimensions.head_dim)
        layer.keys, layer.values = (torch.empty(grown, dtype=torch.bfloat16, device="meta") for _ in range(2))
    held = [one for layer in cache.layers for one in (layer.keys, layer.values)]
    with Peak(base.parameters()) as last, torch.inference_mode():
        last.add(held)
        held.clear()
        pass_of(1, shape.positions)
    _, first = said(EvaluateConfig(), preset, "prompts", shape)
    _, end = said(EvaluateConfig(), preset, "generation", shape)
    assert first.total == pytest.approx(prompts.most, rel=0.05)
    assert end.total == pytest.approx(last.most, rel=0.05)


@pytest.mark.parametrize("card", [16, 24, 80])
def test_width_that_fits_on_a_card_is_planned_as_counted_with_latents(card: int) -> None:
    preset, config = get_preset("Qwen/Qwen2.5-1.5B-Instruct"), EvaluateConfig(setting="weaver", checkpoint="x")
    rows = rows_that_fit(config, preset, [card * 2**30], 10_000)
    shape = stage_of(config).memory.batch(config.with_width(rows), parts_of(config))
    model = model_of(preset, "meta", torch.bfloat16)
    everyone, at_prompt = range(rows), [True] * rows

    def tokens(count: int) -> list[torch.Tensor]:
        return [model.embed(torch.empty(count, dtype=torch.long, device="meta"))] * rows

    with torch.no_grad():
        reasoner, weaver = (model.row_stream(rows) for _ in range(2))
        reasoner.read(everyone, tokens(shape.positions))
        weaver.read(everyone, tokens(weaver_passes(shape)[-1].seen))
        for row in everyone:  # all answers end at one token, and prompts take their places
            reasoner.clear(row)
            weaver.clear(row)
        with Peak(parameters_of(model)) as peak:
            peak.add([*buffers(reasoner), *buffers(weaver)])
            prompts = tokens(shape.prompt)
            reading = Reading(reasoner, everyone, prompts), Reading(weaver, everyone, prompts)
            model.read_and_weave(*reading, prompt=at_prompt)
    need = plan(config.with_width(rows), preset, "cuda")
    counted = size_of(parameters_of(model)) + peak.most
    assert need.total - need.process == pytest.approx(counted, rel=0.1)


def test_likelihood_of_solutions_holds_what_the_planner_says(monkeypatch: pytest.MonkeyPatch) -> None:
    preset = shallow(get_preset("Qwen/Qwen2.5-1.5B-Instruct"))
    model = model_of(preset, "meta", torch.bfloat16)
    rows = rows_on_meta(PROMPTS, ANSWERS, POINTS)
    monkeypatch.setattr(gold, "_row", lambda _model, ids, *_: next(row for row in rows if row.ids is ids))
    with Peak(parameters_of(model)) as peak, torch.no_grad():
        gold.with_latents(model, trigger=False, choose=None)(range(4), [row.ids for row in rows], PROMPTS)
    moment = gold_moment(preset.dimensions, 2, SHAPE, held=0)
    assert peak.most <= 1.05 * moment.total
    assert moment.total == pytest.approx(peak.most, rel=0.3)


def buffers(stream: RowStream) -> list[torch.Tensor]:
    return [buffer for pair in stream.buffers.layers for buffer in pair]


@pytest.mark.parametrize("preset", [shallow(BUILT_IN[1])], ids=lambda preset: preset.short_name)
@pytest.mark.parametrize(
    "stage", [LoraSftConfig, LoraGrpoConfig], ids=lambda stage: stage.model_fields["stage"].default
)
@pytest.mark.parametrize("targets", ["qv", "all"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_step_of_a_plain_lora_holds_what_the_planner_says(
    preset: Preset,
    stage: type[LoraSftConfig | LoraGrpoConfig],
    targets: str,
    checkpointing: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend_triton(monkeypatch)
    config = stage(lora_targets=targets, gradient_checkpointing=checkpointing, batch_size=8)
    model, lora = with_lora(preset, config)
    most = step_of_trl(config, model, lora, monkeypatch)
    whole, moment = said(config, preset, "backward")
    assert moment.total + whole.gradients == closely(most)
    kept = size_of(lora.parameters()) + (whole.gradients if stage_of(config).memory.keeps_start else 0)
    assert whole.weights + whole.trainables == near(kept)


def test_step_of_a_plain_lora_without_kernels_of_triton_holds_more_as_the_planner_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    preset, config = shallow(BUILT_IN[1]), LoraGrpoConfig(batch_size=4, num_generations=4)  # which drops nothing
    model, lora = with_lora(preset, config)
    most = step_of_trl(config, model, lora, monkeypatch)
    moments = stage_of(config).memory.moments(config, parts_of(config), preset.dimensions, 2, "cpu", SHAPE)
    assert moments[-1].total + plan(config, preset, "cpu", SHAPE).gradients == closely(most)


def closely(size: int) -> object:
    return pytest.approx(size, rel=0.11)


def pretend_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    """trl finds kernels that work in place; all positions have labels, as which ones do is not known on meta."""

    class Kernel:
        def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
            return lambda *_, **__: None

    for name, value in {
        "_use_triton": lambda _device: True, "triton": SimpleNamespace(cdiv=lambda a, b: -(-a // b)),
        "_forward_kernel": Kernel(), "_backward_kernel": Kernel(), "_addmm_fp32": lambda *_: None,
    }.items():  # fmt: skip
        monkeypatch.setattr(chunked_logprob, name, value, raising=False)


def step_of_trl(config: LoraTraining, model: Any, lora: Any, monkeypatch: pytest.MonkeyPatch) -> int:
    """Bytes at most of a step of SHAPE, a piece of its batch, as trl and our dropout make it."""
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda *_: False)  # it does not know the meta device
    add_fused_lm_head(model, outputs=("log_probs", "entropy", "is_top1"))
    if config.gradient_checkpointing:
        lora.enable_input_require_grads()
        model.gradient_checkpointing_enable()
    turn = drop_by_batch(lora)
    lora.train()
    ids = torch.empty((SHAPE.rows, SHAPE.prompt + SHAPE.completion), dtype=torch.long, device="meta")
    with Peak(lora.parameters()) as peak, turn.of(range(SHAPE.rows), config.batch_size):
        mask = torch.ones((SHAPE.rows, 1, ids.shape[1], ids.shape[1]), dtype=torch.bool, device="meta")
        output = lora(input_ids=ids, attention_mask=mask, labels=ids, fused_lm_head=True)
        loss_of(config, output.log_probs).backward()
    return peak.most


def with_lora(preset: Preset, config: LoraSftConfig | LoraGrpoConfig) -> tuple[Any, Any]:
    targets = list(LORA_TARGETS[config.lora_targets])
    with torch.device("meta"):
        model = plain_model_of(preset, torch.bfloat16)
        settings = LoraConfig(r=config.lora_r, lora_dropout=config.lora_dropout, target_modules=targets)
        return model, get_peft_model(model, settings)


def loss_of(config: RunConfig, logprobs: torch.Tensor) -> torch.Tensor:
    """That of solutions, or of completions with their clipped ratios."""
    if not isinstance(config, LoraGrpoConfig):
        return -logprobs.sum()
    ratio = (logprobs - logprobs.detach()).exp()
    return -torch.min(ratio, ratio.clamp(1 - config.epsilon, 1 + config.epsilon)).sum()


def test_rollout_of_lora_grpo_holds_what_the_planner_says() -> None:
    preset, config = shallow(BUILT_IN[1]), LoraGrpoConfig(batch_size=4, num_generations=4)
    shape = Shape(rows=4, prompt=152, completion=8, prompt_insertions=0, insertions=0)
    _, lora = with_lora(preset, config)
    cache = DynamicCache()
    with Peak(lora.parameters()) as peak, torch.no_grad():
        for seen in range(shape.prompt, shape.prompt + shape.completion + 1):
            new = seen if seen == shape.prompt else 1
            ids = torch.empty((shape.rows, new), dtype=torch.long, device="meta")
            mask = torch.ones((shape.rows, 1, new, seen), dtype=torch.bool, device="meta")
            logits = lora(input_ids=ids, attention_mask=mask, past_key_values=cache, logits_to_keep=1).logits
            torch.softmax(logits[:, -1].float() / config.temperature, dim=-1)
    _, moment = said(config, preset, "generation", shape)
    assert moment.caches == near(size_of(one for layer in cache.layers for one in (layer.keys, layer.values)))
    _, prompts = said(config, preset, "prompts", shape)
    assert max(prompts.total, moment.total) == near(peak.most)


@pytest.mark.parametrize("config", TRAININGS[1:], ids=lambda one: one.stage)
def test_step_from_a_checkpoint_holds_what_the_planner_says_of_its_lora(config: RunConfig) -> None:
    preset, is_weaver = shallow(get_preset("Qwen/Qwen2.5-0.5B-Instruct"), 4), stage_of(config).makes == "weaver"
    config = config.model_copy(update={"checkpoint": "x"})
    wide = Lora(64, LORA_TARGETS["all"])
    start = Parts({"weaver": wide, "trigger": wide}, {})
    model = model_of(preset, "meta", torch.bfloat16, lora_r=64, lora_targets="all")
    groups = model.train_part("weaver" if is_weaver else "trigger")
    trained = [parameter for group in groups.values() for parameter in group]
    with Peak(parameters_of(model)) as peak:
        rows = rows_on_meta(PROMPTS, ANSWERS, POINTS)
        logprobs = model.token_logprobs(rows) if is_weaver else model.decision_logprobs(rows)
        torch.cat(logprobs).sum().backward()  # type: ignore[no-untyped-call]
    whole, moment = said(config, preset, "backward", start=start)
    assert whole.weights + whole.trainables - whole.gradients == near(size_of(parameters_of(model)))
    assert whole.gradients == size_of(trained) == whole.optimizer // 2
    assert moment.total + whole.gradients == near(peak.most)
    assert said(config, preset, "backward")[0].gradients < 0.3 * whole.gradients, "without its checkpoint"
