"""The answers of a run as pages show them."""

from tests.backend.conftest import Backend, answer_line


def test_answer_says_what_was_expected_and_what_was_extracted(backend: Backend) -> None:
    attempt = backend.started()
    solution = "Two and two. \\boxed{4}"
    completions = ["It is \\boxed{4} of 9", "5 or 1,006", "no idea"]
    lines = [answer_line(i, completion=text, solution=solution) for i, text in enumerate(completions)]
    attempt.send("answers", b"".join(lines))
    items = backend.get("/runs/1/answers")["items"]
    assert [(one["expected"], one["extracted"]) for one in items] == [("4", "4"), ("4", "1,006"), ("4", None)]


def test_newest_questions_come_first_page_by_page(backend: Backend) -> None:
    attempt = backend.started()
    attempt.answer(*range(5), right=False)
    attempt.answer(5)
    shown, cursor = [], ""
    while cursor is not None:
        page = backend.get("/runs/1/answers", newest="true", show="wrong", limit=2, cursor=cursor)
        shown.append([one["index"] for one in page["items"]])
        cursor = page["next_cursor"]
    assert shown == [[4, 3], [2, 1], [0]]


def test_note_of_a_run_can_be_changed_at_any_time(backend: Backend) -> None:
    run_id = backend.submit(note="first")
    for note in ("second", ""):
        reply = backend.user("POST", f"/runs/{run_id}/note", json={"note": note})
        assert (reply.status_code, reply.json()["note"], backend.run(run_id)["note"]) == (200, note, note)
    assert backend.user("POST", f"/runs/{run_id}/note", json={"note": "x" * 201}).status_code == 422


def test_history_is_read_from_its_beginning_or_from_its_end_back(backend: Backend) -> None:
    backend.started().finish("failed", "error")
    oldest = [one["to_status"] for one in backend.history(1)]
    read, cursor = [], ""
    while cursor is not None:
        page = backend.get("/runs/1/events", newest="true", limit=2, cursor=cursor)
        read += [one["to_status"] for one in page["items"]]
        cursor = page["next_cursor"]
    assert read == oldest[::-1]
