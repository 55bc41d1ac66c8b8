"""Generation with latents: whatever stands beside a row, when it came and what was cached, its answer is the same."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from memgen.model.authors_layout import load_authors
from memgen.model.base import load_base
from memgen.model.fetch import LocalModel
from memgen.model.ltpo import LtpoSettings, Peekable, optimise
from memgen.model.memgen_model import MemGenModel, Row
from memgen.model.woven_generation import PATIENCE, Completion, Improve, Sampling, generate_woven
from tests.conftest import GOLDEN

LENGTH = 48


def loaded(name: str) -> MemGenModel:
    base = load_base(LocalModel(GOLDEN / "tiny_base", "golden"), "float32")
    return load_authors(GOLDEN / name / "checkpoint", base).model.eval()


@pytest.fixture(scope="module", params=["a", "b", "c"])
def model(request: pytest.FixtureRequest) -> MemGenModel:
    """`a` goes to the length limit, `b` reaches EOS early in some rows, `c` meets points after its limit."""
    return loaded(request.param)


@pytest.fixture(scope="module")
def prompts() -> list[torch.Tensor]:
    """Seven prompts of unequal length: the golden four and the ends of three of them."""
    tensors = load_file(GOLDEN / "a" / "golden.safetensors")
    ids, mask = tensors["generate/active/prompt_ids"], tensors["generate/active/prompt_mask"]
    whole = [row[keep.bool()] for row, keep in zip(ids, mask, strict=True)]
    return [*whole, whole[0][31:], whole[1][17:], whole[2][-1:]]


def told(completions: list[Completion]) -> list[tuple[list[int], bool, list[tuple[int, bool, bool]]]]:
    """Tokens, end and decisions of each."""
    return [(one.ids, one.ended, [(d.token, d.asked, d.inserted) for d in one.decisions]) for one in completions]


@pytest.mark.parametrize("trigger", [False, True])
@pytest.mark.parametrize("width", [1, 2, 3])
def test_continuous_equals_all_at_once(model: MemGenModel, prompts, trigger: bool, width: int) -> None:
    started: list[int] = []
    ended: dict[int, Completion] = {}
    static = generate_woven(model, prompts, LENGTH, trigger=trigger)
    continuous = generate_woven(
        model, prompts, LENGTH, trigger=trigger, width=width, on_start=started.append, on_row=ended.__setitem__
    )
    assert told(continuous) == told(static)
    assert started == list(range(len(prompts)))
    assert [ended[number] for number in range(len(prompts))] == continuous
    logprobs = [[d.logprob for one in all_ for d in one.decisions] for all_ in (continuous, static)]
    assert logprobs[0] == pytest.approx(logprobs[1], abs=1e-4)


def test_rows_that_end_early_give_their_places_to_waiting_prompts(prompts) -> None:
    under_way: set[int] = set()
    seen: list[int] = []
    passes = 0

    def look() -> None:
        nonlocal passes
        passes += 1
        seen.append(len(under_way))

    done = generate_woven(
        loaded("b"),
        prompts,
        LENGTH,
        trigger=True,
        width=3,
        on_start=under_way.add,
        on_row=lambda number, _: under_way.remove(number),
        on_pass=look,
    )
    lengths = [len(one.ids) for one in done]
    assert min(lengths) < 5
    assert max(lengths) == LENGTH
    assert max(seen) <= 3
    each = [len(one.ids) + sum(d.inserted for d in one.decisions) for one in done]
    batches = sum(max(each[start : start + 3]) for start in range(0, len(prompts), 3))
    assert -(-sum(each) // 3) <= passes < batches


def test_an_insertion_takes_a_pass_from_its_own_row_and_none_from_others(prompts) -> None:
    model, passes = loaded("a"), 0

    def count() -> None:
        nonlocal passes
        passes += 1

    done = generate_woven(model, prompts, LENGTH, trigger=True, on_pass=count)
    each = [len(one.ids) + sum(d.inserted for d in one.decisions) for one in done]
    assert len(set(each)) > 1
    assert passes == max(each)


@pytest.mark.parametrize("trigger", [False, True])
def test_completions_of_one_prompt_read_it_once_and_are_those_of_each_alone(
    model: MemGenModel, prompts, trigger: bool
) -> None:
    """As in a rollout: groups of one prompt, each completion with draws of its own."""
    grouped = [prompts[number] for number in (0, 0, 0, 1, 2, 2, 6, 6)]

    def drawn(numbers: Sequence[int]) -> tuple[list[Completion], int]:
        sampling = Sampling(4.0, True, [torch.Generator().manual_seed(number) for number in numbers])
        some = [grouped[number] for number in numbers]
        with positions_read(model) as counts:
            return generate_woven(model, some, LENGTH, trigger=trigger, sampling=sampling), sum(counts)

    together, read = drawn(range(len(grouped)))
    alone = [drawn([number]) for number in range(len(grouped))]
    assert told(together) == told([one for (one,), _ in alone])
    assert len({tuple(one.ids) for one in together[:3]}) == 3
    heads = [(range(3), len(prompts[0]) - 1), (range(4, 6), len(prompts[2]) - 1)]
    own_roles = 2 if trigger else 1  # reasoner and trigger; alone, the weaver reads only for a row that gets latents
    weaving = [any(d.inserted for d in one.decisions) for one in together]
    saved = sum(
        head * (own_roles * (len(group) - 1) + sum(weaving[number] for number in group) - 1) for group, head in heads
    )
    assert sum(positions for _, positions in alone) - read == saved > 0


@contextmanager
def positions_read(model: MemGenModel) -> Iterator[list[int]]:
    """How many positions the base reads, pass by pass."""
    counts: list[int] = []

    def count(_: object, __: object, given: dict[str, torch.Tensor]) -> None:
        counts.append(given["inputs_embeds"].shape[1])

    handle = model.decoder.register_forward_pre_hook(count, with_kwargs=True)
    try:
        yield counts
    finally:
        handle.remove()


def test_order_of_prompts_has_no_part_in_the_answers(model: MemGenModel, prompts) -> None:
    forwards = generate_woven(model, prompts, LENGTH, trigger=True, width=3)
    backwards = generate_woven(model, prompts[::-1], LENGTH, trigger=True, width=3)
    assert told(backwards[::-1]) == told(forwards)


@pytest.mark.parametrize("trigger", [False, True])
def test_cached_equals_everything_read_again(model: MemGenModel, prompts, trigger: bool) -> None:
    """Each token is the likeliest, each decision that of the trigger, when nothing comes from a cache."""
    for prompt, one in zip(prompts, generate_woven(model, prompts, LENGTH, trigger=trigger, width=3), strict=True):
        inserted = [d.token for d in one.decisions if d.inserted]
        ids = torch.cat([prompt, torch.tensor(one.ids)])
        points = [len(prompt) + token for token in inserted]
        for n in (0, 1, 2, 9, 24, len(one.ids) - 1):
            if n < len(one.ids):
                assert likeliest(model, ids, points, len(prompt), len(prompt) + n) == one.ids[n]
        asked = [d for d in one.decisions if d.asked]
        if asked:
            with torch.no_grad():
                again = model.decision_logprobs([Row(ids, [len(prompt) + d.token for d in asked])])[0]
            assert again.argmax(-1).tolist() == [int(d.inserted) for d in asked]
            chosen = again[range(len(asked)), [int(d.inserted) for d in asked]]
            assert chosen.tolist() == pytest.approx([d.logprob for d in asked], abs=1e-4)


def likeliest(model: MemGenModel, ids: torch.Tensor, points: list[int], prompt_length: int, place: int) -> int:
    """The likeliest token at a place; weaver and reasoner read all that stands in front of it again."""
    sequence, read = model.embed(ids[:0]), 0
    with torch.no_grad():
        for point in [point for point in points if point <= place]:
            sequence, read = torch.cat([sequence, model.embed(ids[read:point])]), point
            latents = model.weave(model.stream(1), [sequence], prompt=point == prompt_length)
            sequence = torch.cat([sequence, latents[0]])
        sequence = torch.cat([sequence, model.embed(ids[read:place])])
        hidden = model.decoder(inputs_embeds=sequence[None]).last_hidden_state[0, -1]
        return int(model.logits(hidden).argmax())


def searching(model: MemGenModel, found: dict[tuple[int, int], torch.Tensor]) -> Improve:
    """LTPO with noise of the prompt's number and the place; what it finds goes into `found`."""

    def improve(prefix: Peekable, latents: torch.Tensor, numbers: list[int], tokens: list[int]) -> torch.Tensor:
        places = list(zip(numbers, tokens, strict=True))
        generators = [torch.Generator().manual_seed(1000 * number + token) for number, token in places]
        settings = LtpoSettings(lr=0.1, max_steps=3)
        better = optimise(model, prefix, latents, settings, generators=generators).latents
        assert not torch.equal(better, latents)
        found.update(zip(places, better, strict=True))
        return better

    return improve


@pytest.mark.parametrize("trigger", [False, True])
def test_ltpo_continuous_equals_one_by_one(model: MemGenModel, prompts, trigger: bool) -> None:
    alone: dict[tuple[int, int], torch.Tensor] = {}
    together: dict[tuple[int, int], torch.Tensor] = {}
    single = generate_woven(model, prompts, LENGTH, trigger=trigger, width=1, improve=searching(model, alone))
    wide = generate_woven(model, prompts, LENGTH, trigger=trigger, width=3, improve=searching(model, together))
    assert told(wide) == told(single)
    assert alone.keys() == together.keys()
    assert all(torch.allclose(together[place], latents, atol=1e-3) for place, latents in alone.items())


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_ltpo_searches_for_half_of_those_that_may_come_to_an_insertion(prompts, name: str) -> None:
    model = loaded(name)
    under_way: set[int] = set()
    inserted = [0] * len(prompts)
    searching: list[tuple[int, int]] = []  # of the pass under way: a prompt's number and the token after its latents
    searched: list[tuple[int, int]] = []

    def search(_: Peekable, latents: torch.Tensor, numbers: list[int], tokens: list[int]) -> torch.Tensor:
        searching.extend(zip(numbers, tokens, strict=True))
        assert under_way.issuperset(numbers)
        return latents

    def on_pass() -> None:
        if searching:
            may_come = {one for one in under_way if inserted[one] < model.settings.max_inference_aug_num}
            searched.append((len(searching), len(may_come.union(number for number, _ in searching))))
        for number, token in searching:
            inserted[number] += token > 0
        searching.clear()

    done = generate_woven(
        model, prompts, LENGTH, trigger=False, width=4, improve=search, on_pass=on_pass,
        on_start=under_way.add, on_row=lambda number, _: under_way.remove(number),
    )  # fmt: skip
    assert told(done) == told(generate_woven(model, prompts, LENGTH, trigger=False, width=4))
    assert sum(rows for rows, _ in searched) == sum(d.inserted for one in done for d in one.decisions)
    assert all(2 * rows >= may_come for rows, may_come in searched)
    assert any(rows < may_come for rows, may_come in searched), "and does not wait for the last"


def test_ltpo_waits_for_no_row_that_has_all_its_insertions(prompts) -> None:
    model = loaded("b")
    model.settings = replace(model.settings, max_inference_aug_num=0)
    told_of: list[str] = []

    def search(_: Peekable, latents: torch.Tensor, numbers: list[int], __: list[int]) -> torch.Tensor:
        told_of.extend(f"latents of {number}" for number in numbers)
        return latents

    generate_woven(
        model, prompts, LENGTH, trigger=False, width=3, improve=search,
        on_start=lambda number: told_of.append(f"start of {number}"), on_pass=lambda: told_of.append("pass"),
    )  # fmt: skip
    passes = "\n".join(told_of).split("pass")
    for number in range(len(prompts)):
        assert any(f"start of {number}\n" in one and f"latents of {number}\n" in one for one in passes)


def test_ltpo_waits_for_rows_that_do_not_insert_for_a_while_only(prompts) -> None:
    searched: list[int] = []
    passes = 0

    def search(_: Peekable, latents: torch.Tensor, __: list[int], ___: list[int]) -> torch.Tensor:
        searched.append(passes)
        return latents

    def count() -> None:
        nonlocal passes
        passes += 1

    done = generate_woven(
        loaded("a"), [prompts[0]] + prompts * 3, 2 * PATIENCE, trigger=False, width=4, improve=search,
        choose=lambda number, token: number == 0 and token == 0, on_pass=count,
    )  # fmt: skip
    assert [d.token for one in done for d in one.decisions if d.inserted] == [0]
    assert searched == [PATIENCE]


@pytest.mark.parametrize("tokens", [False, True])
def test_sampling_with_the_same_seed_is_reproducible(model: MemGenModel, prompts, tokens: bool) -> None:
    def drawn(seed: int) -> list[tuple[list[int], bool, list[tuple[int, bool, bool]]]]:
        return sampled(range(len(prompts)), seed, width=3)

    def sampled(numbers: Sequence[int], seed: int, width: int) -> list[tuple[list[int], bool, list]]:
        generators = [torch.Generator().manual_seed(100 * seed + number) for number in numbers]
        sampling = Sampling(4.0, tokens, generators)
        some = [prompts[number] for number in numbers]
        return told(generate_woven(model, some, LENGTH, trigger=True, width=width, sampling=sampling))

    first = drawn(1)
    assert drawn(1) == first
    assert any(drawn(seed) != first for seed in range(2, 12))
    assert sampled([1, 2], 1, width=1) == first[1:3], "what is drawn does not depend on what is drawn beside it"


def test_stop_leaves_what_is_done_told_and_the_rest_untold(prompts) -> None:
    model = loaded("b")
    whole = generate_woven(model, prompts, LENGTH, trigger=True)
    ended: dict[int, Completion] = {}
    started: list[int] = []
    generate_woven(
        model,
        prompts,
        LENGTH,
        trigger=True,
        width=2,
        on_start=started.append,
        on_row=ended.__setitem__,
        should_stop=lambda: len(ended) >= 2,
    )
    assert 2 <= len(ended) < len(prompts)
    assert len(started) <= len(ended) + 2
    assert told(list(ended.values())) == told([whole[number] for number in ended])


def test_no_prompts_and_prompts_of_one_token(model: MemGenModel, prompts) -> None:
    assert generate_woven(model, [], LENGTH, trigger=True) == []
    one = prompts[0][-1:]
    together = generate_woven(model, [one, prompts[1], one], LENGTH, trigger=False)
    assert told(together) == told(generate_woven(model, [one, prompts[1], one], LENGTH, trigger=False, width=1))
