"""Try: a session is opened from a checkpoint or a run, asked, followed column by column, and says why it ends."""

from typing import Any

from dashboard.trying.opening import columns_of
from dashboard.trying.session_view import boxed
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
