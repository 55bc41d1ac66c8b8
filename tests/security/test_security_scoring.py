"""Answers that are meant to stop the scorer: each is scored in bounded time, without a process and without sympy."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from memgen.answer_text import MAX_ANSWER_CHARS, value_of
from memgen.scoring import accuracy, extract_answer, score

REPOSITORY = Path(__file__).parents[2]
SLOWEST = 0.1  # seconds of processor time that one answer may take

CHAINS = {
    "division": "/".join(map(str, range(1, 31))),
    "division of decimals": "/".join(f"{n}.5" for n in range(1, 60)),
    "power": "9^12345678",
    "power in braces": "9^{12345678}",
    "tower": "9^{9^{9^{9}}}",
    "tower in brackets": "(((10^9)^9)^9)^9",
    "power of a power": "((2^{99})^{99})^{99}",
    "negative power": "9^{-12345678}",
    "power of a fraction": r"\frac{9}{7}^{12345678}",
    "power of a root": r"(\sqrt{2}+\sqrt{3}+\sqrt{5})^{99}",
    "power of pi": r"\pi^{99999}",
    "starred power": "9**9**9",
    "one to a large power": "1^{99999999999999999999}",
    "exponent": "1e999999999",
    "many powers": "*".join(["9^{600}"] * 40),
    "many additions": "+".join(["1/7"] * 99),
    "different denominators": "+".join(f"1/{n}" for n in range(2, 90)),
    "large denominators": "+".join(f"1/{10**9 + n}" for n in range(28)),
    "sum of roots": "+".join(rf"\sqrt{{{n}}}" for n in range(2, 40)),
    "product of sums of roots": "*".join([r"(\sqrt2+\sqrt3+\sqrt5+\sqrt7)"] * 10),
    "roots of large primes": "+".join([r"\sqrt{999999937}"] * 22),
    "roots in roots": r"\sqrt{" * 40 + "2" + "}" * 40,
    "bare roots": r"\sqrt" * 70 + "2",
    "higher roots": "+".join([rf"\sqrt[9]{{{7**40}}}"] * 8),
    "bare fractions": r"\frac" * 70 + "12",
    "fractions in fractions": r"\frac{1}{1+" * 30 + "1" + "}" * 30,
    "deep braces": "{" * 190 + "1/2" + "}" * 190,
    "deep brackets": "(" * 190 + "1" + ")" * 190,
    "signs": "-" * 390 + "1",
    "signs in powers": "2^-" * 120 + "1",
    "products without a sign": "(2)" * 130,
    "mixed numbers": r"2\frac{1}{3}" * 30,
    "digits": "1" * 400,
    "digits of a decimal": "0." + "1" * 390,
    "groups": "1,234" + ",567" * 98,
    "groups of dots": "1" + ".234" * 98,
    "groups of spaces": "1" + " 234" * 98,
    "letters": "(a+b+c+d+e+f)^{99}",
    "labels": "the answer is " * 28,
    "equals signs": "1=" * 200,
    "emphasis": "*_`" * 130,
    "styles": r"\text{" * 60 + "1" + "}" * 60,
    "units": "1 " + "m/s " * 95 + "!",
    "remarks": "1 " + "(aa" * 120,
    "multipliers": "9" + " trillion" * 40,
    "factorial": "99999!",
}


@pytest.mark.parametrize("text", CHAINS.values(), ids=CHAINS)
def test_answer_is_valued_in_a_tenth_of_a_second_wherever_it_stands(text: str) -> None:
    for completion in (
        text,
        rf"\boxed{{{text}}}",
        f"#### {text}",
        rf"\boxed{{x = {text}}}",
        rf"\boxed{{-{text} eggs}}",
    ):
        seconds = min(timed(completion) for _ in range(3))  # the machine may be busy with something else
        assert seconds < SLOWEST


def timed(completion: str) -> float:
    started = time.process_time()
    score(completion, r"\boxed{18}")
    return time.process_time() - started


@pytest.mark.parametrize(
    ("text", "same", "other"),
    [
        (CHAINS["division"], r"\frac{1}{265252859812191058636308480000000}", "0"),
        ("1/2^{99}", r"\frac{1}{2^{98} \cdot 2}", "1/2^{98}"),
        ("2^{200}", "4^{100}", "2^{199}"),
        ("10^{100} + 1", "1 + 10^{100}", "10^{100}"),
        ("0.1 + 0.2", "0.3", "0.30000000000000004"),
        ("1/3", "2/6", "0.333333333333333333"),
        (r"\sqrt{12}", r"2\sqrt{3}", "3.4641016151377544"),
        (r"2\pi", r"\pi + \pi", "6.283185307179586"),
        ("9^12345678", "9^12345678", "9^12345679"),
    ],
)
def test_equality_is_exact(text: str, same: str, other: str) -> None:
    assert accuracy(rf"\boxed{{{text}}}", rf"\boxed{{{same}}}") == 1.0
    assert accuracy(rf"\boxed{{{text}}}", rf"\boxed{{{other}}}") == 0.0


LONG = {
    "text": "a" * 10_000_000,
    "digits": "1" * 10_000_000,
    "boxes": r"\boxed{1}" * 100_000,
    "empty boxes": r"\boxed{}" * 100_000,
    "boxes in boxes": r"\boxed{" * 100_000 + "}" * 100_000,
    "braces": r"\boxed{" + "{" * 1_000_000,
    "box of a long text": r"\boxed{" + "18 " * 1_000_000 + "}",
    "marks": "#### " * 1_000_000,
    "marked words": "#### a\n" * 200_000,
    "one mark": "#" * 10_000_000,
    "units with digits": "m2 " * 1_000_000,
    "lines": "\n" * 10_000_000,
    "a number far from the end": "18\n" + "a b " * 2_000_000,
    "commas": "1," * 2_000_000,
    "foreign digits": "٣" * 1_000_000,
    "invisible characters": "\u200b" * 2_000_000,
    "fractions": r"\frac{1}" * 300_000,
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_long_completion_is_scored_in_linear_time(text: str) -> None:
    started = time.process_time()
    score(text, r"\boxed{18}")
    assert time.process_time() - started < 10


def test_number_far_from_the_end_is_still_the_last_number() -> None:
    assert extract_answer(LONG["a number far from the end"]) == "18"


def test_plain_and_hostile_answers_import_no_sympy_and_start_no_process() -> None:
    program = (
        "import sys; from memgen.scoring import score\n"
        "def refuse(event, _):\n"
        "    assert event not in ('subprocess.Popen', 'os.fork', 'os.posix_spawn', 'os.exec'), event\n"
        "sys.addaudithook(refuse)\n"
        "for text in ('18', '18.0', '36/2', '9^12345678', '1/2/3', '\\\\sqrt{324}'):\n"
        "    score('\\\\boxed{' + text + '}', '\\\\boxed{18}')\n"
        "sys.exit(bool({'torch', 'sympy', 'math_verify', 'transformers', 'multiprocessing'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY).returncode == 0


def test_answer_beyond_the_longest_is_compared_as_text() -> None:
    text = "1+" * MAX_ANSWER_CHARS + "1"
    assert value_of(text) is None
    assert accuracy(rf"\boxed{{{text}}}", rf"\boxed{{{text}}}") == 1.0
    assert accuracy(rf"\boxed{{{text}}}", rf"\boxed{{{text}+1}}") == 0.0
