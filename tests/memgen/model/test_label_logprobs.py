"""Log-probabilities of labels in slices: numbers and slopes of all at once, with the logits of one slice."""

import pytest
import torch
from torch import nn

from memgen.contract.planner.moments import LABELS_AT_ONCE
from memgen.model.label_logprobs import label_logprobs
from tests.memgen.contract.on_meta import Peak, size_of

LABELS, WIDTH, VOCABULARY = 2 * LABELS_AT_ONCE + 37, 48, 1500


def made(dtype: torch.dtype = torch.float32) -> tuple[nn.Linear, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A frozen head, hidden states, labels, and what each label's log-probability counts in a loss."""
    torch.manual_seed(0)
    head = nn.Linear(WIDTH, VOCABULARY, bias=False).requires_grad_(False).to(dtype)
    hidden = torch.randn(LABELS, WIDTH, dtype=dtype)
    return head, hidden, torch.randint(0, VOCABULARY, (LABELS,)), torch.randn(LABELS)


def at_once(head: nn.Linear, hidden: torch.Tensor, labels: torch.Tensor, temperature: float) -> torch.Tensor:
    return torch.log_softmax(head(hidden).double() / temperature, -1).gather(1, labels[:, None])[:, 0]


def apart(mine: torch.Tensor, theirs: torch.Tensor) -> float:
    """Their distance as a share of the second."""
    theirs = theirs.detach().double()
    return float((mine.detach().double() - theirs).norm() / theirs.norm())


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_sliced_equals_all_at_once_in_numbers_and_slopes(temperature: float) -> None:
    head, hidden, labels, weights = made()
    mine, theirs = hidden.clone().requires_grad_(), hidden.clone().requires_grad_()
    sliced = label_logprobs(lambda some: head(some).float(), mine, labels, temperature)
    whole = at_once(head, theirs, labels, temperature)
    (weights * sliced).sum().backward()
    (weights * whole).sum().backward()
    assert apart(sliced, whole) < 1e-6
    assert mine.grad is not None
    assert theirs.grad is not None
    assert apart(mine.grad, theirs.grad) < 1e-6
    with torch.no_grad():
        assert torch.equal(label_logprobs(lambda some: head(some).float(), hidden, labels, temperature), sliced)


def test_slopes_of_bfloat16_states_are_bfloat16_and_as_near_as_its_rounding() -> None:
    head, hidden, labels, weights = made(torch.bfloat16)
    mine, theirs = hidden.clone().requires_grad_(), hidden.float().requires_grad_()
    (weights * label_logprobs(lambda some: head(some).float(), mine, labels)).sum().backward()
    (weights * at_once(head.float(), theirs, labels, 1.0)).sum().backward()
    assert mine.grad is not None
    assert theirs.grad is not None
    assert mine.grad.dtype is torch.bfloat16
    assert apart(mine.grad, theirs.grad) < 2**-7


@pytest.mark.parametrize("gradients", [True, False])
def test_memory_does_not_grow_with_the_labels_but_for_a_state_of_each(gradients: bool) -> None:
    head = nn.Linear(WIDTH, 150_000, bias=False, device="meta").requires_grad_(False)
    peaks = {}
    for labels in (LABELS_AT_ONCE, 20 * LABELS_AT_ONCE):
        hidden = torch.empty(labels, WIDTH, device="meta", requires_grad=gradients)
        wanted = torch.empty(labels, dtype=torch.long, device="meta")
        with Peak([hidden, wanted, head.weight]) as peak:
            label_logprobs(head, hidden, wanted)
        peaks[labels] = peak.most
    a_slice = 4 * LABELS_AT_ONCE * 150_000
    assert peaks[LABELS_AT_ONCE] >= a_slice
    assert max(peaks.values()) <= (3 if gradients else 2) * a_slice + 2 * size_of([hidden])
    assert peaks[20 * LABELS_AT_ONCE] - peaks[LABELS_AT_ONCE] <= 2 * size_of([hidden])
