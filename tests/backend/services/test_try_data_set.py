"""Questions of a session become a data set: each once, in the test split, asked as the session asked them."""

from typing import Any

import httpx

from backend.services.few_questions import tells
from memgen.contract.data_sets.registry import data_set
from memgen.data import load_questions
from memgen.data.prompt import prompt_hash
from tests.backend.conftest import Backend, check_problem
from tests.backend.services.test_try import ask, column, held, opened


def made(backend: Backend, session_id: int, **body: Any) -> httpx.Response:
    return backend.user("POST", f"/try/{session_id}/data-set", json={"name": "mine", **body})


def asked(backend: Backend) -> int:
    """A session with four questions: the first is asked again with a change, the third has no right answer."""
    one = held(backend, column(backend, data="wordproblems_easy"))
    for number, (question, more) in enumerate(
        (
            ("How many are 2 and 2?", {"solution": "Two and two.\\boxed{4}"}),
            ("How many are  2 and 2? ", {"column": 0, "change": {"temperature": 1.0}}),
            ("How many are 3 and 3?", {}),
            ("How many are 4 and 4?", {"solution": "\\boxed{9}"}),
        ),
        start=1,
    ):
        assert ask(backend, one.id, question, **more).status_code == 201
        one.answer(number, 0)
    return one.id


def test_questions_become_test_rows_that_are_asked_as_the_session_asked_them(backend: Backend) -> None:
    session_id = asked(backend)
    reply = made(
        backend, session_id, rows=[{"number": 1}, {"number": 2}, {"number": 3}, {"number": 4, "solution": "8"}]
    )
    assert reply.status_code == 201, reply.text
    out = reply.json()
    name = out["report"]["name"]
    assert (out["report"]["sizes"], out["without_answer"], out["repeats"]) == ({"test": 2}, [3], [2])
    assert "this set has 2" in out["tells"]
    rows = load_questions(name, "test")
    assert [(row.question, row.solution) for row in rows] == [
        ("How many are 2 and 2?", "Two and two.\\boxed{4}"),
        ("How many are 4 and 4?", "\\boxed{8}"),
    ]
    assert prompt_hash(data_set(name)) == prompt_hash(data_set("wordproblems_easy"))
    assert backend.get(f"/data-sets/{name}")["answer"] == "number"
    config = column(backend, data=name)
    preflight = backend.user("POST", "/preflight", json={"config": config}).json()
    assert (preflight["ok"], preflight["num_questions"]) == (True, 2)
    all_of_them = made(backend, session_id).json()["report"]  # with the answer that was wrong
    assert (all_of_them["sizes"], all_of_them["name"] == name) == ({"test": 2}, False)


def test_set_that_can_not_be_made_is_refused_by_its_field_and_nothing_is_kept(backend: Backend) -> None:
    session_id = asked(backend)
    for body, code, field in (
        ({"rows": [{"number": 3}]}, "no_right_answers", "rows"),
        ({"rows": [{"number": 1, "solution": ""}]}, "no_right_answers", "rows"),
        ({"rows": [{"number": 5}]}, "no_such_question", "rows"),
        ({"data": "gsm8k"}, "no_data_of_session", "data"),
        ({"name": "wordproblems"}, "name_taken", "name"),
        ({"rows": [{"number": 4, "solution": "\\boxed{x\x00}"}]}, "bad_data_row", "file"),
    ):
        assert check_problem(made(backend, session_id, **body), 422, code)["field"] == field
    check_problem(made(backend, session_id, name="No Name"), 422, "invalid_request")
    check_problem(made(backend, 7), 404, "session_not_found")
    assert not any(one["registered"] for one in backend.get("/data-sets")["items"])


def test_columns_of_several_data_sets_need_a_word_which_prompt_carries_over(backend: Backend) -> None:
    one = opened(backend, column(backend), column(backend, data="gsm8k"))["id"]
    assert ask(backend, one, solution="\\boxed{4}").status_code == 201
    check_problem(made(backend, one), 422, "several_data_sets")
    reply = made(backend, one, data="gsm8k")
    assert reply.status_code == 201, reply.text
    assert prompt_hash(data_set(reply.json()["report"]["name"])) == prompt_hash(data_set("gsm8k"))


def test_few_questions_tell_nothing_and_more_tell_large_changes() -> None:
    assert "can't tell two evaluations apart" in tells(5)
    assert "a change of 30 points" in tells(20)
