"""Properties of the method that no single golden number shows, on the golden checkpoint `a`."""

import math
import re
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from memgen.model.authors_layout import load_authors
from memgen.model.base import load_base
from memgen.model.checkpoint import new_model
from memgen.model.fetch import LocalModel
from memgen.model.ltpo import LtpoSettings, optimise, score_logits, spacing_of
from memgen.model.memgen_model import LatentSettings, MemGenModel, Row
from memgen.model.row_cache import Reading
from memgen.model.woven_generation import generate_woven
from memgen.stages.signals import latent_signals
from tests.conftest import GOLDEN


@pytest.fixture(scope="module")
def model() -> MemGenModel:
    base = load_base(LocalModel(GOLDEN / "tiny_base", "golden"), "float32")
    return load_authors(GOLDEN / "a" / "checkpoint", base).model.eval()


@pytest.fixture(scope="module")
def prompts() -> list[torch.Tensor]:
    """Four prompts of unequal length."""
    tensors = load_file(GOLDEN / "a" / "golden.safetensors")
    ids, mask = tensors["generate/active/prompt_ids"], tensors["generate/active/prompt_mask"]
    return [row[keep.bool()] for row, keep in zip(ids, mask, strict=True)]


def test_teacher_forcing_batched_equals_one_by_one(model: MemGenModel, prompts: list[torch.Tensor]) -> None:
    rows = [Row(ids, list(range(20, 20 + 7 * n, 7))) for n, ids in enumerate(prompts, start=1)]
    with torch.no_grad():
        for together, row in zip(model.token_logprobs(rows), rows, strict=True):
            assert torch.allclose(together, model.token_logprobs([row])[0], atol=2e-5)


@pytest.mark.parametrize("trigger", [False, True])
def test_generation_batched_equals_one_by_one(model: MemGenModel, prompts: list[torch.Tensor], trigger: bool) -> None:
    together = generate_woven(model, prompts, 40, trigger=trigger)
    for prompt, row in zip(prompts, together, strict=True):
        alone = generate_woven(model, [prompt], 40, trigger=trigger)[0]
        assert row.ids == alone.ids
        assert [(one.token, one.inserted) for one in row.decisions] == [
            (one.token, one.inserted) for one in alone.decisions
        ]


def test_trained_numbers_are_float32_whatever_the_weights_are() -> None:
    base = load_base(LocalModel(GOLDEN / "tiny_base", "golden"), "bfloat16")
    model = new_model(base, LatentSettings(), lora_r=4, lora_alpha=8, lora_dropout=0.0)
    trained = [one for part in ("weaver", "trigger") for group in model.train_part(part).values() for one in group]
    assert {one.dtype for one in trained} == {torch.float32}
    assert base.model.dtype is torch.bfloat16


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_adapter_on_some_positions_is_the_adapter_there_and_none_elsewhere(dtype: str) -> None:
    base = load_base(LocalModel(GOLDEN / "tiny_base", "golden"), dtype)
    adapters = load_authors(GOLDEN / "a" / "checkpoint", base).model.eval().adapters
    layer = base.model.get_decoder().layers[0].self_attn.q_proj
    positions = torch.randn(1, 9, layer.in_features, generator=torch.Generator().manual_seed(0)).to(base.model.dtype)
    with torch.no_grad():
        plain = layer(positions)
        with adapters.on("weaver"):
            adapted = layer(positions)
        with adapters.on_from("weaver", 4):
            both = layer(positions)
        assert not torch.equal(plain, adapted)
        assert torch.equal(both[:, :4], plain[:, :4])
        assert torch.equal(both[:, 4:], adapted[:, 4:])
        assert torch.equal(layer(positions), plain)


def test_reasoner_and_weaver_in_one_pass_are_what_they_are_alone(model: MemGenModel, prompts) -> None:
    embedded = [model.embed(prompt) for prompt in prompts]
    with torch.no_grad():
        alone = model.row_stream(4).read(range(4), embedded)
        (at_prompt,) = model.weave(model.stream(1), [embedded[1]], prompt=True)
        (after,) = model.weave(model.stream(1), [embedded[3]], prompt=False)
        hidden, latents = model.read_and_weave(
            Reading(model.row_stream(4), range(4), embedded),
            Reading(model.row_stream(4), [1, 3], [embedded[1], embedded[3]]),
            prompt=[True, False],
        )
    for mine, theirs in zip([*hidden, *latents], [*alone, at_prompt, after], strict=True):
        assert torch.allclose(mine, theirs, atol=2e-5)


def test_insertions_stay_within_the_limit_and_the_prompt_does_not_count(model: MemGenModel, prompts) -> None:
    for row in generate_woven(model, prompts, 64, trigger=False):
        assert row.decisions[0].token == 0
        assert sum(one.inserted for one in row.decisions[1:]) <= model.settings.max_inference_aug_num


def test_points_stand_inside_the_answer_behind_a_delimiter(model: MemGenModel) -> None:
    encode = model.base.tokenizer.encode
    prompt, answer = encode("Tom, who has 3."), encode("He has 3, then 4. So, 7, 8, 9, 10.")
    points = model.augmentation_points(prompt + answer, len(prompt))
    assert points[0] == len(prompt)
    assert len(points) == 1 + model.settings.max_inference_aug_num
    ids = prompt + answer
    assert all(model.base.tokenizer.decode([ids[p - 1]]).endswith((",", ".", "\n")) for p in points[1:])


def test_points_of_an_example_are_drawn_first_and_then_limited(
    model: MemGenModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of seven delimiters the first, third and fourth are declined; the limit of three leaves the next three."""
    monkeypatch.setattr(model, "settings", replace(model.settings, max_inference_aug_num=3))
    encode = model.base.tokenizer.encode
    prompt = encode("Tom has:")
    ids, behind = list(prompt), []
    for word in ("one", "two", "three", "four", "five", "six", "seven"):
        ids += encode(f" number {word},")
        behind.append(len(ids))  # latents would stand before the token after the comma
    ids += encode(" and so on")
    wanted = iter([False, True, False, False, True, True])  # asked once more, it would end
    points = model.augmentation_points(ids, len(prompt), lambda _: next(wanted))
    assert points == [len(prompt), behind[1], behind[4], behind[5]]
    assert model.augmentation_points(ids, len(prompt)) == [len(prompt), *behind[:3]]


def test_guard_spares_numbers_and_calculations_of_an_example(
    model: MemGenModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = "Each, of 1,200, costs $2.50 so <<1,200*2.5=3000>>3000 in all.\nThat is 3000.\nDone."
    encode, prompt = model.base.tokenizer.encode, [1, 2, 3]
    ids = prompt + [token for part in re.split(r"([,.\n])", answer) for token in encode(part)]

    def before(points: list[int]) -> list[str]:
        return [model.text_of(ids[3:point])[-6:] for point in points[1:]]

    monkeypatch.setattr(model, "settings", replace(model.settings, max_inference_aug_num=99, guard_numbers=1))
    assert before(model.augmentation_points(ids, 3)) == ["Each,", "n all.", " all.\n", "3000.\n"]
    monkeypatch.setattr(model, "settings", replace(model.settings, guard_numbers=0))
    assert len(model.augmentation_points(ids, 3)) == 1 + 10


def test_guard_spares_the_same_points_in_generation_as_in_training(
    model: MemGenModel, prompts: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken = model.base.tokenizer.encode("She has 3, so <<3*2.5=7.5>>7. Fine, all.\nIn 2.\n")
    following = iter([*spoken, model.base.eos_id])

    def logits(hidden: torch.Tensor) -> torch.Tensor:
        size = model.base.model.config.vocab_size
        return torch.nn.functional.one_hot(torch.tensor([next(following)] * len(hidden)), size).float()

    monkeypatch.setattr(model, "settings", replace(model.settings, max_inference_aug_num=8, guard_numbers=1))
    monkeypatch.setattr(model, "logits", logits)
    (row,) = generate_woven(model, prompts[:1], 64, trigger=False)
    assert row.text_ids == spoken
    length = len(prompts[0])
    points = model.augmentation_points(prompts[0].tolist() + row.ids, length)
    assert [length + one.token for one in row.decisions] == points
    assert [model.text_of(spoken[: point - length])[-6:] for point in points[1:]] == [
        " Fine,", ", all.", " all.\n", "In 2.\n",
    ]  # fmt: skip


def test_only_the_weavers_own_parameters_have_gradients(model: MemGenModel, prompts: list[torch.Tensor]) -> None:
    model.adapters.train("weaver")
    try:
        (-model.token_logprobs([Row(prompts[0], [30, 60])])[0].mean()).backward()
        weaver = {id(p) for p in [*model.weaver.parameters(), *model.adapters.parameters("weaver").values()]}
        everything = [*model.base.model.parameters(), *model.weaver.parameters(), *model.trigger_head.parameters()]
        with_gradient = {id(p) for p in everything if p.grad is not None}
        assert with_gradient == weaver
    finally:
        model.zero_grad()
        model.base.model.zero_grad()
        model.adapters.train(None)


def latents_of(model: MemGenModel, prompts: list[torch.Tensor]):
    chunks = [model.embed(prompt) for prompt in prompts]
    with torch.no_grad():
        latents = model.weave(model.stream(len(prompts)), chunks, prompt=True)
        reasoner = model.row_stream(len(prompts))
        reasoner.read(range(len(prompts)), chunks)
    return reasoner.prefix(range(len(prompts))), latents


def test_ltpo_moves_latents_and_leaves_weights_and_prefix_alone(model: MemGenModel, prompts) -> None:
    prefix, latents = latents_of(model, prompts)
    weights = {name: value.clone() for name, value in model.base.model.state_dict().items()}
    with torch.no_grad():
        before = prefix.peek(latents)
    found = optimise(model, prefix, latents, LtpoSettings(sigma=0.0))
    assert bool((found.rewards[-1] > found.rewards[0]).all())
    assert bool(((found.latents - latents).norm(dim=(1, 2)) > 0.01).all())
    assert all(torch.equal(value, weights[name]) for name, value in model.base.model.state_dict().items())
    with torch.no_grad():
        assert torch.equal(prefix.peek(latents), before)
    assert all(parameter.grad is None for parameter in model.base.model.parameters())


@pytest.mark.parametrize("update", ["autograd", "reinforce", "noise"])
def test_ltpo_keeps_the_best_scored_candidate_the_start_included(model: MemGenModel, prompts, update: str) -> None:
    prefix, latents = latents_of(model, prompts)
    torch.manual_seed(0)
    found = optimise(model, prefix, latents, LtpoSettings(sigma=3.0, max_steps=6, update=update))
    best = found.rewards.max(dim=0)
    assert torch.equal(found.best_step, best.indices)
    with torch.no_grad():
        scored = score_logits(model.logits(prefix.peek(found.latents)), 10)
    assert torch.allclose(scored.reward, best.values, atol=1e-4)
    assert torch.allclose(scored.entropy, found.best.entropy, atol=1e-4)
    assert torch.allclose(scored.top1, found.best.top1, atol=1e-4)
    start = found.best_step == 0
    assert torch.equal(found.latents[start], latents[start])


def noise_of(rows: list[int]) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(row) for row in rows]


@pytest.mark.parametrize("update", ["autograd", "reinforce"])
def test_ltpo_treats_each_row_by_itself(model: MemGenModel, prompts: list[torch.Tensor], update: str) -> None:
    settings = LtpoSettings(sigma=0.05, max_steps=4, update=update, lr=1e-4 if update == "reinforce" else 0.03)
    together = optimise(model, *latents_of(model, prompts), settings, generators=noise_of([0, 1, 2, 3]))
    for number, prompt in enumerate(prompts):
        alone = optimise(model, *latents_of(model, [prompt]), settings, generators=noise_of([number]))
        assert torch.allclose(together.latents[number], alone.latents[0], atol=1e-3)
        assert torch.allclose(together.rewards[:, number], alone.rewards[:, 0], atol=1e-3)


def test_noise_alone_never_moves_the_latents_beneath_it(model: MemGenModel, prompts) -> None:
    prefix, latents = latents_of(model, prompts)
    path: list[torch.Tensor] = []
    settings = LtpoSettings(sigma=1.0, max_steps=3, update="noise")
    found = optimise(model, prefix, latents, settings, generators=noise_of([0, 1, 2, 3]), on_step=path.append)
    assert all(torch.equal(step, latents) for step in path)
    again = noise_of([0, 1, 2, 3])
    for step in range(3):
        noise = torch.stack([torch.randn(latents.shape[1:], generator=one) for one in again])
        chosen = found.best_step == step + 1
        assert torch.allclose(found.latents[chosen], (latents + 0.99**step * noise)[chosen], atol=1e-6)


def test_reinforce_moves_along_its_own_noise_times_the_reward(model: MemGenModel, prompts) -> None:
    prefix, latents = latents_of(model, prompts)
    path: list[torch.Tensor] = []
    settings = LtpoSettings(lr=0.5, sigma=2.0, sigma_decay=0.5, max_steps=2, update="reinforce")
    found = optimise(
        model, prefix, latents, settings, generators=noise_of([0, 1, 2, 3]), on_step=lambda now: path.append(now)
    )
    for row, generator in enumerate(noise_of([0, 1, 2, 3])):
        expected = latents[row]
        for step, sigma in enumerate((2.0, 1.0)):
            noise = sigma * torch.randn(latents.shape[1:], generator=generator)
            expected = expected + 0.5 * found.rewards[step + 1, row] * noise / sigma**2
            assert torch.allclose(path[step][row], expected, atol=1e-4)


def test_row_that_reaches_the_threshold_stops_while_others_go_on(model: MemGenModel, prompts) -> None:
    prefix, latents = latents_of(model, prompts)
    free = optimise(model, prefix, latents, LtpoSettings(sigma=0.0, max_steps=6))
    threshold = float(free.rewards[3].median())
    found = optimise(model, prefix, latents, LtpoSettings(sigma=0.0, max_steps=6, threshold=threshold))
    for row in range(len(prompts)):
        reached = [step for step in range(7) if free.rewards[step, row] >= threshold]
        expected = reached[0] if reached else 6
        assert int(found.num_steps[row]) == expected
        best = free.rewards[: expected + 1, row].max()
        assert torch.isclose(found.rewards[found.best_step[row], row], best, atol=1e-4)
    assert len(set(found.num_steps.tolist())) > 1


def test_reward_of_the_last_latent_alone_looks_at_no_other(model: MemGenModel, prompts) -> None:
    prefix, latents = latents_of(model, prompts)
    found = optimise(model, prefix, latents, LtpoSettings(sigma=0.0, max_steps=3, positions="last"))
    with torch.no_grad():
        last = score_logits(model.logits(prefix.peek(latents))[:, -1:], 10)
    assert torch.allclose(found.start.reward, last.reward, atol=1e-5)
    assert torch.allclose(found.start.top1, last.top1, atol=1e-5)
    assert bool((found.rewards[-1] > found.rewards[0]).all())
    everywhere = optimise(model, prefix, latents, LtpoSettings(sigma=0.0, max_steps=3))
    assert not torch.allclose(found.rewards[0], everywhere.rewards[0], atol=1e-3)


@pytest.mark.parametrize("update", ["autograd", "noise"])
def test_relative_rates_are_shares_of_each_rows_own_latents(model: MemGenModel, prompts, update: str) -> None:
    prefix, latents = latents_of(model, prompts)
    latents = latents * torch.tensor([1.0, 2.0, 5.0, 10.0])[:, None, None]
    rates = {"max_steps": 3, "update": update}
    shares = LtpoSettings(lr=0.02, sigma=0.05, relative=True, **rates)
    together = optimise(model, prefix, latents, shares, generators=noise_of([0, 1, 2, 3]))
    for row, prompt in enumerate(prompts):
        rms = float(latents[row].pow(2).mean().sqrt())
        absolute = LtpoSettings(lr=0.02 * rms, sigma=0.05 * rms, **rates)
        own, _ = latents_of(model, [prompt])
        alone = optimise(model, own, latents[row : row + 1], absolute, generators=noise_of([row]))
        assert torch.allclose(together.rewards[:, row], alone.rewards[:, 0], atol=2e-3)
        assert int(together.best_step[row]) == int(alone.best_step[0])
        assert torch.allclose(together.latents[row], alone.latents[0], atol=2e-3 * rms)


def test_relative_reinforce_moves_a_row_by_a_share_of_its_size(model: MemGenModel, prompts) -> None:
    prefix, latents = latents_of(model, prompts)
    path: list[torch.Tensor] = []
    settings = LtpoSettings(lr=0.01, sigma=0.5, max_steps=1, update="reinforce", relative=True)
    found = optimise(model, prefix, latents, settings, generators=noise_of([0, 1, 2, 3]), on_step=path.append)
    for row, generator in enumerate(noise_of([0, 1, 2, 3])):
        rms = latents[row].pow(2).mean().sqrt()
        noise = 0.5 * torch.randn(latents.shape[1:], generator=generator)
        moved = rms * 0.01 * found.rewards[1, row] * noise / 0.5**2
        assert torch.allclose(path[0][row], latents[row] + moved, atol=1e-4)


def test_size_of_steps_is_told_in_units_in_the_last_place(model: MemGenModel, prompts) -> None:
    prefix, latents = latents_of(model, prompts)
    found = optimise(model, prefix, latents, LtpoSettings(lr=0.01, sigma=0.0, max_steps=1))
    spacing = (torch.nextafter(latents.abs(), torch.tensor(torch.inf)) - latents.abs()).mean((1, 2))
    assert torch.allclose(found.step_ulps, 0.01 / spacing, rtol=0.02)  # Adam's first step is lr in each coordinate
    still = optimise(model, prefix, latents, LtpoSettings(sigma=1.0, max_steps=2, update="noise"))
    assert still.step_ulps.tolist() == [0, 0, 0, 0]


def test_next_number_of_bfloat16_is_as_far_as_its_seven_bits_say() -> None:
    values = torch.tensor([6.0, -150.0, 0.9, 1.0])[:, None, None]
    assert spacing_of(values, torch.bfloat16).tolist() == [4 / 128, 128 / 128, 0.5 / 128, 1 / 128]


def test_confidence_is_least_between_certain_and_uniform() -> None:
    uniform, certain = torch.zeros(1, 1, 500), torch.zeros(1, 1, 500)
    certain[..., 0] = 60.0
    moderate = torch.zeros(1, 1, 500)
    moderate[..., :10] = 6.0
    reward = {name: float(score_logits(logits, 10).reward) for name, logits in
              (("uniform", uniform), ("certain", certain), ("moderate", moderate))}  # fmt: skip
    assert reward["uniform"] == pytest.approx(math.log(500), abs=1e-4)
    assert reward["moderate"] < min(reward["uniform"], reward["certain"])


def test_ltpo_with_no_steps_gives_the_start(model: MemGenModel, prompts: list[torch.Tensor]) -> None:
    prefix, latents = latents_of(model, prompts)
    found = optimise(model, prefix, latents, LtpoSettings(max_steps=0))
    assert torch.equal(found.latents, latents)
    assert found.rewards.shape == (1, len(prompts))


def test_latent_signals_tell_size_and_likeness(model: MemGenModel, prompts: list[torch.Tensor]) -> None:
    rows = [Row(prompts[0], [10, 20]), Row(prompts[1], [])]
    woven = model.latents_of(rows)
    assert [len(own) for own in woven] == [2, 0]
    found = latent_signals(model, rows)
    stacked = torch.stack(woven[0]).detach()  # (2, K, D)
    tokens = torch.cat([model.embed(row.ids) for row in rows])
    assert math.isclose(
        found["latent_norm"], float(stacked.norm(dim=-1).mean() / tokens.norm(dim=-1).mean()), rel_tol=1e-5
    )
    pairs = [
        float(torch.cosine_similarity(own[i], own[j], dim=0)) for own in stacked for i in range(8) for j in range(i)
    ]
    assert math.isclose(found["latent_similarity"], sum(pairs) / len(pairs), rel_tol=1e-4)
    assert latent_signals(model, rows[1:]) == {}
