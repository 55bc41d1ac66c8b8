"""The three streams of an attempt: by offset, torn anywhere, stored once."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.services.ingest import take_log
from tests.backend.conftest import Backend, Held, answer_line, check_problem, rollout_line

FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def stored_log(backend: Backend, attempt: Held) -> bytes:
    return backend.context.log_path(attempt.run_id, attempt.number).read_bytes()


def log_pieces(backend: Backend, run_id: int, limit: int) -> Iterator[str]:
    """The log from its start to its end; fails where a piece makes no progress."""
    offset = 0
    while True:
        piece = backend.get(f"/runs/{run_id}/log", offset=offset, limit=limit)
        assert piece["offset"] == offset
        if offset == piece["size"]:
            return
        assert piece["next_offset"] > offset, piece
        assert piece["next_offset"] - offset <= max(4, limit)
        offset = piece["next_offset"]
        yield piece["text"]


@pytest.mark.parametrize("stream", ["log", "events", "answers"])
def test_wrong_offset_is_refused_with_the_right_one(backend: Backend, stream: str) -> None:
    attempt = backend.started()
    line = answer_line(0)
    assert attempt.send(stream, line).json() == {"offset": len(line)}
    for offset in (0, len(line) - 1, len(line) + 1, 2**70):
        problem = check_problem(attempt.send(stream, line, offset=offset), 409, "wrong_offset")
        assert problem["value"] == str(len(line))
    check_problem(attempt.send(stream, line, offset=-1), 422, "invalid_request")
    check_problem(attempt.post(stream, content=line), 422, "invalid_request")


def test_doubled_report_changes_nothing(backend: Backend) -> None:
    attempt = backend.started()
    attempt.answer(0, 1)
    attempt.say({"event": "metric", "name": "m", "step": 1, "value": 2.0})
    attempt.send("log", b"abc")
    before = backend.run(attempt.run_id), backend.get("/runs/1/metrics"), backend.get("/runs/1/answers")
    check_problem(attempt.send("answers", answer_line(0) + answer_line(1), offset=0), 409, "wrong_offset")
    check_problem(attempt.send("log", b"abc", offset=0), 409, "wrong_offset")
    attempt.answer(0, 1)  # the same questions again, further on in the file
    after = backend.run(attempt.run_id), backend.get("/runs/1/metrics"), backend.get("/runs/1/answers")
    assert after == before
    assert stored_log(backend, attempt) == b"abc"


@pytest.mark.parametrize("stream", ["events", "answers", "rollouts"])
def test_line_that_was_torn_anywhere_is_stored_once_when_it_is_whole(backend: Backend, stream: str) -> None:
    lines = {
        "answers": lambda n: answer_line(n),
        "rollouts": lambda n: rollout_line(1, n, [1.0, 0.0], text="é€🙂"),
        "events": lambda n: (
            json.dumps(
                {"event": "warning", "code": "c", "message": f"é€🙂 {n}", "time": 1}, ensure_ascii=False
            ).encode()
            + b"\n"
        ),
    }[stream]
    attempt = backend.started()
    first = lines(0)
    whole = len(first)
    places = [n for n, byte in enumerate(first) if byte >= 0x80] + [1, 2, whole - 1]
    for cut in places:  # what is after the last newline stays with the sender
        assert attempt.send(stream, first[:cut], offset=0).json() == {"offset": 0}
    assert attempt.send(stream, first + lines(1)[:9], offset=0).json() == {"offset": whole}
    assert attempt.send(stream, lines(1)).json() == {"offset": whole + len(lines(1))}
    if stream == "answers":
        items = backend.get("/runs/1/answers")["items"]
        assert [item["completion"] for item in items] == ["né € 🙂 0", "né € 🙂 1"]
    elif stream == "rollouts":
        groups = backend.get("/runs/1/rollouts")["groups"]
        assert [group["completions"][1]["completion"] for group in groups] == ["é€🙂 1"] * 2
    else:
        told = [e["detail"] for e in backend.history(1) if e["kind"] == "warning"]
        assert told == ["é€🙂 0", "é€🙂 1"]


@FEW
@given(cuts=st.lists(st.integers(0, 10_000), max_size=12))
def test_answers_are_each_stored_once_however_the_file_is_cut(backend: Backend, cuts: list[int]) -> None:
    attempt = backend.started()
    data = b"".join(answer_line(index) for index in range(8)) + b'{"summary_metrics": {"accuracy": 1}}\n'
    for end in sorted({len(data), *(min(cut, len(data)) for cut in cuts)}):
        if end > attempt.offsets["answers"]:
            assert attempt.send("answers", data[attempt.offsets["answers"] : end]).status_code == 200
    assert attempt.offsets["answers"] == len(data)
    reply = backend.get(f"/runs/{attempt.run_id}/answers")
    assert [item["index"] for item in reply["items"]] == list(range(8))


BASE = json.loads(answer_line(3))


UNREADABLE_ANSWERS = [
    b"[]", b"null", b"1", b"{}", b"\xff\xfe\x00", b"\x00", b'{"index": ' + b"9" * 5000 + b"}", b"[" * 100_000,
    json.dumps(BASE | {"index": 2**70}).encode(),
    json.dumps(BASE | {"index": -1}).encode(),
    json.dumps(BASE | {"completion": "\ud800"}).encode(),
    json.dumps(BASE | {"metrics": {"accuracy": float("nan")}}).encode(),
    json.dumps(BASE | {"seconds": float("inf")}).encode(),
    json.dumps(BASE | {"metrics": {"accuracy": 10**400}}).encode(),
    b'{"summary_metrics": 1}',
]  # fmt: skip


def test_unreadable_answer_is_skipped_and_the_next_one_stored(backend: Backend) -> None:
    attempt = backend.started()
    for index, line in enumerate(UNREADABLE_ANSWERS):
        assert attempt.send("answers", line + b"\n\n" + answer_line(index)).status_code == 200, line[:80]
        counts = backend.get("/runs/1/answers")["counts"]
        assert counts["all"] == index + 1, line[:80]
        assert backend.run(1)["summary"] == {"num_questions": index + 1, "accuracy": 1.0}


@pytest.mark.parametrize(
    "line",
    [
        b"\xef\xbb\xbf" + answer_line(1),
        json.dumps(BASE | {"index": 1, "of a newer trainer": "\ud800"}).encode() + b"\n",
        json.dumps(BASE | {"index": 1, "x": "\ud800"}, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n",
        answer_line(1).replace(b"\n", b"\r\n"),
    ],
    ids=["byte order mark", "half a pair escaped", "half a pair raw", "carriage return"],
)
def test_answer_that_can_be_read_can_be_shown(backend: Backend, line: bytes) -> None:
    attempt = backend.started()
    assert attempt.send("answers", line).status_code == 200
    assert [item["index"] for item in backend.get("/runs/1/answers")["items"]] == [1]


def test_summary_that_is_not_finite_keeps_only_what_is(backend: Backend) -> None:
    attempt = backend.started()
    assert attempt.send("answers", b'{"summary_metrics": {"a": NaN, "b": Infinity, "c": 2}}\n').status_code == 200
    assert backend.run(1)["summary"] == {"c": 2.0}


METRIC = b'{"event":"metric","name":"m","step":%s,"value":%s,"time":%s}\n'


UNREADABLE_EVENTS = [
    METRIC % (b"1", b"NaN", b"1"), METRIC % (b"1", b"Infinity", b"1"), METRIC % (b"1", b"1", b"NaN"),
    METRIC % (b"1", b"1", b"-Infinity"), METRIC % (b"9223372036854775808", b"1", b"1"),
    METRIC % (b"-1", b"1", b"1"), METRIC % (b"1", b"1e999", b"1"), METRIC.replace(b'"m"', b'"' + b"m" * 101 + b'"'),
    b"[]\n", b"{}\n", b'{"event":"nope","time":1}\n', b"\xff\n", b"[" * 5000 + b"\n", b"\x00\n",
    b'{"event":"warning","code":"c","message":"\\ud800","time":1}\n',
    b'{"event":"progress","done":NaN,"total":Infinity,"unit":"q","time":NaN}\n',
]  # fmt: skip


def test_unreadable_event_is_skipped_and_the_next_one_stored(backend: Backend) -> None:
    attempt = backend.started()
    for number, line in enumerate(UNREADABLE_EVENTS):
        step = 10 + number
        assert attempt.send("events", line + METRIC % (b"%d" % step, b"2", b"3")).status_code == 200, line[:80]
        [series] = backend.get("/runs/1/metrics")["series"]
        assert series["steps"] == list(range(10, step + 1)), line[:80]
        assert backend.run(1)["status"] == "running"


def test_warning_may_hold_a_nul_and_a_long_text(backend: Backend) -> None:
    attempt = backend.started()
    attempt.say({"event": "warning", "code": "c", "message": "a\0b" + "x" * 5000})
    detail = next(e["detail"] for e in backend.history(1) if e["kind"] == "warning")
    assert (detail[:3], len(detail)) == ("a\0b", 1000)


def test_report_above_eight_mib_is_refused_and_one_of_eight_is_taken(backend: Backend) -> None:
    attempt = backend.started()
    check_problem(attempt.send("log", b"x" * (8 * 2**20 + 1)), 413, "body_too_large")
    assert attempt.send("log", b"x" * 8 * 2**20).json() == {"offset": 8 * 2**20}


@FEW
@given(data=st.binary(min_size=1, max_size=3000), cuts=st.lists(st.integers(0, 3000), max_size=6))
def test_log_is_stored_byte_for_byte_however_it_is_cut(backend: Backend, data: bytes, cuts: list[int]) -> None:
    attempt = backend.started()
    for end in sorted({len(data), *(min(cut, len(data)) for cut in cuts)}):
        assert attempt.send("log", data[attempt.offsets["log"] : end]).json() == {"offset": end}
    assert stored_log(backend, attempt) == data


TEXTS = st.text(alphabet="aé€🙂\n", min_size=1, max_size=40).map(str.encode)
PARTS = [b"a", b"\xe2\x82\xac", b"\xf0\x9f", b"\x80", b"\xc3", b"\xff", b"\xe0\x80", b"\xf4\x90\x80"]
BYTES = st.lists(st.sampled_from(PARTS), max_size=15)


@FEW
@given(data=TEXTS | BYTES.map(b"".join) | st.binary(max_size=30), limit=st.integers(1, 9))
def test_pages_of_an_ended_log_join_to_the_whole_of_it(backend: Backend, data: bytes, limit: int) -> None:
    attempt = backend.started()
    attempt.send("log", data)
    attempt.finish()
    assert "".join(log_pieces(backend, attempt.run_id, limit)) == data.decode(errors="replace")


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_page_smaller_than_a_character_still_makes_progress(backend: Backend, limit: int) -> None:
    attempt = backend.started()
    attempt.send("log", "🙂€é".encode())
    assert "".join(log_pieces(backend, 1, limit)) == "🙂€é"


def test_half_a_character_of_a_live_log_comes_with_the_next_piece(backend: Backend) -> None:
    attempt = backend.started()
    smile = "🙂".encode()
    attempt.send("log", b"ab" + smile[:3])
    piece = backend.get("/runs/1/log", offset=0)
    assert (piece["text"], piece["next_offset"], piece["size"]) == ("ab", 2, 5)
    attempt.send("log", smile[3:])
    assert backend.get("/runs/1/log", offset=2)["text"] == "🙂"


def test_end_of_a_log_starts_at_a_line_or_at_least_at_a_character(backend: Backend) -> None:
    attempt = backend.started()
    attempt.send("log", b"first line\nsecond")
    piece = backend.get("/runs/1/log", limit=10)
    assert (piece["text"], piece["offset"]) == ("second", 11)
    attempt.send("log", "🙂🙂🙂".encode())
    piece = backend.get("/runs/1/log", limit=10)
    assert (piece["text"], piece["next_offset"]) == ("🙂🙂", 17 + 12)


def test_log_of_a_bad_attempt_is_not_found_and_an_offset_behind_its_end_is_the_end(backend: Backend) -> None:
    attempt = backend.started()
    attempt.send("log", b"abc")
    reply = backend.user("GET", "/runs/1/log", params={"attempt": 2**70})
    check_problem(reply, 404, "attempt_not_found")
    piece = backend.get("/runs/1/log", offset=2**70)
    assert (piece["offset"], piece["next_offset"], piece["text"]) == (3, 3, "")


def test_log_whose_copy_is_gone_or_short_is_shown_as_what_is_left(backend: Backend) -> None:
    attempt = backend.started()
    attempt.send("log", b"abcdef")
    path = backend.context.log_path(1, 1)
    path.write_bytes(b"abc")
    assert "".join(log_pieces(backend, 1, 100)) == "abc"
    path.unlink()
    assert backend.get("/runs/1/log")["text"] == ""


def test_log_bytes_of_an_undone_transaction_are_written_again(backend: Backend) -> None:
    attempt = backend.started()
    attempt.send("log", b"abc")
    with backend.context.database.read() as session:
        from backend.store.models import Attempt

        row = session.get_one(Attempt, attempt.id)
        take_log(row, 3, b"never committed, and longer", backend.context.log_path(1, 1))
    assert backend.get("/runs/1/log", offset=0)["text"] == "abc"
    attempt.send("log", b"def")
    assert stored_log(backend, attempt) == b"abcdef"
