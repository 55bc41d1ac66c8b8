"""Ablations of the weaver: what is left out is neither trained nor computed, and a checkpoint says what it is."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from memgen.contract.errors import BadInput
from memgen.contract.manifest import file_hash, read_manifest
from memgen.contract.presets import get_preset
from memgen.contract.stages.weaver_sft import WeaverSftConfig
from memgen.contract.weaver_variants import LORA_TARGETS, VARIANTS
from memgen.model.authors_layout import export_authors, import_authors
from memgen.model.base import BaseModel, load_base
from memgen.model.checkpoint import load_checkpoint, new_model
from memgen.model.fetch import fetch_model
from memgen.model.memgen_model import LatentSettings, MemGenModel, Row
from memgen.model.row_cache import Reading
from memgen.monitor import Monitor
from tests.conftest import GOLDEN, TINY
from tests.memgen.stages.running import Killed, config_of, events, kill_after, metric, run, score_by

ABLATED = [name for name in VARIANTS if name != "full"]
LATENTS = {
    "prompt_query_latents", "inference_query_latents", "prompt_latent_scale", "inference_latent_scale",
    "prompt_latent_ln.weight", "prompt_latent_ln.bias", "inference_latent_ln.weight", "inference_latent_ln.bias",
}  # fmt: skip
INTO, OUT = ({f"{name}.weight", f"{name}.bias"} for name in ("reasoner_to_weaver", "weaver_to_reasoner"))
TRAINED = {
    "full": LATENTS | INTO | OUT,
    "no_lora": LATENTS | INTO | OUT,
    "projections_only": INTO | OUT,
    "static": LATENTS | OUT,
}


@pytest.fixture
def base(home: Path) -> BaseModel:
    return load_base(fetch_model(get_preset(TINY), None, home, Monitor(None)), "float32")


def model_of(base: BaseModel, **given: Any) -> MemGenModel:
    torch.manual_seed(3)
    return new_model(base, LatentSettings(prompt_latents_len=3, inference_latents_len=2), lora_r=4, lora_alpha=8,
                     lora_dropout=0.0, **given)  # fmt: skip


def rows_of() -> list[Row]:
    drawn = torch.Generator().manual_seed(5)
    lengths, points = (30, 22), ([9, 14, 20], [9, 17])
    return [Row(torch.randint(3, 1000, (n,), generator=drawn), at, 9) for n, at in zip(lengths, points, strict=True)]


def sft(**given: Any) -> WeaverSftConfig:
    config = config_of(stage="weaver_sft", num_questions=8, max_steps=4, batch_size=4, learning_rate=0.01,
                       eval_questions=4, save_steps=2, **given)  # fmt: skip
    assert isinstance(config, WeaverSftConfig)
    return config


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_reach_what_the_variant_trains_and_nothing_else(base: BaseModel, variant: Any) -> None:
    model = model_of(base, variant=variant)
    groups = model.train_part("weaver")
    assert tuple(groups) == VARIANTS[variant].trains
    model.train()
    (-torch.cat(model.token_logprobs(rows_of())).sum()).backward()  # type: ignore[no-untyped-call]
    reached = {name for name, one in model.weaver.named_parameters() if one.grad is not None and bool(one.grad.any())}
    assert reached == TRAINED[variant]
    lora = model.adapters.parameters("weaver")
    lora_b = [name for name, one in lora.items() if one.grad is not None and bool(one.grad.any())]
    assert lora_b == ([name for name in lora if "lora_B" in name] if variant == "full" else [])
    named = {id(one) for group in groups.values() for one in group}
    others = [*model.base.model.parameters(), *model.parameters()]
    assert all(one.grad is None and not one.requires_grad for one in others if id(one) not in named)

    first = [one.grad for group in groups.values() for one in group]
    model.zero_grad()
    model.recompute_layers()
    (-torch.cat(model.token_logprobs(rows_of())).sum()).backward()  # type: ignore[no-untyped-call]
    again = [one.grad for group in groups.values() for one in group]
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(again, first, strict=True))


def test_static_latents_are_the_same_everywhere_and_stand_in_the_input_as_vectors(base: BaseModel) -> None:
    model, rows = model_of(base, variant="static"), rows_of()
    woven = model.latents_of(rows)
    assert torch.equal(woven[0][0], woven[1][0])
    assert torch.equal(woven[0][1], woven[0][2])
    assert torch.equal(woven[0][1], woven[1][1])
    for row, latents, logprobs in zip(rows, woven, model.token_logprobs(rows), strict=True):
        embedded, parts, start, places = model.embed(row.ids), [], 0, []
        for number in range(len(row.ids)):
            if number in row.points:
                parts += [embedded[start:number], latents[row.points.index(number)]]
                start = number
            places.append(number + sum(len(one) for one, at in zip(latents, row.points, strict=True) if at <= number))
        with torch.no_grad():
            logits = base.model(inputs_embeds=torch.cat([*parts, embedded[start:]])[None]).logits[0]
        plain = torch.log_softmax(logits, -1)
        wanted = torch.stack([plain[places[at] - 1, row.ids[at]] for at in range(row.first_label, len(row.ids))])
        assert torch.allclose(logprobs, wanted, atol=1e-4)


def test_weaver_without_lora_is_the_base_and_ignores_an_adapter(base: BaseModel) -> None:
    rows = rows_of()
    untrained, bare = model_of(base).latents_of(rows), model_of(base, variant="no_lora")
    for ours, theirs in zip(bare.latents_of(rows), untrained, strict=True):
        assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(
    "given", [{"variant": name} for name in VARIANTS] + [{"lora_targets": one} for one in LORA_TARGETS]
)
def test_generation_weaves_what_training_does(base: BaseModel, given: dict[str, Any]) -> None:
    model = model_of(base, **given)
    with torch.no_grad():
        for name, one in model.adapters.parameters("weaver").items():
            if "lora_B" in name:
                one.normal_(0, 0.3)
    row = rows_of()[0]
    with torch.no_grad():
        embedded = model.embed(row.ids)
        (trained,) = model.latents_of([row])
        reasoner, weaver = model.row_stream(1), model.row_stream(1)
        generated, start, before = [], 0, embedded[:0]
        for point in row.points:
            fresh = torch.cat([before, embedded[start:point]])
            reading = Reading(reasoner, [0], [fresh])
            _, woven = model.read_and_weave(reading, Reading(weaver, [0], [fresh]), prompt=[point == row.points[0]])
            generated.append(woven[0])
            start, before = point, woven[0]
    assert all(torch.allclose(one, other, atol=1e-4) for one, other in zip(generated, trained, strict=True))


@pytest.mark.parametrize("targets", LORA_TARGETS)
def test_lora_stands_on_the_modules_that_the_config_names(base: BaseModel, targets: Any) -> None:
    model = model_of(base, lora_targets=targets)
    modules = {name.split(".")[-3] for name in model.adapters.parameters("weaver")}
    assert modules == set(LORA_TARGETS[targets])
    groups = model.train_part("weaver")
    (-torch.cat(model.token_logprobs(rows_of())).sum()).backward()  # type: ignore[no-untyped-call]
    reached = {name for name, one in model.adapters.parameters("weaver").items() if one.grad.any()}
    assert reached == {name for name in model.adapters.parameters("weaver") if "lora_B" in name}
    assert len(groups["lora"]) == 2 * len(reached)


@pytest.mark.parametrize("variant", ABLATED)
def test_ablated_weaver_is_trained_resumed_evaluated_and_gets_a_trigger(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: str
) -> None:
    config = sft(weaver_variant=variant)
    result = run(home, tmp_path / "whole", config)
    assert result["eval_loss"] < result["eval_loss_before"]
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, 3)
        run(home, tmp_path / "first", config)
    run(home, tmp_path / "second", config, resume=tmp_path / "first")
    losses = [metric(tmp_path / part, "train/loss") for part in ("whole", "first", "second")]
    assert losses[1] | losses[2] == losses[0]
    weaver = tmp_path / "second" / "weaver_sft"
    manifest = read_manifest(weaver)
    assert manifest.files == read_manifest(tmp_path / "whole" / "weaver_sft").files
    assert (manifest.weaver_variant, manifest.trained, manifest.trained_loras) == (variant, ["weaver"], [])
    assert not events(tmp_path / "whole", "warning")

    short = {"num_questions": 2, "batch_size": 2, "max_completion_length": 12}
    trigger = config_of(stage="trigger_grpo", checkpoint=str(weaver), sample_tokens=True, num_generations=2,
                        max_steps=1, **short)  # fmt: skip
    run(home, tmp_path / "grpo", trigger)
    further = config_of(stage="weaver_grpo", checkpoint=str(weaver), num_generations=2, max_steps=1, **short)
    run(home, tmp_path / "weaver grpo", further)
    assert read_manifest(tmp_path / "weaver grpo" / "weaver_grpo").weaver_variant == variant
    child = tmp_path / "grpo" / "trigger_grpo"
    assert read_manifest(child).weaver_variant == variant
    assert "weaver" in read_manifest(child).trained
    for number, (checkpoint, given) in enumerate((
        (weaver, {"stage": "evaluate", "setting": "weaver"}),
        (child, {"stage": "evaluate", "setting": "weaver+trigger"}),
        (child, {"stage": "ltpo_evaluate", "max_steps": 1}),
    )):  # fmt: skip
        config = config_of(**given, **short, checkpoint=str(checkpoint))
        assert run(home, tmp_path / f"evaluation {number}", config)["num_questions"] == 2


@pytest.mark.parametrize(
    "given",
    [
        {"weaver_variant": "static", "prompt_latents_len": 2},
        {"weaver_variant": "projections_only"},
        {"lora_targets": "all", "lora_r": 4, "skip_probability": 0.5},
    ],
    ids=lambda given: "-".join(map(str, given.values())),
)
def test_weaver_by_rewards_starts_anew_as_an_ablated_one_and_goes_on_after_a_kill(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]
) -> None:
    score_by(monkeypatch, lambda one: sum(token % 2 for token in one.ids) / len(one.ids))
    config = config_of(stage="weaver_grpo", num_questions=8, batch_size=4, num_generations=4, max_steps=3,
                       max_completion_length=16, learning_rate=0.01, save_steps=1, **given)  # fmt: skip
    run(home, tmp_path / "whole", config)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, 2)
        run(home, tmp_path / "first", config)
    run(home, tmp_path / "second", config, resume=tmp_path / "first")
    losses = [metric(tmp_path / part, "train/loss") for part in ("whole", "first", "second")]
    assert losses[1] | losses[2] == losses[0]
    manifest = read_manifest(tmp_path / "second" / "weaver_grpo")
    assert manifest.files == read_manifest(tmp_path / "whole" / "weaver_grpo").files
    variant = given.get("weaver_variant", "full")
    assert (manifest.weaver_variant, manifest.lora["weaver"].r) == (variant, given.get("lora_r", 16))
    assert set(manifest.lora["weaver"].target_modules) == set(LORA_TARGETS[given.get("lora_targets", "qv")])
    moved = load_file(tmp_path / "whole" / "weaver_grpo" / "parts.safetensors")
    start = load_file(tmp_path / "whole" / "checkpoints" / "step-2" / "parts.safetensors")
    changed = {name.removeprefix("weaver.") for name in moved if not torch.equal(moved[name], start[name])}
    assert changed and changed <= TRAINED[variant]


def test_rollout_leaves_out_delimiters_by_chance_in_the_place_of_the_trigger(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "imported"
    import_authors(GOLDEN / "a" / "checkpoint", get_preset(TINY), folder, home, Monitor(None))

    def insertions(**given: Any) -> tuple[float, bool]:
        config = config_of(stage="weaver_grpo", checkpoint=str(folder), num_questions=4, batch_size=8,
                           num_generations=4, max_steps=1, max_completion_length=48, **given)  # fmt: skip
        out = tmp_path / "-".join(map(str, given.values()))
        run(home, out, config)
        return metric(out, "train/insertions")[1], bool(metric(out, "train/insert_rate"))

    few, asked = insertions(skip_probability=0.9)
    more, asked_too = insertions(skip_probability=0.01)
    assert 1 <= few < more
    assert not asked and not asked_too
    assert insertions(seed=1)[1], "without chance the checkpoint's trigger is asked"


def test_checkpoint_of_an_ablated_weaver_with_a_lora_is_refused(home: Path, tmp_path: Path, base: BaseModel) -> None:
    run(home, tmp_path / "run", sft(weaver_variant="no_lora"))
    folder = tmp_path / "run" / "weaver_sft"
    path = folder / "weaver.safetensors"
    save_file({name: one + 1 for name, one in load_file(path).items()}, path)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][path.name] = file_hash(path)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BadInput, match="one with no LoRA, and it has a LoRA"):
        load_checkpoint(folder, base, manifest["base_model"])


@pytest.mark.parametrize(
    ("given", "field", "code"),
    [
        ({"weaver_variant": "full"}, "weaver_variant", "other_weaver"),
        ({"weaver_variant": "static", "lora_targets": "all"}, "lora_targets", "other_lora"),
    ],
)
def test_training_goes_on_from_a_weaver_of_its_own_kind_alone(
    home: Path, tmp_path: Path, given: dict[str, Any], field: str, code: str
) -> None:
    run(home, tmp_path / "run", sft(weaver_variant="static"))
    folder = str(tmp_path / "run" / "weaver_sft")
    with pytest.raises(BadInput) as caught:
        run(home, tmp_path / "other", sft(checkpoint=folder, **given))
    assert (caught.value.code, caught.value.field) == (code, field)
    assert run(home, tmp_path / "same", sft(checkpoint=folder, weaver_variant="static"))["steps"] == 4
    assert read_manifest(tmp_path / "same" / "weaver_sft").trained == ["weaver"]


def test_ablated_weaver_is_not_exported_to_a_layout_that_has_no_word_for_it(home: Path, tmp_path: Path) -> None:
    run(home, tmp_path / "run", sft(weaver_variant="static"))
    with pytest.raises(BadInput) as caught:
        export_authors(tmp_path / "run" / "weaver_sft", get_preset(TINY), tmp_path / "out", home, Monitor(None))
    assert caught.value.code == "ablated_weaver"
    assert not (tmp_path / "out").exists()
