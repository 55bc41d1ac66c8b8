"""What the backend sees in the rows of a run before it is launched, and what it leaves to the trainer."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memgen.contract.data_sets import registry
from memgen.contract.data_sets.registry import BUILT_IN
from memgen.contract.presets import DEMO_PRESET
from tests.backend.conftest import Backend, check_problem

SFT = {"stage": "weaver_sft", "preset": DEMO_PRESET, "data": "wordproblems"}
EVALUATION = {"stage": "evaluate", "preset": DEMO_PRESET, "data": "wordproblems"}


def preflight(backend: Backend, **config: Any) -> Any:
    reply = backend.user("POST", "/preflight", json={"config": config})
    assert reply.status_code == 200, reply.text
    return reply.json()


def row_warnings(reply: Any) -> list[str]:
    return [warning for warning in reply["warnings"] if "worker" not in warning and "Redis" not in warning]


@pytest.fixture
def gsm8k(start: Callable[..., Backend], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Backend, Path]:
    """A backend whose operator keeps a few rows of GSM8K's format in a folder."""
    folder = tmp_path / "rows"
    folder.mkdir()
    rows = [{"question": f"How many are {n} and {n}?", "answer": f"So:\n#### {2 * n}"} for n in range(30)]
    for name in ("train.jsonl", "test.jsonl"):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setenv("MEMGEN_GSM8K_DIR", str(folder))
    return start(), folder


def test_usual_lengths_are_no_word_worth(backend: Backend) -> None:
    for config in (SFT, EVALUATION, SFT | {"max_completion_length": 96, "max_prompt_length": 100}):
        reply = preflight(backend, **config)
        assert reply["ok"]
        assert row_warnings(reply) == []


def test_training_whose_every_example_is_too_long_is_refused_before_it_starts(backend: Backend) -> None:
    config = SFT | {"max_completion_length": 2}
    (problem,) = preflight(backend, **config)["problems"]
    assert (problem["code"], problem["field"]) == ("examples_too_long", "max_completion_length")
    assert "solutions of up to about 96 tokens" in problem["way_out"]
    check_problem(backend.user("POST", "/runs", json={"config": config}), 422, "examples_too_long")


@pytest.mark.parametrize("check", ["mean", "other_question"])
def test_check_that_has_no_training_question_left_is_refused_before_it_starts(backend: Backend, check: str) -> None:
    backend.submit(stage="weaver_sft", num_questions=8, batch_size=4)
    backend.work()
    config = backend.config | {"setting": "weaver", "checkpoint": "1", "causal_check": check, "split": "train"}
    for count in (None, 3600):
        (problem,) = preflight(backend, **config | {"num_questions": count})["problems"]
        assert (problem["code"], problem["field"]) == ("no_reference_questions", "causal_check")
    check_problem(
        backend.user("POST", "/runs", json={"config": config | {"num_questions": None}}), 422, problem["code"]
    )
    assert preflight(backend, **config | {"num_questions": 3599})["ok"]
    assert preflight(backend, **config | {"num_questions": None, "split": "test"})["ok"]
    assert preflight(backend, **config | {"num_questions": None, "causal_check": "noise"})["ok"]


def test_more_worked_examples_than_questions_that_are_left_are_refused_before_it_starts(backend: Backend) -> None:
    asking = {"split": "train", "prompt_style": "worked_examples", "num_examples": 4}
    (problem,) = preflight(backend, **EVALUATION, **asking, num_questions=3597)["problems"]
    assert (problem["code"], problem["field"]) == ("too_few_examples", "num_examples")
    assert "3 training questions" in problem["message"]
    assert preflight(backend, **EVALUATION, **asking, num_questions=3596)["ok"]


def test_step_of_a_pipeline_whose_every_example_is_too_long_is_named(backend: Backend) -> None:
    spec = backend.spec()
    spec["shared"] |= {"preset": DEMO_PRESET, "max_completion_length": 2}
    reply = backend.user("POST", "/pipelines/preflight", json=spec).json()
    assert [(one["code"], one["field"]) for one in reply["problems"]] == [
        ("examples_too_long", "steps.weaver_sft.max_completion_length")
    ]


def test_some_long_examples_are_counted_and_the_training_may_run(backend: Backend) -> None:
    reply = preflight(backend, **SFT, max_completion_length=25)
    assert reply["ok"]
    (warning,) = row_warnings(reply)
    assert (
        "of the 3,600 training examples are longer than max_prompt_length 1024 or max_completion_length 25" in warning
    )


def test_model_whose_tokenizer_may_join_words_is_warned_and_not_refused(
    backend: Backend, tiny_config: dict[str, object]
) -> None:
    reply = preflight(
        backend, stage="weaver_sft", preset=tiny_config["preset"], data="wordproblems", max_completion_length=2
    )
    assert reply["ok"]
    (warning,) = row_warnings(reply)
    assert warning.startswith("3,600 of the 3,600 training examples")


def test_prompt_that_is_too_long_fails_an_evaluation_that_asks_it(backend: Backend) -> None:
    (problem,) = preflight(backend, **EVALUATION, max_prompt_length=16)["problems"]
    assert (problem["code"], problem["field"], problem["value"]) == ("prompt_too_long", "max_prompt_length", "16")
    reply = preflight(backend, **EVALUATION, max_prompt_length=70)
    assert reply["ok"]
    (warning,) = row_warnings(reply)
    assert "the longest of Word problems have about 100 tokens" in warning


def test_worked_examples_count_among_the_tokens_of_a_prompt(backend: Backend) -> None:
    config = EVALUATION | {"prompt_style": "worked_examples"}
    assert row_warnings(preflight(backend, **config)) == []
    (problem,) = preflight(backend, **config, max_prompt_length=150)["problems"]
    assert (problem["code"], problem["field"]) == ("prompt_too_long", "max_prompt_length")
    assert problem["way_out"].endswith(", or ask for fewer worked examples.")
    (warning,) = row_warnings(preflight(backend, **config, max_prompt_length=500))
    assert "the longest of Word problems with 4 examples have about 708 tokens" in warning
    (problem,) = preflight(backend, **config, split="train")["problems"]
    assert (problem["code"], problem["field"]) == ("too_few_examples", "num_examples")
    assert preflight(backend, **config, split="train", num_questions=3596)["ok"]


def test_only_the_questions_that_are_asked_count(gsm8k: tuple[Backend, Path]) -> None:
    backend, folder = gsm8k
    with (folder / "test.jsonl").open("a") as file:
        file.write(json.dumps({"question": "How many? " + "very " * 2000, "answer": "#### 4"}) + "\n")
    config = EVALUATION | {"data": "gsm8k"}
    assert preflight(backend, **config, num_questions=30)["ok"]
    (problem,) = preflight(backend, **config, num_questions=31)["problems"]
    assert problem["code"] == "prompt_too_long"


def test_broken_row_of_a_folder_is_named_before_the_launch(gsm8k: tuple[Backend, Path]) -> None:
    backend, folder = gsm8k
    config = EVALUATION | {"data": "gsm8k"}
    assert preflight(backend, **config)["ok"]
    with (folder / "test.jsonl").open("a") as file:
        file.write('{"question": "How many?"}\n')
    (problem,) = preflight(backend, **config)["problems"]
    assert problem["code"] == "bad_data_row"
    assert "est.jsonl, line 31" in problem["message"]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (EVALUATION, []),
        (EVALUATION | {"max_completion_length": 100}, []),
        (EVALUATION | {"max_prompt_length": 100}, ["the longest of GSM8K have about 300 tokens"]),
        (EVALUATION | {"prompt_style": "worked_examples"}, []),
        (
            EVALUATION | {"prompt_style": "worked_examples", "max_prompt_length": 1024},
            ["the longest of GSM8K with 4 examples have about 2180 tokens"],
        ),
        (SFT | {"max_completion_length": 100}, ["solutions of up to about 512 tokens"]),
    ],
)
def test_of_rows_that_lie_on_the_hub_the_record_alone_is_asked(
    backend: Backend, config: dict[str, Any], said: list[str]
) -> None:
    reply = preflight(backend, **config | {"data": "gsm8k"})
    assert reply["ok"]
    warnings = row_warnings(reply)
    assert len(warnings) == len(said)
    assert all(words in warning for words, warning in zip(said, warnings, strict=True))


def test_rows_of_a_plugin_that_can_not_be_read_here_are_left_to_the_trainer(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    for loader, reason in (("nowhere_at_all:load", "ModuleNotFoundError"), ("builtins:sorted", "TypeError")):
        toy = BUILT_IN[1].model_copy(update={"name": "toy", "word": "Toy questions", "loader": loader})
        monkeypatch.setattr(registry, "_installed", lambda toy=toy: ({"toy": toy}, ()))
        reply = preflight(backend, **EVALUATION | {"data": "toy"})
        assert reply["ok"]
        (warning,) = row_warnings(reply)
        assert "The rows of Toy questions could not be read here" in warning
        assert reason in warning
