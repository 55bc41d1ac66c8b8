"""Errors of the API as somebody at a browser reads them."""

import pytest

from backend.api.schemas import ProblemReply
from dashboard.parts.api import problem_text


@pytest.mark.parametrize(
    ("way_out", "shown"), [("Train it again.", "Train it again"), ("GET /api/v1/runs lists the runs.", None)]
)
def test_way_out_that_is_a_route_of_the_api_is_not_shown(way_out: str, shown: str | None) -> None:
    for field in (None, "run_id"):
        problem = ProblemReply(
            status=404, code="x", message="it is gone", field=field, value="2" if field else None, way_out=way_out
        )
        text = problem_text(problem).replace("\\", "")
        assert "it is gone" in text
        assert "/api/v1" not in text
        assert shown is None or shown in text
