"""Choices drawn from logits: as likely as the logits say, reproducible row by row, in the older kind as ever."""

import pytest
import torch

from memgen.model.drawing import DRAWINGS, ROWS_AT_ONCE, Drawing, draw

ROWS, CHOICES = 2 * ROWS_AT_ONCE + 5, 300


def seeded(numbers: range) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(number) for number in numbers]


def logits() -> torch.Tensor:
    return 2 * torch.randn(ROWS, CHOICES, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_choices_come_as_often_as_their_probabilities_say(drawing: Drawing) -> None:
    probabilities = torch.tensor([0.5, 0.0, 0.2, 0.299, 0.001])
    rows, rounds = seeded(range(40)), 500
    drawn = torch.cat([draw(probabilities.log().expand(len(rows), -1), rows, drawing) for _ in range(rounds)])
    shares = torch.bincount(drawn, minlength=len(probabilities)) / len(drawn)
    deviation = (probabilities * (1 - probabilities) / len(drawn)).sqrt()
    assert bool(((shares - probabilities).abs() <= 4 * deviation).all()), shares


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_what_a_row_draws_depends_on_its_own_generator_alone(drawing: Drawing) -> None:
    together = draw(logits(), seeded(range(ROWS)), drawing)
    alone = [draw(own[None], seeded(range(row, row + 1)), drawing) for row, own in enumerate(logits())]
    assert torch.equal(torch.cat(alone), together)
    assert not torch.equal(draw(logits(), seeded(range(ROWS, 2 * ROWS)), drawing), together)


def test_older_kind_draws_what_multinomial_does() -> None:
    theirs = [
        torch.multinomial(torch.softmax(own, -1), 1, generator=one)
        for own, one in zip(logits(), seeded(range(ROWS)), strict=True)
    ]
    assert torch.equal(draw(logits(), seeded(range(ROWS)), "by token"), torch.cat(theirs))


def test_number_at_either_end_draws_a_choice_that_is_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    possible = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]])
    for share, choice in ((0.0, 1), (0.5, 3), (1 - 2**-53, 3)):
        monkeypatch.setattr(torch, "rand", lambda *_, share=share, **__: torch.tensor([share], dtype=torch.float64))
        assert draw(possible, seeded(range(1))).tolist() == [choice]


def test_newest_kind_draws_on_the_device_of_the_logits() -> None:
    assert draw(torch.empty(3, 9, device="meta"), seeded(range(3))).device.type == "meta"
