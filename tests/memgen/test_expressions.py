"""Expressions are compared by algebra in a child process that has bounds."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from memgen import expressions
from memgen.contract.errors import BadInput
from memgen.expressions import MOST_CHARACTERS, same_expression
from memgen.scoring import accuracy, score
from tests.running_stack import wait_until

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("given", "expected", "right"),
    [
        (r"\frac{x}{2}", "x/2", 1.0),
        ("1+x", "x + 1", 1.0),
        ("x+2", "x+1", 0.0),
        ("x^2-1", "(x-1)(x+1)", 1.0),
        (r"(3, \frac{\pi}{2})", r"\left(3,\pi/2\right)", 1.0),
        ("(1,2)", "(2,1)", 0.0),
        (r"\{1,2\}", r"\{2,1\}", 1.0),
        (r"(-\infty,2]\cup[3,\infty)", r"(-\infty, 2] \cup [3, \infty)", 1.0),
        (r"\text{Even}", "even", 1.0),
        ("2x+", "2x", 0.0),
        ("}{", "x", 0.0),
    ],
)
def test_expressions_are_equal_where_algebra_says_so(given: str, expected: str, right: float) -> None:
    assert accuracy(rf"\boxed{{{given}}}", rf"\boxed{{{expected}}}", "expression") == right


def test_values_are_compared_exactly_and_without_algebra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expressions, "_JUDGE", None)
    assert accuracy(r"\boxed{0.5}", r"\boxed{\frac12}", "expression") == 1.0
    assert accuracy(r"\boxed{0.333333}", r"\boxed{\frac13}", "expression") == 0.0
    assert accuracy(r"\boxed{x+1}", r"\boxed{x + 1}", "expression") == 1.0


@pytest.mark.parametrize("endless", ["10^{10^{10}}", "(x+1)^{100000}-1"])
def test_what_would_never_end_is_not_equal_and_the_next_comparison_works(endless: str) -> None:
    began = time.process_time()
    assert not same_expression(endless, "x^3")
    assert time.process_time() - began < 1.0, "the child computes, not this process"
    assert same_expression("x+1", "1+x")


def test_what_is_longer_than_the_bound_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expressions, "_JUDGE", None)
    assert not same_expression("x" * (MOST_CHARACTERS + 1), "x")


def test_without_math_verify_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "math_verify.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(REPOSITORY)]))
    monkeypatch.setattr(expressions, "_JUDGE", expressions._Judge())
    with pytest.raises(BadInput, match="math-verify") as refusal:
        score(r"\boxed{x}", r"\boxed{y}", "expression")
    assert refusal.value.code == "scorer_missing"


def is_judge(pid: int) -> bool:
    """Whether a process lives and is a child that compares expressions; the number may be another one's by now."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and "expression_judge" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False


def test_child_ends_with_the_process_that_started_it() -> None:
    program = (
        "from memgen import expressions; expressions.same_expression('x', 'y');"
        "print(expressions._JUDGE._process.pid, flush=True); import os; os._exit(0)"  # nothing is cleaned up
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    wait_until(lambda: not is_judge(int(done.stdout)), 20, "end of the child")
