import json
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memgen import math_equivalence
from memgen.contract.data_sets.record import AnswerKind
from memgen.scoring import accuracy, compute_reward, extract_answer, format_ok, score

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "scoring.json").read_text(encoding="utf-8"))
LATEX_PIECES = st.sampled_from(
    [
        "\\boxed",
        "\\boxed{",
        "{",
        "}",
        " ",
        "\\frac",
        "\\sqrt",
        "\\text{ ",
        "1",
        "18",
        "0.5",
        ".",
        ",",
        "=",
        "/",
        "$",
        "\\%",
        "^",
        "####",
        "\n",
        "-",
        "e9",
        "NaN",
        "Infinity",
        "é",
        "½",
        "\\",
        "x",
        "²",
        "١",
        " million",
        "k",
        " and a half",
        "minus ",
        "Answer: ",
        "**",
        "`",
        "<<",
        ">>",
        "(",
        ")",
        "10^",
        " cm",
        "\\text{",
        "\\pi",
        "'",
    ]
)
ODD_TEXTS = st.one_of(st.text(), st.lists(LATEX_PIECES, max_size=30).map("".join))


def box(content: str) -> str:
    return rf"so it is \boxed{{{content}}}."


@pytest.mark.parametrize("case", GOLDEN, ids=[f"{i}:{case['completion']}" for i, case in enumerate(GOLDEN)])
def test_compute_reward_equals_the_authors_score(case: dict[str, object]) -> None:
    assert compute_reward(str(case["completion"]), str(case["solution"])) == case["reward"]


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("", ""),
        ("\\dfrac{1}{2}", "\\frac{1}{2}"),
        ("\\tfrac12", "\\frac{1}{2}"),
        ("\\\\frac12", "\\frac{1}{2}"),
        ("\\frac1{72}", "\\frac{1}{72}"),
        ("\\frac12\\frac34x", "\\frac{1}{2}\\frac{3}{4}x"),
        ("\\frac1", "\\frac1"),
        ("0.5", "\\frac{1}{2}"),
        ("x = 0.5", "\\frac{1}{2}"),
        ("-3/4", "\\frac{-3}{4}"),
        ("03/4", "03/4"),
        ("1/2/3", "1/2/3"),
        ("abc=5", "abc=5"),
        ("a=b=5", "a=b=5"),
        ("\\left(3\\right)", "(3)"),
        ("5\\text{ cm}", "5"),
        ("5\\text{cm}", "5\\text{cm}"),
        ("30^{\\circ}", "30"),
        ("{.5}", "{0.5}"),
        ("2 .5", "20.5"),
        ("\\sqrt2+\\sqrt{3}", "\\sqrt{2}+\\sqrt{3}"),
        ("1\n8", "18"),
    ],
)
def test_normal_form_follows_the_benchmark(written: str, normal: str) -> None:
    assert math_equivalence.normalise(written) == normal


@pytest.mark.parametrize("written", ["\\frac", "\\sqrt", "\\sqrt\\sqrt2", "1\\text{ a}\\text{ b}"])
def test_text_without_normal_form_is_compared_as_written(written: str) -> None:
    with pytest.raises(ValueError):
        math_equivalence.normalise(written)
    assert math_equivalence.is_equiv(written, written)
    assert not math_equivalence.is_equiv(written, written + " ")


def test_compute_reward_takes_the_first_box_and_accuracy_the_last() -> None:
    completion = r"\boxed{17}, no, \boxed{18}"
    right, wrong = score(completion, r"\boxed{18}"), score(completion, r"\boxed{17}")
    assert right == {"accuracy": 1.0, "compute_reward": 0.0, "format_ok": 1.0, "accuracy_strict": 1.0}
    assert wrong == {"accuracy": 0.0, "compute_reward": 1.0, "format_ok": 1.0, "accuracy_strict": 0.0}


def test_compute_reward_takes_the_last_box_of_the_solution() -> None:
    assert compute_reward(r"\boxed{18}", r"\boxed{17} and then \boxed{18}") == 1.0


def test_compute_reward_is_zero_where_both_have_no_box() -> None:
    assert compute_reward("18", "18") == 0.0


@pytest.mark.parametrize(
    "content",
    [
        "18",
        "18.0",
        "18.",
        " 18 ",
        "018",
        "+18",
        "$18",
        r"\$18",
        r"\$18.00",
        "18%",
        r"18\%",
        "18 dollars",
        "18km/h",
        r"18 \text{ dollars}",
        r"\text{18 dollars}",
        r"18 \text{ cm}^2",
        "18 m²",
        "{18}",
        r"\mathbf{18}",
        "x = 18",
        "9*2=18",
        "€18",
        "USD 18",
        "Rs. 18",
        r"18^\circ",
        "18°",
        "1.8e1",
        r"\boxed{18}",
        "36/2",
        r"\frac{36}{2}",
        r"18\ \mathrm{eggs}",
        r"2 \cdot 9",
        r"\(18\)",
        r"3\sqrt{36}",
        "18 eggs per day.",
        "\u00a018",
    ],
)
def test_same_value_in_other_writing_is_accurate(content: str) -> None:
    assert accuracy(box(content), r"\boxed{18}") == 1.0


@pytest.mark.parametrize(
    "content",
    [
        "-18",
        "81",
        "18 million",
        "18 and 19",
        "1,8",
        "18:00",
        r"18\pi",
        "18!",
        "18 - x",
        "18^2",
        "NaN",
        "Infinity",
        "-inf",
        "1e999999999",
        "1e-999999999",
        "1e99999999999999999999999",
        "18/0",
        "9^{9^{9}}",
        "(((10^9)^9)^9)^9",
        "(a+b+c+d+e+f)^{99}",
        "{" * 80 + "1/2" + "}" * 80,
        r"\sqrt{\sqrt{2+\sqrt{3}}}",
        "1+" * 5000 + "1",
        "/",
        "\\",
    ],
)
def test_other_value_is_not_accurate_and_ends_at_once(content: str) -> None:
    started = time.monotonic()
    assert accuracy(box(content), r"\boxed{18}") == 0.0
    assert time.monotonic() - started < 5  # a hang takes minutes


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1,000", "1000"),
        ("1{,}000", "1000"),
        ("1,00,000", "100000"),
        ("−3", "-3"),
        (r"-\$3", "-3"),
        (".5", "0.5"),
        ("1/2", "0.5"),
        (r"\frac12", "0.5"),
        (r"3\frac{1}{2}", "3.5"),
        ("1e999999999", "1e999999999"),
        ("NaN", "NaN"),
        ("x^{2}", "x^{2}"),
        ("red", "red"),
        ("0", "-0.0"),
    ],
)
def test_equal_answers_are_accurate_either_way(one: str, other: str) -> None:
    assert accuracy(box(one), box(other)) == accuracy(box(other), box(one)) == 1.0


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", None),
        ("no number here", None),
        (r"\boxed{18}", "18"),
        (r"\boxed {18}", "18"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{1} \boxed{2} 3", "2"),
        (r"\boxed{1} \boxed{2", "1"),
        (r"\boxed{1} \boxed{ }", "1"),
        (r"{ \boxed{1}", "1"),
        (r"} \boxed{1} }", "1"),
        (r"\boxed{\{1\}}", r"\{1\}"),
        (r"\boxed{1} #### 2", "1"),
        ("5 #### 1,200\nand 7", "1,200"),
        ("#### 1 #### 2 eggs", "2 eggs"),
        ("18 ####", "18"),
        ("16-3-4", "4"),
        ("it is -4.", "-4"),
        ("it is (-4)", "-4"),
        ("a profit of -$1,200.50.", "-1,200.50"),
        ("about .5", ".5"),
        ("Week 3:210 pages", "210"),
        ("The total is 73.\n### Step 3", "73"),
        ("The total is 73.\n#### Step 3: the result\n", "73"),
        ("The total is 73.\n**Step 3:** so", "73"),
        ("The total is 73.\n#### 2. Check it", "73"),
        ("The total is 73.\n**2. Check it**", "73"),
        ("The total is 73.\n**Step 3:** 70 + 4 = 74", "74"),
        ("The total is 73, or\n**74**", "74"),
        ("### Step 3", "3"),
        ("From 5 to\n**73.**", "73"),
        ("From 5 to\n**73.** That is it.", "73"),
        ("it is 3:30", "3:30"),
        ("2:1", "2:1"),
        ("9 * 2 = $<<9*2=18>>18 every day", "18"),
    ],
)
def test_answer_is_the_last_box_else_the_marked_line_else_the_last_number(text: str, answer: str | None) -> None:
    assert extract_answer(text) == answer


@pytest.mark.parametrize("completion", ["18", "#### 18", r"\fbox{18}", r"\boxed{18", r"\boxed 18$"])
def test_required_box_refuses_an_answer_without_one(completion: str) -> None:
    assert accuracy(completion, r"\boxed{18}") == 1.0
    assert accuracy(completion, r"\boxed{18}", require_box=True) == 0.0
    assert not format_ok(completion)


def test_required_box_accepts_a_boxed_answer() -> None:
    assert accuracy(r"\boxed{18}", r"\boxed{18}", require_box=True) == 1.0


def test_solution_without_an_answer_is_never_met() -> None:
    assert accuracy(r"\boxed{18}", "nothing") == 0.0


@pytest.mark.parametrize(
    "text",
    [
        r"\boxed{" * 14000,
        r"\boxed{ " * 5000 + "}" * 60000,
        r"\boxed{" * 9000 + "x" + "}" * 9000,
        "{" * 100_000,
        "1," * 50_000,
        "11," * 33_000,
        "1,111," * 17_000,
        "1" * 100_000,
        box("1" * 100_000),
        "1e" * 50_000,
        " " * 100_000,
        "\\boxed" + " " * 100_000,
        box("1" + " " * 100_000 + "!"),
        box("1 " + "a." * 50_000 + "!"),
        "####" * 25_000,
        "####\n" * 20_000,
        "-" * 100_000,
        "\\sqrt" * 20_000,
        box("\\frac" * 20_000),
        "$" * 100_000,
        "=1" * 50_000,
        box("^{" + " " * 100_000 + "}"),
        box("1/" * 50_000),
        "½é漢\u2028" * 25_000,
        "}{" * 50_000,
        box("11," * 33_000),
        box("1" * 50_000 + "e" + "1" * 50_000),
        box("1.1" * 33_000),
        r"\boxed{}" * 12_000,
    ],
    ids=range(29),
)
def test_long_text_is_scored_in_linear_time(text: str) -> None:
    started = time.process_time()
    for completion, solution in ((text, r"\boxed{18}"), (r"\boxed{18}", text)):
        assert score(completion, solution)["accuracy"] == 0.0
    assert time.process_time() - started < 10  # quadratic time would take minutes


def test_expressions_are_compared_outside_the_main_thread() -> None:
    found: list[float] = []
    thread = threading.Thread(target=lambda: found.append(accuracy(box(r"\frac{36}{2}"), box("18"))))
    thread.start()
    thread.join()
    assert found == [1.0]


def test_decimals_are_scored_without_importing_sympy_or_torch() -> None:
    program = (
        "import sys; from memgen.scoring import score; score('\\\\boxed{18.0}', '\\\\boxed{18}');"
        "sys.exit(bool({'torch', 'sympy', 'math_verify', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2]).returncode == 0


@settings(deadline=None)
@given(ODD_TEXTS, ODD_TEXTS, st.sampled_from(get_args(AnswerKind)))
@example("\\boxed{NaN}", "\\boxed{sNaN}", "number")
@example("\\boxed", "\\boxed ", "number")
@example("\\boxed{\\frac}", "\\boxed{\\sqrt}", "number")
@example("(B) it is. \\boxed{7}", "\\boxed{B}", "choice")
def test_any_text_gets_scores_of_zero_or_one_and_the_strict_one_is_grpos_reward(
    completion: str, solution: str, kind: AnswerKind
) -> None:
    scores = score(completion, solution, kind)
    assert set(scores) == {"accuracy", "accuracy_strict", "compute_reward", "format_ok"}
    assert set(scores.values()) <= {0.0, 1.0}
    assert scores["accuracy_strict"] == accuracy(completion, solution, kind, require_box=True)
    assert scores["accuracy_strict"] <= scores["format_ok"]


def test_an_answer_that_only_its_last_number_makes_right_is_wrong_where_the_box_is_required() -> None:
    scores = score("JJJJJJ 18 JJJJJJ", r"\boxed{18}")
    assert (scores["accuracy"], scores["accuracy_strict"], scores["format_ok"]) == (1.0, 0.0, 0.0)


@given(st.decimals(-(10**26), 10**26, allow_nan=False, places=2), st.sampled_from(["", "$", "\\$"]))
def test_every_decimal_is_accurate_with_commas_currency_and_percent(value: Decimal, currency: str) -> None:
    assert accuracy(box(f"{currency}{value:,f}\\%"), box(str(value))) == 1.0


@given(st.integers(), st.integers())
def test_integers_are_accurate_exactly_when_equal(one: int, other: int) -> None:
    assert accuracy(box(str(one)), box(str(other))) == float(one == other)
    assert compute_reward(box(str(one)), box(str(other))) == float(one == other)


@given(ODD_TEXTS)
def test_equivalence_is_reflexive(text: str) -> None:
    assert math_equivalence.is_equiv(text, text)


@given(st.text(alphabet=st.characters(exclude_characters="{}\\"), min_size=1).filter(lambda text: text.strip() != ""))
def test_boxed_text_comes_back_without_its_whitespace(content: str) -> None:
    assert extract_answer(f"1 \\boxed{{{content}}} 2") == content.strip()
