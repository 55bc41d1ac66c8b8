"""The answers of a run: what was expected, extracted and inserted, filtered as the address says."""

from typing import Any

from backend.api.schemas import AnswerOut
from dashboard.run.answers_table import answers_frame
from memgen.contract.answers import parse_line
from memgen.contract.insertion_marks import marked
from tests.backend.conftest import answer_line
from tests.dashboard.pages import open_page, said
from tests.dashboard.studio import Studio

POINTS = [
    {"token": 0, "asked": False, "inserted": True, "character": 0},
    {"token": 5, "asked": True, "inserted": False, "character": 7},
    {"token": 9, "asked": True, "inserted": True, "character": 12},
]


def answer(index: int = 0, **changes: Any) -> AnswerOut:
    return AnswerOut(**dict(parse_line(answer_line(index, **changes))))


def shown_numbers(studio: Studio, **query: str) -> list[int]:
    numbers: list[int] = open_page("run", run="1", tab="Answers", **query).dataframe[0].value.index.tolist()
    return numbers


def test_table_says_what_was_expected_and_extracted_and_how_often_latents_were_inserted() -> None:
    answers = [
        answer(index=4, question="How *many*?\nSay.", augmentations=POINTS).model_copy(update={"expected": "4"}),
        answer(index=5, truncated=True, metrics={"accuracy": 0.0, "format_ok": 0.0}),
    ]
    frame = answers_frame(answers)
    assert frame.index.tolist() == [5, 6]
    assert frame.loc[5, ["question", "expected", "extracted", "verdict"]].tolist() == [
        "How *many*? Say.", "4", "–", "right"
    ]  # fmt: skip
    assert frame.loc[6, "verdict"] == "wrong, truncated, no box"
    assert frame["insertions"].tolist()[0] == 2
    assert "insertions" not in answers_frame(answers[1:])


def test_insertions_are_marked_in_the_text_and_declined_ones_differently() -> None:
    text = "Two, 4. So it is 6."

    def signs(points: list[dict[str, Any]]) -> str:
        return marked(text, answer(completion=text, augmentations=points).augmentations)

    assert signs(POINTS) == "▮Two, 4.▯ So i▮t is 6."
    earlier = [{name: point[name] for name in ("token", "asked", "inserted")} for point in POINTS]
    assert signs(earlier) == text
    beyond = [{"token": 1, "asked": True, "inserted": True, "character": 10**9}]
    assert signs(beyond) == f"{text}▮"


def test_filter_order_and_chosen_answer_are_those_of_the_address(studio: Studio) -> None:
    studio.evaluated(True, False, False, True)
    assert shown_numbers(studio) == [1, 2, 3, 4]
    assert shown_numbers(studio, show="wrong") == [2, 3]
    assert shown_numbers(studio, show="wrong", order="newest") == [3, 2]
    app = open_page("run", run="1", tab="Answers", show="right", answer="4")
    assert "**Question 4**" in said(app)
    assert "Expected **4**, extracted **3**" in said(app)
    app.segmented_control(key="show").set_value("wrong").run()
    assert app.query_params["show"] == "wrong"


def test_live_run_shows_its_newest_mistakes_first(studio: Studio) -> None:
    held = studio.claimed()
    held.answer(0, 1, 2, right=False)
    held.answer(3)
    assert shown_numbers(studio) == [3, 2, 1]
    assert shown_numbers(studio, show="all", order="first") == [1, 2, 3, 4]


def test_twenty_answers_are_one_page_of_a_table(studio: Studio) -> None:
    studio.evaluated(*[False] * 45)
    app = open_page("run", run="1", tab="Answers")
    assert len(app.dataframe[0].value) == 20
    assert said(app).count("**Question ") == 1
    app.button(key="answers_next").click().run()
    assert app.dataframe[0].value.index.tolist()[0] == 21
