import pytest

from memgen.contract.config import RunConfig, parse_config
from memgen.contract.manifest import LoraSettings, Manifest
from memgen.contract.planner.disk import output_bytes
from memgen.contract.planner.memory import plan, weights_bytes
from memgen.contract.planner.parameters import weaver_parameters
from memgen.contract.planner.parts import Lora, Parts, parts_in, parts_of
from memgen.contract.planner.placement import place, share
from memgen.contract.planner.shapes import Pass, Shape, weaver_passes
from memgen.contract.presets import BUILT_IN, DEMO_PRESET, get_preset
from memgen.contract.stages import stage_of
from memgen.contract.stages.evaluate import EvaluateConfig
from memgen.contract.stages.lora_sft import LoraSftConfig
from memgen.contract.stages.lora_trainings import rank_of
from memgen.contract.stages.ltpo_evaluate import LtpoEvaluateConfig
from memgen.contract.stages.trigger_grpo import TriggerGrpoConfig
from memgen.contract.stages.weaver_grpo import WeaverGrpoConfig
from memgen.contract.stages.weaver_sft import WeaverSftConfig

DEMO, SMALL, MIDDLE, LARGE = (
    get_preset(name)
    for name in (DEMO_PRESET, "Qwen/Qwen2.5-1.5B-Instruct", "Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen3-14B")
)
WOVEN = EvaluateConfig(setting="weaver", checkpoint="x")
GIB = 2**30


def fullest_batch(config: RunConfig) -> Shape:
    return stage_of(config).memory.batch(config, parts_of(config))


def total(config: RunConfig) -> int:
    return plan(config, SMALL, "cuda").total


def test_total_is_the_sum_of_the_parts_and_the_weights_its_floor() -> None:
    for config in (EvaluateConfig(), WOVEN, WeaverSftConfig(), TriggerGrpoConfig(checkpoint="x")):
        own = plan(config, SMALL, "cuda")
        parts = (own.weights, own.trainables, own.gradients, own.optimizer, own.activations, own.caches, own.process)
        assert (own.total, own.allocator) == (sum(parts), 0)
        assert own.weights == weights_bytes(SMALL)


def test_larger_batch_takes_more_caches_and_activations_and_nothing_else() -> None:
    small = plan(EvaluateConfig(batch_size=2), SMALL, "cuda")
    large = plan(EvaluateConfig(batch_size=8), SMALL, "cuda")
    assert large.caches == 4 * small.caches
    assert large.total - small.total == large.caches + large.activations - small.caches - small.activations


def test_one_row_may_be_the_longest_and_a_larger_batch_never_needs_less() -> None:
    needs = [total(WeaverSftConfig(micro_batch_size=rows)) for rows in range(1, 6)]
    assert needs == sorted(set(needs))
    one, two = (fullest_batch(WeaverSftConfig(micro_batch_size=rows)) for rows in (1, 2))
    assert one.completion > two.completion


def test_each_setting_of_an_evaluation_needs_more_than_the_one_before() -> None:
    settings = [
        EvaluateConfig(),
        WOVEN,
        EvaluateConfig(setting="weaver+trigger", checkpoint="x"),
        LtpoEvaluateConfig(checkpoint="x"),
    ]
    needs = [total(config) for config in settings]
    assert needs == sorted(set(needs))
    assert total(LtpoEvaluateConfig(checkpoint="x", max_steps=0)) == needs[2]
    assert total(LtpoEvaluateConfig(checkpoint="x", update="reinforce")) < needs[3]
    assert total(LtpoEvaluateConfig(checkpoint="x", positions="last")) < needs[3], "logits of one latent"
    assert total(TriggerGrpoConfig(checkpoint="x")) == total(
        TriggerGrpoConfig(checkpoint="x", gradient_accumulation_steps=1)
    )
    assert (plan(EvaluateConfig(), SMALL, "cuda").trainables, plan(WOVEN, SMALL, "cuda").optimizer) == (0, 0)


def test_weaver_reads_each_token_once_and_latents_with_the_next_tokens() -> None:
    shape = Shape(1, prompt=100, completion=60, insertions=2, prompt_latents=8, inference_latents=4)
    assert weaver_passes(shape) == [Pass(108, 108), Pass(42, 142), Pass(38, 176)]
    assert shape.positions == 100 + 60 + 8 + 2 * 4
    assert weaver_passes(Shape(1, 100, 60, prompt_insertions=0, insertions=1))[0] == Pass(168, 168)


def test_rows_are_as_long_as_data_and_limits_allow() -> None:
    assert fullest_batch(WeaverSftConfig(data="wordproblems", micro_batch_size=4)) == Shape(4, 80, 72)
    assert fullest_batch(
        WeaverSftConfig(max_prompt_length=50, max_completion_length=40, micro_batch_size=None)
    ) == Shape(4, 50, 40)
    assert fullest_batch(EvaluateConfig(batch_size=2)) == Shape(2, 300, 1024, prompt_insertions=0, insertions=0)
    assert fullest_batch(TriggerGrpoConfig(checkpoint="x")).prompt == 300
    config = parse_config({"stage": "evaluate", "setting": "weaver", "checkpoint": "x", "inference_latents_len": 4})
    assert fullest_batch(config).inference_latents == 4


def test_gradient_checkpointing_keeps_layer_inputs_alone() -> None:
    for config in (WeaverSftConfig(), TriggerGrpoConfig(checkpoint="x", max_completion_length=200)):
        usual = plan(config, MIDDLE, "cuda").widest
        leaner = plan(config.model_copy(update={"gradient_checkpointing": True}), MIDDLE, "cuda").widest
        assert leaner.kept_by_layers < 0.2 * usual.kept_by_layers
        assert leaner.kept_by_ends == usual.kept_by_ends
        assert leaner.total < 0.5 * usual.total


def test_lora_needs_what_its_rank_and_layers_say() -> None:
    base, lora = total(EvaluateConfig()), total(EvaluateConfig(setting="lora", checkpoint="x"))
    assert base < lora < base + 0.1 * GIB
    few, many = (plan(LoraSftConfig(lora_targets=name), SMALL, "cuda") for name in ("qv", "all"))
    assert (few.trainables, few.optimizer) == (few.gradients, 2 * few.gradients)
    assert few.gradients == plan(WeaverSftConfig(), SMALL, "cuda").gradients - 4 * weaver_parameters(
        parts_of(WeaverSftConfig()), SMALL.dimensions
    )
    assert many.gradients > 5 * few.gradients
    assert many.widest.kept_by_layers > few.widest.kept_by_layers


def test_checkpoint_decides_rank_modules_lengths_and_what_is_left_of_the_weaver() -> None:
    wide = {"r": 64, "lora_alpha": 128, "lora_dropout": 0.0, "target_modules": ["model.layers.3.mlp.up_proj", "o_proj"]}
    manifest = Manifest(
        kind="import", base_model="b", tokenizer_hash="t", prompt_hash="p", trained=["weaver", "trigger"],
        latents={"prompt_latents_len": 2, "inference_latents_len": 32, "max_prompt_aug_num": 1,
                 "max_inference_aug_num": 9},
        lora={"weaver": LoraSettings(**wide), "trigger": LoraSettings(**wide | {"r": 8})}, weaver_variant="no_lora",
    )  # fmt: skip
    start = parts_in(manifest)
    assert start.loras == {"weaver": Lora(64, ("o_proj", "up_proj")), "trigger": Lora(8, ("o_proj", "up_proj"))}
    shape = stage_of(WOVEN).memory.batch(WOVEN, parts_of(WOVEN, start))
    assert (shape.insertions, shape.prompt_latents, shape.inference_latents) == (9, 2, 32)
    fewer = WOVEN.model_copy(update={"max_inference_aug_num": 3})
    assert stage_of(fewer).memory.batch(fewer, parts_of(fewer, start)).insertions == 3, "its own limit comes first"

    dims = SMALL.dimensions
    one_rank = dims.num_layers * (2 * dims.hidden_size + dims.hidden_size + dims.intermediate_size)
    beside = 72 * one_rank + weaver_parameters(parts_of(WOVEN, start), dims) + 2 * (dims.hidden_size + 1)
    assert plan(WOVEN, SMALL, "cuda", start=start).trainables == 4 * beside
    for config, trained in (
        (TriggerGrpoConfig(checkpoint="x"), 8 * one_rank + 2 * (dims.hidden_size + 1)),
        (WeaverGrpoConfig(checkpoint="x"), weaver_parameters(start, dims)),
    ):
        assert plan(config, SMALL, "cuda", start=start).gradients == 4 * trained
    lora = EvaluateConfig(setting="lora", checkpoint="x")
    assert plan(lora, SMALL, "cuda", start=Parts({"lora": Lora(8, ("o_proj",))}, {})).trainables == (
        4 * 8 * dims.num_layers * 2 * dims.hidden_size
    )


def test_numbers_to_train_decide_the_rank() -> None:
    wanted = 4 * 10**6
    config = LoraSftConfig(budget="numbers", trained_numbers=wanted)
    numbers = plan(config, SMALL, "cuda").gradients // 4
    assert abs(numbers - wanted) < wanted / rank_of(config, SMALL.dimensions)
    assert rank_of(LoraSftConfig(lora_r=5), SMALL.dimensions) == 5


def test_run_goes_whole_on_each_gpu_or_its_layers_are_spread_or_it_fits_nowhere() -> None:
    own = plan(EvaluateConfig(), LARGE, "cuda")
    need = own.total
    assert place(own, [need]) == "parallel"
    assert place(own, [need, need + 1]) == "parallel"
    assert place(own, [need - 1]) is None
    part = share(own, 2)
    assert need / 2 < part < 0.6 * need
    assert place(own, [part, need]) == "spread"
    assert place(own, [part - 1, need]) is None
    assert place(own, []) is None


@pytest.mark.parametrize("preset", BUILT_IN, ids=lambda preset: preset.short_name)
def test_shares_fall_with_the_gpus_and_cover_the_run(preset) -> None:
    own = plan(WeaverSftConfig(), preset, "cuda")
    shares = [share(own, gpus) for gpus in (2, 3, 4)]
    assert own.total > shares[0] > shares[1] > shares[2]
    assert all(gpus * one > own.total for gpus, one in zip((2, 3, 4), shares, strict=True))
    assert place(own, [own.total - 1] * (preset.dimensions.num_layers + 1)) is None


def test_model_whose_note_says_that_it_runs_on_a_cpu_holds_in_the_memory_of_a_laptop() -> None:
    on_cpu = [preset for preset in BUILT_IN if "runs on a CPU" in preset.note]
    assert on_cpu == [DEMO]
    assert all(plan(EvaluateConfig(), preset, "cpu").total < 8 * GIB for preset in on_cpu)


def test_larger_models_hold_on_gpus_of_8_24_and_40_gib() -> None:
    assert plan(EvaluateConfig(), SMALL, "cuda").total < 8 * GIB
    assert plan(WOVEN, MIDDLE, "cuda").total < 24 * GIB
    assert 24 * GIB < plan(WOVEN, LARGE, "cuda").total < 40 * GIB


def test_disk_holds_checkpoints_of_a_training_and_answers_of_an_evaluation() -> None:
    assert output_bytes(WeaverSftConfig(), LARGE, 100) > output_bytes(WeaverSftConfig(), SMALL, 100)
    assert output_bytes(EvaluateConfig(), SMALL, 1000) > output_bytes(EvaluateConfig(), SMALL, 10)
