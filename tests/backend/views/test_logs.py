"""The log of an attempt: lines that say something, found in bounded searches."""

from typing import Any

import pytest

from backend.views import logs
from tests.backend.conftest import Backend, check_problem

TRACEBACK = """load: on cpu
[1/8] t:0 wrong: 'error', expected '4', 3 tokens, 0.1 s
warning: the hub is away
Traceback (most recent call last):
  File "x.py", line 1, in <module>
torch.OutOfMemoryError: no memory
error: memory ran out
"""


def found(backend: Backend, **params: Any) -> list[str]:
    return [line["text"] for line in backend.get("/runs/1/log/lines", **params)["lines"]]


def test_lines_are_found_by_level_and_by_text_whatever_its_case(backend: Backend) -> None:
    attempt = backend.started()
    attempt.send("log", TRACEBACK.encode())
    errors = found(backend, level="error")
    assert errors == [
        "Traceback (most recent call last):",
        "torch.OutOfMemoryError: no memory",
        "error: memory ran out",
    ]
    assert found(backend, level="warning") == ["warning: the hub is away"]
    assert found(backend, text="MEMORY", level="error") == errors[1:]
    assert found(backend, text=".*") == []
    first = backend.get("/runs/1/log/lines", level="error", limit=1)
    assert first["lines"][0]["offset"] == TRACEBACK.index("Traceback")
    rest = backend.get("/runs/1/log/lines", level="error", offset=first["next_offset"])
    assert [line["text"] for line in rest["lines"]] == errors[1:]
    assert rest["next_offset"] == rest["size"] == len(TRACEBACK)
    check_problem(backend.user("GET", "/runs/1/log/lines", params={"attempt": 7}), 404, "attempt_not_found")


def test_one_search_reads_a_bounded_part_and_says_where_to_go_on(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "SCANNED_BYTES", 100)
    monkeypatch.setattr(logs, "LONGEST_LINE", 50)
    attempt = backend.started()
    attempt.send("log", b"x" * 120 + b"\n" + b"quiet\n" * 40 + b"needle\n")
    offset, replies = 0, []
    while not replies or offset < replies[-1]["size"]:
        replies.append(backend.get("/runs/1/log/lines", text="needle", offset=offset))
        assert replies[-1]["next_offset"] > offset
        offset = replies[-1]["next_offset"]
    assert len(replies) == 4
    assert [line["text"] for reply in replies for line in reply["lines"]] == ["needle"]
