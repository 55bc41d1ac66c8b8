r"""Scorers of a completion against a solution: text in, numbers out.

`accuracy` is what the project reports, `compute_reward` is the authors' score beside it. Every scorer takes any text
without an exception, in time linear in its length. docs/scoring.md is the grammar of an answer. Knows nothing of
models, files or runs; no torch.
"""

import re
from collections import deque

from memgen.answer_text import is_label, last_number, plain, value_of
from memgen.contract.answers import with_strict
from memgen.contract.data_sets.record import AnswerKind
from memgen.expressions import same_expression
from memgen.math_equivalence import is_equiv

SCORER_VERSIONS: dict[AnswerKind, int] = {"number": 2, "choice": 3, "expression": 3, "exact text": 2}
"""By kind of answer, raised with every change that may give an answer another score; what carries none is of 1."""
MAX_MARKS = 100  # marked lines that are looked at, from the last

# A backslash may be doubled, as in text that was meant for JSON.
_BRACES = re.compile(r"\\{1,4}boxed\s*\{|\\.|[{}]", re.DOTALL)
_ANY_BRACE = re.compile(r"[{}]")
_MARK = re.compile(r"(?:\\?#){4,}")
_LINE = re.compile(r"\s*+([^\n]+)")
_CHOICE = re.compile(r"(?<![A-Za-z0-9_\\'])\(?([A-Z])(?![A-Za-z0-9_'])")
_TEXT_STYLE = re.compile(r"\\(?:text|mathrm|mathbf|textbf)\s*\{([^{}]*)\}")


def score(completion: str, solution: str, kind: AnswerKind = "number") -> dict[str, float]:
    """All scores of one completion, each 0.0 or 1.0.

    Returns:
        `accuracy`; `accuracy_strict`, where only an answer in a box counts (the reward of GRPO); `compute_reward`;
        `format_ok`.
    """
    return with_strict(
        {
            "accuracy": accuracy(completion, solution, kind),
            "compute_reward": compute_reward(completion, solution),
            "format_ok": float(format_ok(completion)),
        }
    )


def accuracy(completion: str, solution: str, kind: AnswerKind = "number", *, require_box: bool = False) -> float:
    r"""1.0 where the completion's answer is that of the solution, else 0.0.

    Args:
        completion: the model's text, up to its first EOS.
        solution: a text whose answer `answer_of` finds, e.g. a rationale that ends in `\boxed{18}`.
        kind: how answers are found and compared.
        require_box: only a balanced `\boxed{}` counts as an answer (the reward of GRPO). Beside a box nothing else
            counts anyway, so this is `accuracy` where there is one, and 0.0 where there is none.
    """
    given = _last_box(completion) if require_box else answer_of(completion, kind)
    expected = answer_of(solution, kind)
    if given is None or expected is None:
        return 0.0
    match kind:
        case "choice":
            return float(choice_of(given) == choice_of(expected) is not None)
        case "exact text":
            return float(given.split() == expected.split())
        case "expression":
            return float(_same_value_or_expression(given, expected))
        case _:
            return float(same_answer(given, expected))


def answer_of(text: str, kind: AnswerKind = "number") -> str | None:
    """The answer of a kind that a text gives; None where it gives none."""
    match kind:
        case "choice":
            return choice_of(text)
        case "exact text":
            return _last_box(text) or next(iter(_marked_lines(text)), None) or _last_line(text)
        case "expression":
            return _last_box(text) or next(iter(_marked_lines(text)), None) or last_number(text)
        case _:
            return extract_answer(text)


def choice_of(text: str) -> str | None:
    r"""The letter that a text chooses: that of its last box, else of its last marked line, else its last lone capital.

    `(B)`, `B.`, `\text{B}` and `B) seven` are B; in the text itself an `A` or `I` that is a word does not count. Beside
    a box nothing else counts, even where the box holds no letter.
    """
    box = _last_box(text)
    for place in (box, next(iter(_marked_lines(text)), None)):
        if place is not None and (first := _CHOICE.search(_TEXT_STYLE.sub(r"\1", place))) is not None:
            return first[1]
        if box is not None:
            return None
    if len(text) == 1 and text.isascii() and text.isupper():
        return text
    letters = [one[1] for one in _CHOICE.finditer(text) if one[1] not in "AI" or _stands_alone(text, one)]
    return letters[-1] if letters else None


def _stands_alone(text: str, letter: re.Match[str]) -> bool:
    """Whether a letter that may be a word is none: in brackets, or at the end of a line or sentence."""
    after = text[letter.end() : letter.end() + 2].strip()
    return letter[0].startswith("(") or after == "" or after[0] in ").:,"


def _last_line(text: str) -> str | None:
    """The last line with something in it."""
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else None


def _same_value_or_expression(given: str, expected: str) -> bool:
    """Whether two answers have the same text or the same value; math-verify tells where one of them has no value."""
    if plain(given) == plain(expected) != "":
        return True
    values = value_of(given), value_of(expected)
    if None not in values:
        return values[0] == values[1]
    return same_expression(given, expected)


def same_answer(given: str, expected: str) -> bool:
    """Whether two answers have the same value, or, where neither has one, the same text.

    Dozens count twice, as 12 and as a unit: to a question for dozens `7 dozen` is 7, which a text can't tell.
    """
    left, right = value_of(given), value_of(expected)
    if left is None and right is None:
        return plain(given) == plain(expected) != ""
    return left == right or ("dozen" in given.lower() and value_of(given, dozen=1) == right)


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

    Its last balanced `\boxed{}` that is not empty, else the last line after a `####` that has a value, else its
    last number, else the last line after a `####`.
    """
    boxed = _last_box(text)
    if boxed is not None:
        return boxed
    lines = _marked_lines(text)
    for line in lines:
        if value_of(line) is not None:
            return line
    return last_number(text) or next(iter(lines), None)


def _marked_lines(text: str) -> list[str]:
    """What stands after each `####`, the last first; after a mere label such as `Answer:` the line after it."""
    if "####" not in text and r"#\#" not in text:
        return []
    marks = deque(_MARK.finditer(text), maxlen=MAX_MARKS)
    lines = []
    end = len(text)
    for mark in reversed(marks):
        line = _LINE.match(text, mark.end(), end)
        if line is not None and is_label(line[1]):
            line = _LINE.match(text, line.end(), end)
        if line is not None:
            lines.append(line[1].strip())
        end = mark.start()
    return lines


def _last_box(text: str) -> str | None:
    """Content of the non-empty balanced box that opens last; one pass with a stack, so linear in any text."""
    first = text.find("boxed")
    if first < 0:
        return None
    opened: list[tuple[int, bool]] = []
    last_start = -1
    last: str | None = None
    for token in _BRACES.finditer(text, max(0, first - 4)):
        if token[0].endswith("{") and token[0] != r"\{":
            opened.append((token.end(), len(token[0]) > 1))
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
