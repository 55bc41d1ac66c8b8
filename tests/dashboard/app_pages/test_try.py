"""Try: a session is opened from a checkpoint or a run, asked, followed column by column, and says why it ends."""

from typing import Any
from urllib.parse import parse_qsl

from dashboard.trying.opening import columns_of
from memgen.contract.trying import boxed
from memgen.data import load_questions
from tests.backend.services.test_try import HeldSession, claimed
from tests.dashboard.pages import button_keys, open_page, said
from tests.dashboard.studio import Studio, links

POINTS = [
    {"token": 0, "asked": True, "inserted": True, "character": 0, "probability": 0.75},
    {"token": 2, "asked": True, "inserted": False, "character": 3, "probability": 0.25},
]


def held(studio: Studio) -> HeldSession:
    one = claimed(studio)
    assert one is not None
    one.load()
    return one


def answers_shown(app: Any) -> list[str]:
    return [code.value for code in app.code]


def test_session_is_opened_from_a_checkpoint_asked_and_followed(studio: Studio) -> None:
    weaver = studio.trained()
    app = open_page("try_out", checkpoint=str(weaver))
    app.number_input(key="try_longest").set_value(100)
    app.button(key="open_session").click().run()
    assert not app.exception
    assert app.query_params["session"] == "1"
    assert "No worker is alive" in said(app)
    studio.announce()
    one = held(studio)
    assert [column["max_completion_length"] for column in one.columns] == [100, 100, 100]
    app.run()
    app.text_area(key="try_question").set_value("How *many*?")
    app.text_input(key="try_solution").set_value("42")
    app.button(key="ask_question").click().run()
    assert not app.exception
    (question,) = one.beat()["questions"]
    assert (question["question"], question["solution"]) == ("How *many*?", "\\boxed{42}")
    one.answer(1, 0, "It is 42.")
    one.grow(1, 1, 0, "So, it", points=POINTS, tokens=3)
    app.run()
    assert answers_shown(app) == ["It is 42.", "▮So,▯ it", "(empty)"]
    text = said(app)
    assert "3 tokens so far" in text
    assert "Probability of an insertion, point by point: 0.75, 0.25" in text
    assert "Right answer: \\boxed{42}".replace("\\", "") in text
    app.button(key="close_try").click().run()
    assert studio.get("/try/1")["end"] == "closed"
    one.finish()
    app.run()
    assert "It was closed." in said(app)
    assert "ask_question" not in button_keys(app)


def test_session_says_which_run_it_gives_way_to(studio: Studio) -> None:
    studio.announce()
    studio.client.open_try([{"stage": "evaluate"}])
    one = held(studio)
    run = studio.submit()
    studio.clock.pass_time(6.0)
    assert one.beat()["stop"] == "save"
    app = open_page("try_out", session="1")
    assert f"Run {run} needs its slot. It ends after the answer under way." in said(app)
    assert links(app)[f"run {run}"] == f"run={run}"


def test_answer_of_a_run_is_asked_again_beside_the_base(studio: Studio) -> None:
    weaver = studio.trained()
    run = studio.evaluated(
        True, False, answers={1: {"question": "Second?", "solution": "\\boxed{5}"}}, setting="weaver",
        checkpoint=str(weaver), data="wordproblems",
    )  # fmt: skip
    app = open_page("run", run=str(run), tab="Answers", answer="2")
    assert links(app)["Ask this one again"] == f"run={run}&answer=2"
    app = open_page("try_out", run=str(run), answer="2")
    app.button(key="open_run_session").click().run()
    assert not app.exception
    assert [column["label"] for column in studio.get("/try/1")["columns"]] == ["base", "weaver"]
    assert app.text_area(key="try_question").value == "Second?"
    assert app.text_input(key="try_solution").value == "\\boxed{5}"


def test_questions_of_a_session_become_a_set_whose_evaluation_is_filled_in(studio: Studio) -> None:
    weaver = studio.trained()
    shared = {"data": "wordproblems", "max_completion_length": 100}
    session = studio.client.open_try(checkpoint=weaver, shared=shared).id
    for question, solution in (("How many?", None), ("And *two*?", "\\boxed{2}"), ("Why?", None)):
        studio.client.ask(session, question, solution=solution)
    app = open_page("try_out", session=str(session))
    app.session_state["try_set"] = True
    app.run()
    labels = [one.label for one in app.checkbox]
    assert labels == ["How many?", "And \\*two\\*?", "Why?"]
    app.text_area(key=f"try_set_solution_{session}_1").set_value("7")
    app.text_input(key="try_set_name").set_value("Mine")
    app.button(key="try_set_make").click().run()
    assert "String should match pattern" in said(app)
    app.text_input(key="try_set_name").set_value("mine")
    app.button(key="try_set_make").click().run()
    assert not app.exception
    text = said(app)
    assert "2 questions" in app.success[0].value
    assert "nobody has said what is right: Why?" in text
    assert "Compare can't tell two evaluations apart" in text
    name = next(one["name"] for one in studio.get("/data-sets")["items"] if one["registered"])
    query = links(app)[f"Evaluate weaver · checkpoint {weaver}"]
    assert query == f"try={session}&column=1&data={name}"
    app = open_page("launch", **dict(parse_qsl(query)))
    app.button(key="launch").click().run()
    assert not app.exception, app.exception
    config = studio.wire.sent("/runs")[0]["config"]
    assert (config["data"], config["checkpoint"], config["setting"]) == (name, str(weaver), "weaver")
    assert (config["max_completion_length"], config["num_questions"]) == (100, None)


def test_column_of_a_run_is_its_config_and_the_base_has_what_both_share() -> None:
    config = {"stage": "evaluate", "setting": "weaver", "checkpoint": "3", "preset": "p", "data": "d", "seed": 7}
    assert columns_of(config) == [{"stage": "evaluate", "preset": "p", "data": "d", "seed": 7}, config]
    assert columns_of({"stage": "evaluate", "setting": "base", "checkpoint": None}) == [
        {"stage": "evaluate", "setting": "base", "checkpoint": None}
    ]


def test_bare_answer_gets_a_box_and_a_solution_stays() -> None:
    assert [boxed(text) for text in ("", " 42 ", "So \\boxed{42}")] == [None, "\\boxed{42}", "So \\boxed{42}"]


def test_page_without_checkpoints_and_with_a_forgotten_session_says_so(studio: Studio) -> None:
    assert "No checkpoint is there yet" in said(open_page("try_out"))
    assert "There is no session 7" in said(open_page("try_out", session="7"))


def test_question_is_taken_from_a_data_set_with_its_right_answer(studio: Studio) -> None:
    session = studio.client.open_try([{"stage": "evaluate", "data": "wordproblems"}]).id
    row = load_questions("wordproblems", "test")[2]
    app = open_page("try_out", session=str(session))
    app.session_state["try_pick"] = True
    app.run()
    box = app.selectbox(key="try_pick_data")
    assert (box.value, "aqua" in box.options) == ("wordproblems", False)
    app.text_input(key="try_pick_text").set_value(row.question).run()
    assert row.question in answers_shown(app)
    app.button(key="try_pick_take").click().run()
    assert not app.exception
    assert (app.text_area(key="try_question").value, app.text_input(key="try_solution").value) == (
        row.question,
        row.solution,
    )
    app.button(key="ask_question").click().run()
    (asked,) = studio.get(f"/try/{session}")["asked"]
    assert (asked["question"], asked["solution"]) == (row.question, row.solution)


def test_question_of_two_evaluations_is_asked_again_in_a_column_of_each(studio: Studio) -> None:
    weaver = studio.trained()
    answers = {0: {"question": "First?", "solution": "\\boxed{5}"}}
    shared = {"data": "wordproblems", "answers": answers}
    base = studio.evaluated(True, **shared)
    woven = studio.evaluated(True, setting="weaver", checkpoint=str(weaver), **shared)
    app = open_page("try_out", run=str(base), beside=str(woven), answer="1")
    assert f"runs {base} and {woven}" in said(app)
    app.button(key="open_run_session").click().run()
    assert not app.exception
    assert [column["label"] for column in studio.get("/try/1")["columns"]] == ["base", "weaver"]
    assert app.text_area(key="try_question").value == "First?"


def test_answer_is_asked_again_with_other_latents_where_a_column_has_any(studio: Studio) -> None:
    weaver = studio.trained()
    studio.announce()
    studio.client.open_try(checkpoint=weaver, shared={"data": "wordproblems"})
    one = held(studio)
    studio.client.ask(one.id, "How many?")
    for place in range(3):
        one.answer(1, place)
    app = open_page("try_out", session=str(one.id))
    assert [box.key for box in app.selectbox if str(box.key).startswith("check_")] == ["check_change_1_1_1"]
    app.selectbox(key="check_change_1_1_1").set_value("noise")
    app.button(key="again_change_1_1_1").click().run()
    assert not app.exception
    (question,) = one.beat()["questions"]
    assert (question["column"], question["change"]["causal_check"]) == (1, "noise")
    app.run()
    assert "noise of the same norm" in said(app)
