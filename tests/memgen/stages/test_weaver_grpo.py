"""Weaver GRPO on the tiny base: the formula's gradient, replayed rollouts, and a kill that loses nothing."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from memgen.contract.config import InvalidConfig, RunConfig
from memgen.contract.data_sets.wordproblems import WORDPROBLEMS
from memgen.contract.errors import BadInput
from memgen.contract.manifest import MANIFEST, file_hash, read_manifest
from memgen.contract.presets import get_preset
from memgen.contract.rundir import RunDir, write_json
from memgen.contract.stages.weaver_grpo import WeaverGrpoConfig
from memgen.data import load_questions
from memgen.data.prompt import question_prompt
from memgen.model.authors_layout import import_authors
from memgen.model.base import load_base
from memgen.model.checkpoint import load_checkpoint, tensors_of
from memgen.model.checkpoint_files import OPTIMIZER, load_optimizer
from memgen.model.drawing import OLDEST
from memgen.model.fetch import fetch_model
from memgen.model.generation import encode_prompts
from memgen.model.memgen_model import MemGenModel, Row
from memgen.model.woven_generation import Completion, Sampling, generate_woven
from memgen.monitor import Monitor
from memgen.parallel.team import Team
from memgen.stages import training
from memgen.stages.context import Context
from memgen.stages.grpo import copies
from memgen.stages.weaver_grpo import Learner, Replay, replayed, token_weights, weaver_parameters
from memgen.stop import StopRequest
from tests.conftest import GOLDEN, TINY
from tests.memgen.stages.running import Killed, config_of, kill_after, metric, run, score_by


@pytest.fixture
def config(weaver: Path) -> RunConfig:
    return config_of(
        stage="weaver_grpo", checkpoint=str(weaver), num_questions=12, max_steps=6, batch_size=8, num_generations=4,
        max_completion_length=24, learning_rate=0.001, save_steps=2,
    )  # fmt: skip


def load(home: Path, folder: Path) -> MemGenModel:
    source = fetch_model(get_preset(TINY), None, home, Monitor(None))
    return load_checkpoint(folder, load_base(source, "float32"), source.identity)


@pytest.fixture
def scored_by_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    score_by(monkeypatch, lambda one: sum(token % 2 for token in one.ids) / len(one.ids))


@pytest.fixture
def prompts() -> list[torch.Tensor]:
    return [torch.arange(5, 30), torch.arange(60, 97), torch.arange(140, 151), torch.arange(5, 30)]


def declining(model: MemGenModel, monkeypatch: pytest.MonkeyPatch, declined: Sequence[int]) -> None:
    """Let the trigger decline the prompt's point of these rows, and insert at each other point."""
    calls: list[int] = []

    def decide(_: object, rows: Sequence[int], __: object) -> torch.Tensor:
        calls.append(len(rows))
        skips = [len(calls) == 1 and row in declined for row in rows]
        return torch.tensor([[-0.1, -9.0] if skip else [-9.0, -0.1] for skip in skips])

    monkeypatch.setattr(model, "decide", decide)


def sampled(
    model: MemGenModel, prompts: Sequence[torch.Tensor], temperature: float, lengths: Sequence[int] = (40, 40, 40, 40)
) -> list[Completion]:
    generators = [torch.Generator().manual_seed(number) for number in range(len(prompts))]
    sampling = Sampling(temperature, tokens=True, generators=generators, decisions=False)
    return generate_woven(model, prompts, lengths, trigger=True, sampling=sampling)


def test_replayed_log_probabilities_are_those_of_the_rollout_and_declined_points_are_not_made_up(
    home: Path, weaver: Path, prompts: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(home, weaver)
    declining(model, monkeypatch, [1, 3])
    monkeypatch.setattr(model, "is_delimiter", lambda token: token % 3 == 0)
    ones = sampled(model, prompts, 1.3)
    rows = [replayed(prompt, one) for prompt, one in zip(prompts, ones, strict=True)]
    assert [row.at_prompt for row in rows] == [True, False, True, False]
    assert all(len(prompt) not in row.points for prompt, row in zip(prompts, rows, strict=True) if not row.at_prompt)
    assert sum(len(row.points) for row in rows) > 6, "delimiters came, too"
    assert any(row.points and not row.at_prompt for row in rows)
    with torch.no_grad():
        for one, again in zip(ones, model.token_logprobs(rows, 1.3), strict=True):
            assert len(one.logprobs) == len(one.ids)
            assert again.tolist() == pytest.approx(one.logprobs, abs=1e-4)
        made_up = [replace(row, points=sorted({row.first_label, *row.points}), at_prompt=True) for row in rows]
        gaps = [
            float((again - torch.tensor(one.logprobs)).abs().max())
            for one, again in zip(ones, model.token_logprobs(made_up, 1.3), strict=True)
        ]
    assert [gap > 0.01 for gap in gaps] == [False, True, False, True]


@pytest.mark.parametrize("loss_type", ["grpo", "dr_grpo", "bnpo"])
def test_gradient_is_that_of_the_formula_written_out(
    home: Path, weaver: Path, prompts: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch, loss_type: str
) -> None:
    model = load(home, weaver)
    declining(model, monkeypatch, [1])
    ones = sampled(model, prompts, 1.3, (40, 33, 40, 37))
    rows = [replayed(prompt, one) for prompt, one in zip(prompts, ones, strict=True)]
    config = WeaverGrpoConfig(
        preset=TINY, batch_size=4, num_generations=4, max_completion_length=40, temperature=1.3, loss_type=loss_type,
        beta=0.3, num_iterations=2,
    )  # fmt: skip
    advantages = [0.75, -0.5, 0.25, -0.5]
    lengths = [len(one.ids) for one in ones]
    assert len(set(lengths)) > 1
    by_hand = {
        "grpo": [1 / (4 * length) for length in lengths],
        "dr_grpo": [1 / (4 * 40)] * 4,
        "bnpo": [1 / sum(lengths)] * 4,
    }[loss_type]
    weights = token_weights(lengths, loss_type, 40)  # type: ignore[arg-type]
    assert weights == pytest.approx(by_hand)
    replays = [
        Replay(row, torch.tensor(one.logprobs), advantage, weight)
        for row, one, advantage, weight in zip(rows, ones, advantages, weights, strict=True)
    ]
    parameters = weaver_parameters(model)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        start = plainly(model, rows, 1.3)
    model.train_part("weaver")
    context = Context(RunDir(Path("nowhere")), None, Path("nowhere"), None, Monitor(None), StopRequest(), Team())
    learner = Learner(config, context, model, copies(parameters), [], [], trigger=True)
    with torch.no_grad():  # away from the start, so that the divergence counts
        for parameter in parameters:
            parameter += 0.03 * parameter.abs().mean() * torch.randn(parameter.shape, generator=generator)
        old = plainly(model, rows, 1.3)
    learner._replays = replays
    learner._backward([0, 1])
    learner._backward([2, 3])
    model.zero_grad()
    with torch.no_grad():  # and away from the rollout, so that ratios do, and some are clipped
        for parameter in parameters:
            parameter += 0.1 * parameter.abs().mean() * torch.randn(parameter.shape, generator=generator)
    parts = [learner._backward(batch) for batch in ([0, 1], [2, 3])]
    loss, divergence, _, tokens = (sum(part) for part in zip(*parts, strict=True))
    ours = [parameter.grad for parameter in parameters]
    model.zero_grad()

    expected, kl, clipped = torch.zeros(()), torch.zeros(()), 0
    for own, before, first, advantage, weight in zip(
        plainly(model, rows, 1.3), old, start, advantages, by_hand, strict=True
    ):
        ratio = torch.exp(own - before)
        gain = torch.minimum(ratio * advantage, torch.clamp(ratio, 0.8, 1.2) * advantage)
        clipped += int((gain != ratio * advantage).sum())
        kl = kl + weight * (torch.exp(first - own) - (first - own) - 1).sum()
        expected = expected - weight * gain.sum()
    expected = expected + 0.3 * kl
    expected.backward()
    assert (loss, divergence) == pytest.approx((expected.item(), kl.item()), rel=1e-5, abs=1e-7)
    assert 0 < clipped < tokens == sum(lengths)
    for parameter, gradient in zip(parameters, ours, strict=True):
        assert gradient is not None
        assert float((gradient - parameter.grad).norm() / parameter.grad.norm()) < 1e-5
    everything = [*model.named_parameters(), *model.base.model.named_parameters()]
    trained = {id(parameter) for parameter in parameters}
    assert [name for name, one in everything if one.grad is not None and id(one) not in trained] == []


def plainly(model: MemGenModel, rows: Sequence[Row], temperature: float) -> list[torch.Tensor]:
    """Log-probabilities of each row's answer, with everything in front of each insertion read again, row by row."""
    found = []
    for row in rows:
        embedded = model.embed(row.ids)
        sequence, predictors, read = embedded[:0], [], 0
        for place in range(len(row.ids)):
            if place in row.points:
                sequence = torch.cat([sequence, embedded[read:place]])
                read = place
                parts = model.weaver
                queries = parts.queries(prompt=row.at_prompt and place == row.points[0])
                with model.adapters.on("weaver"):
                    inputs = torch.cat([parts.reasoner_to_weaver(sequence), queries])
                    hidden = model.base.model.model(inputs_embeds=inputs[None]).last_hidden_state[0]
                sequence = torch.cat([sequence, parts.weaver_to_reasoner(hidden[-len(queries) :])])
            if place >= row.first_label:
                predictors.append(len(sequence) + place - read - 1)
        sequence = torch.cat([sequence, embedded[read:]])
        logits = model.base.model(inputs_embeds=sequence[None]).logits[0, predictors] / temperature
        labels = row.ids[row.first_label :, None]
        found.append(torch.log_softmax(logits, dim=-1).gather(1, labels)[:, 0])
    return found


def test_tokens_count_as_the_names_of_trl_say() -> None:
    assert token_weights([1, 3], "grpo", 8) == [1 / 2, 1 / 6]
    assert token_weights([1, 3], "bnpo", 8) == [1 / 4, 1 / 4]
    assert token_weights([1, 3], "dr_grpo", 8) == [1 / 16, 1 / 16]


@pytest.mark.usefixtures("scored_by_tokens")
def test_weaver_alone_changes_and_its_checkpoint_is_complete(
    home: Path, tmp_path: Path, config: RunConfig, weaver: Path
) -> None:
    result = run(home, tmp_path / "run", config)
    assert (result["steps"], result["num_prompts"]) == (6, 12)
    assert "insert_rate" not in result, "nobody was asked"
    assert metric(tmp_path / "run", "train/replay_gap")[1] < 1e-4
    manifest, before = (read_manifest(folder) for folder in (tmp_path / "run" / "weaver_grpo", weaver))
    assert (manifest.kind, manifest.trained, manifest.stage) == ("weaver", ["weaver"], "weaver_grpo")
    assert manifest.parent == before.content_hash
    old, new = tensors_of(load(home, weaver)), tensors_of(load(home, tmp_path / "run" / "weaver_grpo"))
    same = {(file, key) for file in old for key in old[file] if torch.equal(old[file][key], new[file][key])}
    trigger = {("trigger.safetensors", key) for key in old["trigger.safetensors"]}
    assert same == trigger | {("parts.safetensors", f"trigger_head.{name}") for name in ("weight", "bias")}


@pytest.mark.usefixtures("scored_by_tokens")
@pytest.mark.parametrize(
    ("steps", "change"),
    [
        (3, {}),
        (4, {"checkpoint": None, "beta": 0.1, "lora_r": 4, "prompt_latents_len": 2}),
        (
            5,
            {
                "num_iterations": 2,
                "beta": 0.1,
                "loss_type": "bnpo",
                "scale_rewards": "group",
                "batch_size": 4,
                "gradient_accumulation_steps": 2,
            },
        ),
    ],
)
def test_killed_and_resumed_equals_uninterrupted_loss_by_loss(
    home: Path, tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch, steps: int, change: dict
) -> None:
    config = config.model_copy(update=change)
    run(home, tmp_path / "whole", config)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, steps)
        run(home, tmp_path / "first", config)
    run(home, tmp_path / "second", config, resume=tmp_path / "first")
    for name in ("train/loss", "train/reward", "train/grad_norm", "train/entropy"):
        whole = metric(tmp_path / "whole", name)
        first, second = (metric(tmp_path / part, name) for part in ("first", "second"))
        assert (min(second), max(second)) == (2 * (steps // 2) + 1, 6)
        assert {**first, **second} == whole
    assert all(metric(tmp_path / "whole", "train/grad_norm").values())
    hashes = [read_manifest(tmp_path / part / "weaver_grpo").files for part in ("whole", "second")]
    assert hashes[0] == hashes[1]


@pytest.mark.usefixtures("scored_by_tokens")
def test_training_that_began_with_the_older_drawing_goes_on_with_it(
    home: Path, tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(training, "NEWEST", OLDEST)
        run(home, tmp_path / "whole", config)
        kill_after(patch, 3)
        with pytest.raises(Killed):
            run(home, tmp_path / "first", config)
    forget_the_drawing(tmp_path / "first")
    run(home, tmp_path / "second", config, resume=tmp_path / "first")
    run(home, tmp_path / "new", config)
    whole, second, new = (metric(tmp_path / part, "train/entropy") for part in ("whole", "second", "new"))
    assert second == {step: value for step, value in whole.items() if step in second}
    assert second != {step: value for step, value in new.items() if step in second}


def forget_the_drawing(folder: Path) -> None:
    """Let the checkpoints of a run be as they were before there were two kinds."""
    run_dir = RunDir(folder, "weaver_grpo")
    for step in run_dir.saved_steps():
        checkpoint = run_dir.checkpoint(step)
        state = load_optimizer(checkpoint)
        del state["drawing"]
        torch.save(state, checkpoint / OPTIMIZER)
        manifest = read_manifest(checkpoint).model_copy(update={"optimizer": file_hash(checkpoint / OPTIMIZER)})
        write_json(checkpoint / MANIFEST, manifest.model_dump(mode="json"))


@pytest.mark.usefixtures("scored_by_tokens")
def test_trigger_of_a_checkpoint_decides_frozen_and_stays_in_the_next(
    home: Path, tmp_path: Path, config: RunConfig
) -> None:
    checkpoint = tmp_path / "imported"
    import_authors(GOLDEN / "a" / "checkpoint", get_preset(TINY), checkpoint, home, Monitor(None))
    before = read_manifest(checkpoint)
    assert "trigger" in before.trained
    result = run(home, tmp_path / "run", config.model_copy(update={"checkpoint": str(checkpoint), "max_steps": 2}))
    assert 0 < result["insert_rate"] < 1
    assert metric(tmp_path / "run", "train/replay_gap")[1] < 1e-4
    manifest = read_manifest(tmp_path / "run" / "weaver_grpo")
    assert (manifest.kind, manifest.trained) == ("weaver", ["weaver", "trigger"])
    assert manifest.files["trigger.safetensors"] == before.files["trigger.safetensors"]
    assert manifest.files["weaver.safetensors"] != before.files["weaver.safetensors"]


def test_group_without_variance_teaches_nothing_and_reads_nothing(
    home: Path, tmp_path: Path, config: RunConfig, weaver: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    replay = MemGenModel.token_logprobs
    monkeypatch.setattr(
        MemGenModel, "token_logprobs", lambda model, rows, *rest: read.append(len(rows)) or replay(model, rows, *rest)
    )
    result = run(home, tmp_path / "run", config.model_copy(update={"max_steps": 1}))
    assert (result["reward_std"], result["frac_reward_zero_std"], result["grad_norm"]) == (0, 1, 0)
    assert read == []
    assert read_manifest(tmp_path / "run" / "weaver_grpo").content_hash == read_manifest(weaver).content_hash


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"batch_size": 6}, "num_generations"),
        ({"num_generations": 1}, "num_generations"),
        ({"temperature": 0}, "temperature"),
        ({"loss_type": "dapo"}, "loss_type"),
        ({"lora_dropout": 0.1}, "lora_dropout"),
        ({"max_prompt_aug_num": 0, "max_inference_aug_num": 0}, "max_inference_aug_num"),
    ],
)
def test_config_that_makes_no_sense_is_refused_by_field(config: RunConfig, change: dict, field: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        config_of(**(config.model_dump(exclude_none=True) | change))
    assert field in [problem.field for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"lora_r": 4}, "lora_r"),
        ({"prompt_latents_len": 4}, "prompt_latents_len"),
        ({"max_prompt_aug_num": 0, "max_inference_aug_num": 0}, "max_inference_aug_num"),
    ],
)
def test_checkpoint_that_does_not_fit_is_refused(
    home: Path, tmp_path: Path, config: RunConfig, change: dict, field: str
) -> None:
    with pytest.raises(BadInput) as caught:
        run(home, tmp_path / "run", config.model_copy(update=change))
    assert caught.value.field == field


def test_learns_to_bring_about_a_token_that_only_latents_can_move(
    home: Path, tmp_path: Path, config: RunConfig, weaver: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(home, weaver)
    held_out = load_questions("wordproblems", "test", seed=42, limit=16)
    texts = [question_prompt(WORDPROBLEMS, question.question) for question in held_out]
    prompts = [torch.tensor(ids) for ids in encode_prompts(model.base, texts, 1024)]
    with torch.no_grad():
        plain = torch.stack([torch.softmax(model.base.model(ids[None]).logits[0, -1], -1) for ids in prompts])
        embedded = [model.embed(ids) for ids in prompts]
        latents = model.weave(model.stream(len(prompts)), embedded, prompt=True)
        woven = [model.decoder(inputs_embeds=torch.cat(pair)[None]) for pair in zip(embedded, latents, strict=True)]
        woven = torch.stack([torch.softmax(model.logits(one.last_hidden_state[0, -1]), -1) for one in woven])
    wanted = int(torch.where(plain.max(0).values < 0.3, woven.mean(0), 0.0).argmax())

    def probability(trained: MemGenModel) -> float:
        """Of the wanted token after the latents of other questions' prompts, the least."""
        end = torch.tensor([wanted])
        rows = [Row(torch.cat([ids, end]), [len(ids)], len(ids)) for ids in prompts]
        with torch.no_grad():
            return float(torch.cat(trained.token_logprobs(rows)).exp().min())

    before = probability(model)
    score_by(monkeypatch, lambda one: float(one.ids[0] == wanted))
    toy = config.model_copy(
        update={"max_steps": 20, "num_questions": 40, "num_train_epochs": 2, "batch_size": 64, "num_generations": 32,
                "learning_rate": 0.01, "max_completion_length": 1, "save_steps": 100}
    )  # fmt: skip
    run(home, tmp_path / "toy", toy)
    rewards = list(metric(tmp_path / "toy", "train/reward").values())
    assert rewards[0] < 0.3
    assert sum(rewards[-5:]) / 5 > 0.9
    assert probability(load(home, tmp_path / "toy" / "weaver_grpo")) > 0.9 > 0.3 > before


@pytest.mark.usefixtures("scored_by_tokens")
@pytest.mark.parametrize("variant", ["static", "no_lora"])
def test_weaver_without_its_parts_is_trained_in_those_that_it_has(
    home: Path, tmp_path: Path, config: RunConfig, variant: str
) -> None:
    learning = {"num_questions": 8, "max_steps": 2, "learning_rate": 0.01, "eval_questions": 0}
    run(home, tmp_path / "sft", config_of(stage="weaver_sft", weaver_variant=variant, **learning))
    ablated = tmp_path / "sft" / "weaver_sft"
    run(home, tmp_path / "run", config.model_copy(update={"checkpoint": str(ablated), "max_steps": 2}))
    assert metric(tmp_path / "run", "train/replay_gap")[1] < 1e-4
    assert all(metric(tmp_path / "run", "train/grad_norm").values())
    old, new = tensors_of(load(home, ablated)), tensors_of(load(home, tmp_path / "run" / "weaver_grpo"))
    changed = {(file, key) for file in old for key in old[file] if not torch.equal(old[file][key], new[file][key])}
    assert ("parts.safetensors", "weaver.weaver_to_reasoner.weight") in changed
    assert {file for file, _ in changed} == {"parts.safetensors"}
