"""Checkpoints with the best of their evaluations, in an order."""

from typing import Any

from backend.views.checkpoint_list import COLUMNS
from tests.backend.conftest import Backend
from tests.backend.views.test_home import MANY, evaluated, trained


def listed(backend: Backend, **params: Any) -> list[tuple[int, int | None, int]]:
    """Of each checkpoint its id, the run that evaluated it best, and how many did."""
    items = backend.get("/checkpoints/results", **params)["items"]
    return [
        (one["checkpoint"]["id"], one["best"] and one["best"]["run"]["id"], one["num_evaluations"]) for one in items
    ]


def test_checkpoint_has_its_best_evaluation_and_its_change_against_the_base(backend: Backend) -> None:
    assert backend.get("/checkpoints/results") == {"items": [], "next_cursor": None, "total": 0}
    base, first, second = evaluated(backend, 4), trained(backend), trained(backend)
    evaluated(backend, 6, setting="weaver", checkpoint=str(first))
    best = evaluated(backend, 20, setting="weaver", checkpoint=str(first))
    backend.submit(setting="weaver", checkpoint=str(first))  # has not ended
    assert listed(backend) == [(second, None, 0), (first, best, 2)]
    assert listed(backend, sort="-accuracy") == [(first, best, 2), (second, None, 0)]
    one = backend.get("/checkpoints/results")["items"][1]
    assert (one["best"]["gain"]["base_id"], one["best"]["gain"]["verdict"]) == (base, "better")
    assert one["best"]["run"]["summary"]["num_questions"] == MANY
    assert (one["checkpoint"]["usable"], one["checkpoint"]["stage"]) == (True, "weaver_sft")


def test_trainings_without_a_checkpoint_are_not_listed_and_pages_follow(backend: Backend) -> None:
    checkpoints = [trained(backend) for _ in range(3)]
    backend.submit(stage="weaver_sft", num_questions=8)
    for name in COLUMNS:
        numbers: list[int] = []
        cursor: str | None = None
        while True:
            page = backend.get("/checkpoints/results", sort=name, limit=1, **({"cursor": cursor} if cursor else {}))
            numbers += [one["checkpoint"]["id"] for one in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert (sorted(numbers), page["total"]) == (checkpoints, 3), name
