"""What becomes of a report that the backend does not take."""

from pathlib import Path

import httpx
import pytest

from backend.api.client import Client, Unreachable
from worker.reporter import AttemptStale, Reporter


def reporter(tmp_path: Path, reply: httpx.Response) -> Reporter:
    client = Client("http://backend.test", "t", transport=httpx.MockTransport(lambda _: reply), sleep=lambda _: None)
    (tmp_path / "log.txt").write_text("a line\n")
    return Reporter(
        client,
        1,
        log=tmp_path / "log.txt",
        events=tmp_path / "events.jsonl",
        answers=tmp_path / "answer.json",
        rollouts=tmp_path / "rollouts.jsonl",
    )


def refusal(status: int, code: str) -> httpx.Response:
    problem = {"title": "The disk is full.", "status": status, "code": code, "way_out": "Make room."}
    return httpx.Response(status, json=problem)


@pytest.mark.parametrize("status", [500, 503, 507])
def test_backend_that_can_not_take_a_report_is_quoted_and_the_report_sent_again(tmp_path: Path, status: int) -> None:
    with pytest.raises(Unreachable) as later:
        reporter(tmp_path, refusal(status, "storage_failed")).report()
    assert str(later.value) == (
        "The backend can't take a report now (storage_failed): The disk is full. Make room."
    )  # fmt: skip


def test_attempt_that_the_backend_has_given_up_is_stale(tmp_path: Path) -> None:
    with pytest.raises(AttemptStale, match="The disk is full"):
        reporter(tmp_path, refusal(409, "stale_attempt")).report()


def test_report_that_will_never_be_taken_is_a_flaw_of_the_file(tmp_path: Path) -> None:
    refused = reporter(tmp_path, refusal(422, "invalid_request"))
    assert refused.report()
    assert refused.problems() == ["log.txt can't be reported: the backend refuses it: The disk is full. Make room."]
