"""Verdicts that are put together from their parts say in English what the backend says."""

import pytest

from backend.api.schemas import ChangeOut, Estimate
from backend.services.evidence import Change, Verdict
from backend.views.compare import TEXTS, _loosely
from dashboard.parts.verdicts import box_sentence, change_sentence


@pytest.mark.parametrize("smallest", [None, 46.6])
@pytest.mark.parametrize("verdict", list(TEXTS))
def test_a_verdict_says_in_english_what_the_backend_says(verdict: Verdict, smallest: float | None) -> None:
    found = Change(12.34, -1.26, 20.0, 0.01234, smallest, verdict)
    strict = Change(3.06, 1.0, 5.0, 0.5, None, verdict)
    change = ChangeOut(
        num_questions=1319, points=found.points, low=found.low, high=found.high, expected=None, fixed=["a", "b"],
        broken=["c"], fixed_without_box=["a"], broken_without_box=[], p_value=found.p_value,
        strict=Estimate(value=strict.points, low=strict.low, high=strict.high), smallest_detectable=smallest,
        verdict=verdict, text=TEXTS[verdict](found, 1319), box_text=_loosely(1, 0, strict),
    )  # fmt: skip
    assert change_sentence(change) == change.text
    assert box_sentence(change) == change.box_text != ""
