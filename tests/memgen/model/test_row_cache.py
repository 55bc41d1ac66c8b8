"""A cache in which each row grows at its own pace: read in pieces, moved, cleared, looked past."""

import pytest
import torch

from memgen.contract.planner.moments import CACHE_GROWTH
from memgen.model import places
from memgen.model.base import BaseModel, load_base
from memgen.model.fetch import LocalModel
from memgen.model.row_cache import Reading, RowStream, read_together
from tests.conftest import GOLDEN

CPU = torch.device("cpu")


@pytest.fixture(autouse=True, params=["as on a CPU", "as on a GPU"])
def _device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which rows attend together."""
    monkeypatch.setattr(places, "waits_for_launches", lambda _: request.param == "as on a GPU")


@pytest.fixture(scope="module")
def base() -> BaseModel:
    return load_base(LocalModel(GOLDEN / "tiny_base", "golden"), "float32")


@pytest.fixture(scope="module")
def sequences(base: BaseModel) -> list[torch.Tensor]:
    """Embeddings (n, D) of four rows; the first outgrows the buffer's first size."""
    drawn = torch.Generator().manual_seed(0)
    ids = [torch.randint(0, 1000, (n,), generator=drawn) for n in (CACHE_GROWTH + 20, 40, 9, 23)]
    with torch.no_grad():
        return [base.model.get_input_embeddings()(row) for row in ids]


def fresh(base: BaseModel, rows: int = 4) -> RowStream:
    return RowStream(base.model.get_decoder(), rows)


def alone(base: BaseModel, sequence: torch.Tensor) -> torch.Tensor:
    """Hidden states (n, D) of the plain model."""
    with torch.no_grad():
        return base.model.get_decoder()(inputs_embeds=sequence[None]).last_hidden_state[0]


def assert_same(mine: torch.Tensor, theirs: torch.Tensor) -> None:
    assert torch.allclose(mine, theirs, atol=2e-5), float((mine - theirs).abs().max())


def test_read_at_once_equals_the_plain_model(base: BaseModel, sequences) -> None:
    hidden = fresh(base).read(range(4), sequences)
    for row, sequence in zip(hidden, sequences, strict=True):
        assert_same(row, alone(base, sequence))


def test_read_in_pieces_at_different_paces_equals_read_at_once(base: BaseModel, sequences) -> None:
    stream = fresh(base)
    drawn = torch.Generator().manual_seed(1)
    done = [0] * 4
    pieces: list[list[torch.Tensor]] = [[] for _ in range(4)]
    while any(done[row] < len(sequences[row]) for row in range(4)):
        open_ = [row for row in range(4) if done[row] < len(sequences[row])]
        kept = [row for row in open_ if torch.rand(1, generator=drawn) < 0.7] or open_  # side by side and not
        sizes = [int(torch.randint(1, 24, (1,), generator=drawn)) for _ in kept]
        chunks = [sequences[row][done[row] : done[row] + size] for row, size in zip(kept, sizes, strict=True)]
        hidden = stream.read(kept, chunks)
        for place, (row, chunk) in enumerate(zip(kept, chunks, strict=True)):
            pieces[row].append(hidden[place])
            done[row] += len(chunk)
    assert stream.lengths == [len(sequence) for sequence in sequences]
    for parts, sequence in zip(pieces, sequences, strict=True):
        assert_same(torch.cat(parts), alone(base, sequence))


def test_order_of_the_rows_in_a_pass_is_free(base: BaseModel, sequences) -> None:
    hidden = fresh(base).read([3, 0, 2], [sequences[3], sequences[0], sequences[2]])
    for row, number in zip(hidden, (3, 0, 2), strict=True):
        assert_same(row, alone(base, sequences[number]))


@pytest.mark.parametrize("gradient", [False, True])
def test_peek_leaves_no_trace(base: BaseModel, sequences, gradient: bool) -> None:
    stream = fresh(base)
    heads = [sequence[: len(sequence) // 2] for sequence in sequences]
    stream.read(range(4), heads)
    rows = [1, 3]
    latents = torch.randn(2, 6, sequences[0].shape[1]).requires_grad_(gradient)
    with torch.set_grad_enabled(gradient):
        seen = stream.prefix(rows).peek(latents)
    for row, own, hidden in zip(rows, latents, seen, strict=True):
        assert_same(hidden, alone(base, torch.cat([heads[row], own]))[-6:])
    tails = [sequence[len(sequence) // 2 :] for sequence in sequences]
    after = stream.read(range(4), tails)
    for hidden, tail, sequence in zip(after, tails, sequences, strict=True):
        assert_same(hidden[-len(tail) :], alone(base, sequence)[-len(tail) :])


def test_gradient_of_a_peek_is_that_of_the_plain_model(base: BaseModel, sequences) -> None:
    chosen = [sequences[1], sequences[3]]
    latents = torch.randn(2, 6, sequences[0].shape[1], generator=torch.Generator().manual_seed(2))
    mine, theirs = latents.clone().requires_grad_(), latents.clone().requires_grad_()
    stream = fresh(base)
    with torch.no_grad():
        stream.read([1, 3], chosen)
    stream.peek([1, 3], mine).square().sum().backward()
    for sequence, own in zip(chosen, theirs, strict=True):
        whole = torch.cat([sequence, own])[None]
        base.model.get_decoder()(inputs_embeds=whole).last_hidden_state[0, -6:].square().sum().backward()
    assert mine.grad is not None
    assert theirs.grad is not None
    assert bool(mine.grad.any())
    assert float((mine.grad - theirs.grad).norm() / theirs.grad.norm()) < 1e-5


def test_peek_behind_nothing_is_the_plain_model(base: BaseModel, sequences) -> None:
    latents = sequences[2][None].clone().requires_grad_()
    assert_same(fresh(base).peek([0], latents)[0], alone(base, sequences[2]))


def test_queries_are_seen_and_forgotten(base: BaseModel, sequences) -> None:
    stream = fresh(base)
    queries = [torch.randn(count, sequences[0].shape[1]) for count in (4, 2, 7)]
    halves = [(sequence[: len(sequence) // 3], sequence[len(sequence) // 3 :]) for sequence in sequences[1:]]
    rows = [0, 1, 2]
    for turn in (0, 1):
        hidden = stream.read(rows, [half[turn] for half in halves], queries)
        for own, half, asked in zip(hidden, halves, queries, strict=True):
            assert_same(own[-len(asked) :], alone(base, torch.cat([*half[: turn + 1], asked]))[-len(asked) :])
    assert stream.lengths == [*(len(sequence) for sequence in sequences[1:]), 0]


def test_streams_that_read_in_one_pass_do_not_see_each_other(base: BaseModel, sequences) -> None:
    one, other = fresh(base, 2), fresh(base, 3)
    one.read([0], [sequences[1][:30]])
    queries = [torch.randn(3, sequences[0].shape[1])]
    with torch.no_grad():
        first, second = read_together(
            [Reading(one, [0, 1], [sequences[1][30:], sequences[2]]), Reading(other, [2], [sequences[3]], queries)]
        )
    assert_same(first[0], alone(base, sequences[1])[30:])
    assert_same(first[1], alone(base, sequences[2]))
    assert_same(second[0], alone(base, torch.cat([sequences[3], *queries])))
    assert (one.lengths, other.lengths) == ([len(sequences[1]), len(sequences[2])], [0, 0, len(sequences[3])])


def test_moved_row_goes_on_in_its_new_place_and_a_cleared_one_starts_anew(base: BaseModel, sequences) -> None:
    stream = fresh(base)
    stream.read(range(4), [sequence[:8] for sequence in sequences])
    stream.move(3, 1)
    assert stream.lengths == [8, 8, 8, 0]
    stream.clear(0)
    hidden = stream.read([0, 1, 3], [sequences[2], sequences[3][8:], sequences[1]])
    assert_same(hidden[0], alone(base, sequences[2]))
    assert_same(hidden[1], alone(base, sequences[3])[8:])
    assert_same(hidden[2], alone(base, sequences[1]))
    assert_same(stream.read([2], [sequences[2][8:]])[0], alone(base, sequences[2])[8:])


def test_read_keeps_what_it_read_with_gradients_enabled_too(base: BaseModel, sequences) -> None:
    stream = fresh(base)
    assert torch.is_grad_enabled()
    stream.read([0], [sequences[1][:20]])
    hidden = stream.read([0], [sequences[1][20:]])
    assert not hidden[0].requires_grad
    assert_same(hidden[0], alone(base, sequences[1])[20:])
