"""What is said of a card: the measurements of a real one (docs/gpu/h100.json), and ones that went wrong."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from memgen.doctor.finding import Finding, Verdict, exit_code
from memgen.doctor.measured import findings

H100 = json.loads((Path(__file__).parents[3] / "docs" / "gpu" / "h100.json").read_text())


@pytest.fixture
def card() -> dict[str, Any]:
    return copy.deepcopy(H100)


def by_subject(card: dict[str, Any]) -> dict[str, Finding]:
    return {one.subject: one for one in findings(card, 8)}


def test_real_card_is_told_with_its_numbers(card: dict[str, Any]) -> None:
    said = by_subject(card)
    assert said["method"].seen == "its numbers are the authors' in float32 on cuda:0: golden a, golden b, golden c"
    assert "20 between bfloat16 and float32" in said["noise"].seen
    assert "11 between bfloat16, width 8 and all" in said["noise"].seen
    assert said["speed, 64 rows"].seen == "tokens a second: transformers 732, continuous 770, base 2,275, weaver 272"
    assert "copies move 3,013 GB/s" in said["bandwidth"].seen
    assert "weaver_sft 4 1.10" in said["stages"].seen
    assert said["plan of memory"].verdict is Verdict.WARNING  # 1.32 for a wide batch
    assert "speed/weaver 256" in said["plan of memory"].seen


def test_what_was_not_measured_in_time_is_not_looked_at_with_the_option_that_gives_more(card: dict[str, Any]) -> None:
    rest = by_subject(card)["rest"]
    assert rest.verdict is Verdict.NOT_LOOKED_AT
    assert "stages/weaver_sft 64" in rest.seen
    assert "--minutes 16" in rest.way_out


def test_measurement_that_ended_its_process_is_an_error(card: dict[str, Any]) -> None:
    said = by_subject(card)["measuring"]
    assert (said.verdict, said.seen.partition(":")[0]) == (Verdict.ERROR, "command/train and evaluate")
    assert exit_code(findings(card, 8)) == 1


def test_golden_number_that_does_not_hold_is_an_error_that_names_the_quantity(card: dict[str, Any]) -> None:
    one = card["faithful"]["golden b"]["result"]["differences"][1]
    one |= {"holds": False, "worst": 0.5}
    said = by_subject(card)["method"]
    assert said.verdict is Verdict.ERROR
    assert f"{one['quantity']} of golden b (5.0e-01" in said.seen


def test_card_that_does_not_repeat_its_answers_is_a_warning(card: dict[str, Any]) -> None:
    card["faithful"]["noise"]["result"]["bfloat16, width 8 twice"]["differing"] = 3
    assert by_subject(card)["noise"].verdict is Verdict.WARNING


def test_plan_below_the_peak_is_a_warning_that_runs_may_end(card: dict[str, Any]) -> None:
    card["speed"]["base 8"]["result"]["plan_over_peak"] = 0.7
    said = by_subject(card)["plan of memory"]
    assert said.verdict is Verdict.WARNING
    assert "0.70 (speed/base 8)" in said.seen
    assert "want of memory" in said.way_out


def test_model_that_is_too_large_for_the_card_is_left_out_and_no_error() -> None:
    card = {"large": {"big base 8": {"status": "left out", "error": "its weights take 28 GiB"}}}
    [said] = findings(card, 8)
    assert (said.verdict, said.seen) == (Verdict.OK, "big base 8: its weights take 28 GiB")


def test_rows_that_did_not_fit_the_card_are_a_warning_and_no_error() -> None:
    oom = {"status": "failed", "error": "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."}
    [said] = findings({"speed": {"weaver 256": oom}}, 8)
    assert (said.verdict, said.seen) == (Verdict.WARNING, "speed/weaver 256")


def test_process_that_measured_nothing_is_an_error() -> None:
    assert findings({}, 8)[0].verdict is Verdict.ERROR
