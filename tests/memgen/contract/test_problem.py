import pytest

from memgen.contract.config import InvalidConfig, parse_config
from memgen.contract.errors import BadInput, Diverged
from memgen.contract.events import EVENT_ADAPTER, Failed
from memgen.contract.problem import Problem

FIELDS = {"code": "x", "message": "too long", "field": "f", "value": "7", "way_out": "Cut it."}
PROBLEM = Problem(**FIELDS)


def test_error_says_its_problem_and_hands_it_on_whole() -> None:
    error = BadInput("x", "too long", field="f", value=7, way_out="Cut it.")
    assert error.problem == PROBLEM
    assert str(error) == str(PROBLEM) == "f: too long (got '7'). Cut it."
    assert (error.code, error.message, error.field, error.value, error.way_out) == tuple(FIELDS.values())
    assert error.at("steps.a.f").problem == PROBLEM.model_copy(update={"field": "steps.a.f"})


def test_config_with_several_problems_is_the_first_of_them() -> None:
    with pytest.raises(InvalidConfig) as caught:
        parse_config({"stage": "evaluate", "batch_size": 0, "seed": -1})
    assert len(caught.value.problems) > 1
    assert caught.value.problem == caught.value.problems[0].problem


@pytest.mark.parametrize("value", [int("9" * 4000) ** 2, "\ud800", ["a"] * 1000], ids=["huge", "half a pair", "long"])
def test_value_is_text_that_can_be_stored_and_sent_whatever_it_was(value: object) -> None:
    shown = BadInput("x", "m", value=value).value
    assert shown is not None
    assert 0 < len(shown.encode()) <= 200


def test_long_texts_are_cut_and_empty_ones_stay() -> None:
    long = Problem(**dict.fromkeys(FIELDS, "x" * 10**5))
    assert [len(text) for text in dict(long).values()] == [100, 2_000, 200, 200, 2_000]
    assert Problem(code="c", message="m").model_dump() == {
        "code": "c", "message": "m", "field": None, "value": None, "way_out": ""
    }  # fmt: skip


@pytest.mark.parametrize(
    ("message", "sentence"), [("it broke", "It broke."), ("Why?", "Why?"), ("", "."), ("éclat!", "Éclat!")]
)
def test_message_becomes_a_sentence(message: str, sentence: str) -> None:
    assert Problem(code="c", message=message).in_sentences().message == sentence


@pytest.mark.parametrize("error", [BadInput("c", "m", value=1), Diverged("m", "w")])
def test_failed_event_is_the_problem_of_an_error_with_its_time(error: BadInput | Diverged) -> None:
    said = Failed(time=1.0, **dict(error.problem))
    assert EVENT_ADAPTER.validate_json(said.model_dump_json()) == said
    assert (str(said), said.code) == (str(error.problem), error.problem.code)


def test_event_is_one_flat_object_and_one_of_earlier_versions_is_read() -> None:
    event = {"time": 1.0, "event": "failed", **FIELDS, "traceback": None}
    assert EVENT_ADAPTER.validate_python(event).model_dump() == event
    short = EVENT_ADAPTER.validate_json('{"event": "failed", "time": 1, "code": "c", "message": "m", "later": 1}')
    assert isinstance(short, Failed)
    assert (short.field, short.value, short.way_out, short.traceback) == (None, None, "", None)
