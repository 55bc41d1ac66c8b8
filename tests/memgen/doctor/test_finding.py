"""Findings: how checks that fail become findings, and what the command ends with."""

import pytest

from memgen.contract.errors import BadInput
from memgen.doctor.finding import Finding, Verdict, error, exit_code, look, not_looked_at, ok, warning

WELL, ODD, BROKEN, UNSEEN = ok("a", "b"), warning("a", "b", "c"), error("a", "b", "c"), not_looked_at("a", "b")


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ([WELL], 0),
        ([WELL, ODD], 0),
        ([WELL, UNSEEN, ODD], 3),
        ([UNSEEN, BROKEN, WELL], 1),
        ([], 0),
    ],
)
def test_an_error_wins_over_what_could_not_be_looked_at_and_warnings_change_nothing(
    findings: list[Finding], code: int
) -> None:
    assert exit_code(findings) == code


def test_refusal_of_a_check_is_an_error_with_its_value_and_way_out() -> None:
    def check() -> Finding:
        raise BadInput("bad", "there is no such folder", field="MEMGEN_X_DIR", value="/x", way_out="Name another.")

    [found] = look("data", check)
    assert found == error("data", "MEMGEN_X_DIR: there is no such folder (got '/x')", "Name another.")


def test_check_that_breaks_down_is_an_error_that_names_what_broke() -> None:
    def check() -> list[Finding]:
        raise ZeroDivisionError("by nought")

    [found] = look("memory", check)
    assert found.verdict is Verdict.ERROR
    assert "ZeroDivisionError: by nought" in found.seen
