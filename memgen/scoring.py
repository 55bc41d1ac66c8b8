r"""Scorers of a completion against a solution: text in, numbers out.

`accuracy` is what the project reports, `compute_reward` is the authors' score beside it. Every scorer takes any text
without an exception, in time linear in its length. Knows nothing of models, files or runs; no torch.
"""

import re
from collections import deque
from decimal import Decimal, InvalidOperation

from memgen.math_equivalence import is_equiv

# What may go to math-verify. Its time limit needs SIGALRM, which the main thread alone can use, so none is set and the
# text itself must be harmless.
MAX_EXPRESSION_CHARS = 200
MAX_DIGITS_IN_A_ROW = 15
MAX_DEPTH = 5
MAX_EXPONENT_PRODUCT = 100
MAX_ROOTS = 1

_BRACES = re.compile(r"\\boxed\s*\{|\\.|[{}]", re.DOTALL)
_ANY_BRACE = re.compile(r"[{}]")

# At most ten groups: without a bound, `11,11,11,...` is read to its end again from every group.
_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{2,3}){0,8},[0-9]{3}(?![0-9])|[0-9]+)"
_NUMBER = rf"(?:{_DIGITS}(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
# A minus belongs to the number unless it stands behind another term: `16-3` ends in 3, `is -3` in -3.
_NUMBER_IN_TEXT = re.compile(rf"((?<![\w)\]}}])[-\u2212])?[$€£¥]?({_NUMBER})")
_LATEX_NOISE = re.compile(
    r"\\[()\[\]]|\\(?:text|textbf|mathrm|mathbf|mbox|displaystyle|left|right)(?![A-Za-z])"
    r"|\^\{?\s*\\circ\}?|\\[$%!,;: ]|[$€£¥₹%°~\u00a0\u2009\u202f]"
)
_DECIMAL_WITH_UNIT = re.compile(
    rf"(?P<sign>[-+]?)\s*(?:(?:USD|US|EUR|GBP|Rs\.?)\s*)?(?P<number>{_NUMBER})\.?\s*"
    # A word that multiplies is part of the value, not a unit: 3 million is not 3.
    r"(?!(?:hundred|thousand|million|billion|trillion|dozen|pi|sqrt|e)\b)"
    r"(?:[A-Za-z][A-Za-z'./ -]*(?:\^?[23]|[²³])?)?\s*\.?"
)
_ARITHMETIC = re.compile(r"(?:[0-9.+\-*/^(){}\s]|\\[dt]?frac(?![a-z])|\\(?:sqrt|pi|cdot|times|div)(?![a-z]))+")
_EXPONENT = re.compile(r"(?:\^|\*\*)\s*(?:\{\s*(-?[0-9]{1,3})\s*\}|([0-9]))?")


def score(completion: str, solution: str) -> dict[str, float]:
    """All scores of one completion, each 0.0 or 1.0: `accuracy`, `compute_reward`, `format_ok`."""
    return {
        "accuracy": accuracy(completion, solution),
        "compute_reward": compute_reward(completion, solution),
        "format_ok": float(format_ok(completion)),
    }


def accuracy(completion: str, solution: str, *, require_box: bool = False) -> float:
    r"""1.0 where the completion's answer has the value of the solution's, else 0.0.

    Args:
        completion: the model's text, up to its first EOS.
        solution: a text whose answer `extract_answer` finds, e.g. a rationale that ends in `\boxed{18}`.
        require_box: only a balanced `\boxed{}` counts as an answer (the reward of GRPO).
    """
    given = _last_box(completion) if require_box else extract_answer(completion)
    expected = extract_answer(solution)
    if given is None or expected is None:
        return 0.0
    return float(_same_value(given, expected))


def compute_reward(completion: str, solution: str) -> float:
    r"""The authors' score: the completion's *first* box against the solution's *last* box, as strings.

    The MATH benchmark's normalisation decides (`memgen.math_equivalence`), so `18.0` does not equal `18`.
    `\boxed 18$`, a box without braces that a dollar sign ends, counts; `\fbox{18}` does not.
    """
    given = _box_at(completion, completion.find(r"\boxed"))
    expected = _box_at(solution, solution.rfind(r"\boxed"))
    if given is None or expected is None:
        return 0.0
    return float(is_equiv(given, expected))


def format_ok(completion: str) -> bool:
    r"""Whether the completion has a balanced `\boxed{}` with something in it."""
    return _last_box(completion) is not None


def extract_answer(text: str) -> str | None:
    r"""The answer that a text gives, without whitespace around it; None where it gives none.

    Its last balanced `\boxed{}` that is not empty, else the line behind its last `####`, else its last number.
    """
    boxed = _last_box(text)
    if boxed is not None:
        return boxed
    _, mark, behind = text.rpartition("####")
    line = behind.lstrip().partition("\n")[0].strip()
    if mark and line:
        return line
    numbers = deque(_NUMBER_IN_TEXT.finditer(text), maxlen=1)
    return ("-" if numbers[0][1] else "") + numbers[0][2] if numbers else None


def _last_box(text: str) -> str | None:
    """Content of the non-empty balanced box that opens last; one pass with a stack, so linear in any text."""
    opened: list[tuple[int, bool]] = []
    last_start = -1
    last: str | None = None
    for token in _BRACES.finditer(text):
        if token[0].endswith("{") and token[0] != r"\{":
            opened.append((token.end(), token[0] != "{"))
        elif token[0] == "}" and opened:
            start, is_box = opened.pop()
            # Cut out only what opens later than the last one found: cutting each nested box would be quadratic.
            if is_box and start > last_start and (content := text[start : token.start()].strip()):
                last_start, last = start, content
    return last


def _box_at(text: str, position: int) -> str | None:
    r"""Content of the box at `position`; braces counted as the benchmark counts them (`\{` is one too)."""
    if position < 0:
        return None
    start = position + len(r"\boxed")
    if text.startswith(" ", start):
        return text[start + 1 :].partition("$")[0]
    if not text.startswith("{", start):
        return None
    depth = 0
    for brace in _ANY_BRACE.finditer(text, start):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return text[start + 1 : brace.start()]
    return None


def _same_value(given: str, expected: str) -> bool:
    left, right = _decimal(given), _decimal(expected)
    if left is not None and right is not None:
        return left == right
    return _without_noise(given) == _without_noise(expected) or _same_expression(given, expected)


def _decimal(answer: str) -> Decimal | None:
    """The decimal that an answer writes, without thousands commas, currency, percent, unit and trailing dot.

    None where it is no decimal; never NaN or infinite. Nothing is divided by a percent sign: 18 % is 18.
    """
    # One space for each run of them: the pattern would try every way to share a long run out.
    text = " ".join(_without_noise(answer).replace("{", "").replace("}", "").split())
    found = _DECIMAL_WITH_UNIT.fullmatch(text)
    if found is None:
        return None
    try:
        return Decimal(found["sign"] + found["number"].replace(",", ""))
    except InvalidOperation:  # an exponent beyond what the decimal module holds
        return None


def _without_noise(answer: str) -> str:
    """An answer without LaTeX wrapping, currency and percent; of `16 - 3 = 13` the last side."""
    text = _LATEX_NOISE.sub("", answer.replace("\u2212", "-"))
    return text.rpartition("=")[2].strip()


def _same_expression(given: str, expected: str) -> bool:
    """Whether math-verify finds two arithmetic expressions equal; False for what it must not see."""
    left, right = _without_noise(given), _without_noise(expected)
    if not (_is_small_arithmetic(left) and _is_small_arithmetic(right)):
        return False
    # Costs a second of import (sympy), which an evaluation whose answers are all decimals never pays.
    from math_verify import parse, verify

    try:
        return bool(
            verify(
                parse(f"${right}$", parsing_timeout=None),
                parse(f"${left}$", parsing_timeout=None),
                timeout_seconds=None,
            )
        )
    # sympy raises nearly everything on odd input, and no text of a model may end a run.
    except Exception:
        return False


def _is_small_arithmetic(text: str) -> bool:
    """Whether math-verify ends quickly on this: short, numbers and operators only, no towers of powers.

    No letters: the answers of our data are numbers, and `(a+b+c)^{99}` is expanded term by term. One root: sympy
    needs minutes for some nested ones. Exponents are plain integers, their product bounds any nesting of them.
    """
    if len(text) > MAX_EXPRESSION_CHARS or not _ARITHMETIC.fullmatch(text):
        return False
    if re.search(rf"[0-9]{{{MAX_DIGITS_IN_A_ROW + 1}}}", text) or text.count(r"\sqrt") > MAX_ROOTS:
        return False
    depth = 0
    for bracket in re.findall(r"[(){}]", text):
        depth += 1 if bracket in "({" else -1
        # Its grammar backtracks: 80 nested braces do not end within minutes.
        if not 0 <= depth <= MAX_DEPTH:
            return False
    product = 1
    for exponent in _EXPONENT.finditer(text):
        digits = exponent[1] or exponent[2]
        if digits is None:
            return False
        product *= max(1, abs(int(digits)))
    return depth == 0 and product <= MAX_EXPONENT_PRODUCT
