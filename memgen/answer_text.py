r"""What an answer says, whatever its spelling: one cleaning and one grammar for all places where an answer may stand.

docs/scoring.md writes the grammar down. `clean` takes LaTeX, markdown, currency and foreign digits off a piece of
text, `value_of` reads the value of what is left, `last_number` finds the last number of a text. Each is linear in the
text's length and never raises. Knows nothing of boxes and marks.
"""

import re
import unicodedata
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice

from memgen.answer_words import (
    LABELS,
    MINUS,
    MULTIPLIERS,
    NO_UNIT,
    NUMBER_WORDS,
    ONE_LETTER_UNITS,
    PART,
    PARTS,
    SUFFIXES,
    WHOLES,
)
from memgen.arithmetic import NoValue, Value, evaluate

MAX_ANSWER_CHARS = 400  # of a cleaned answer; a longer one has no value
WINDOW = 4096  # characters of a line that are searched for a number at a time
AFTER = 64  # characters after its last digit that a window has
MAX_WINDOWS = 64  # that are searched in all, from the end

# Numbers, with ASCII digits: thousands by comma (also 1,00,000), by dots, by spaces, apostrophes or underscores;
# a decimal comma where no thousands can be meant. All repetition is bounded or possessive, so a search is linear.
_GROUPS = "|".join(rf"(?:{mark}[0-9]{{3}}){{1,9}}" for mark in (" ", "'", "_"))
NUMBER = (
    r"(?:[1-9][0-9]{0,2}(?:,[0-9]{2,3}){0,8},[0-9]{3}(?![0-9])(?:\.[0-9]++)?"
    r"|[1-9][0-9]{0,2}(?:\.[0-9]{3}){1,9},[0-9]++"
    r"|[1-9][0-9]{0,2}(?:\.[0-9]{3}){2,9}(?!\.?[0-9])"
    rf"|[1-9][0-9]{{0,2}}(?:{_GROUPS})(?![0-9])(?:[.,][0-9]++)?"
    r"|(?<![0-9],)(?<![(\[])(?:0,[0-9]++|[0-9]++,[0-9]{1,2})(?![0-9]|,[0-9])"
    r"|[0-9]++(?:\.[0-9]++)?|\.[0-9]++)"
    r"(?:[eE][-+]?[0-9]++(?![A-Za-z]))?"
)

# `third graders` are no thirds: in the singular a part stands at the end. A suffix stands at its number, or at the end.
_MULTIPLIER = (
    rf"(?:[ -]?(?i:{'|'.join(sorted([*WHOLES, *PARTS], key=len, reverse=True))})(?![\w])"
    rf"|[ -]?(?i:{'|'.join(PART)})(?=[^\w]*$)"
    r"|(?:MM|[kKMBT])(?![\w&'^-])"
    r"|[ ](?:MM|[kKMBT])(?=[^\w]*$|[ ](?i:dollars?|euros?|pounds?|rupees?|yen)))"
)

_INVISIBLE = dict.fromkeys(
    [0xAD, 0x180E, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070)]
)
_LOOK_ALIKES = {0xFF01 + n: 0x21 + n for n in range(94)} | {
    ord(mark): plain
    for marks, plain in (
        ("‐‑‒–−﹣", "-"), ("—―", " "), ("‘’ʼ′", "'"), ("“”″«»", '"'), ("×⋅·∙•∗✕✖", "*"), ("÷∕⁄", "/"),
        ("π", r"\pi "), ("√", r"\sqrt "), ("٫", "."), ("٬", ","), ("٪", "%"), ("。", "."), ("、", ","), ("﹩", "$"),
        ("°º˚", r"\circ "), ("⇒→⟹", "="), ("≈≃≅", "="),
    )
    for mark in marks
}  # fmt: skip
_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"
_SUPERSCRIPT = re.compile(f"[{_SUPERSCRIPTS}]+")
_PLAIN_OF_SUPERSCRIPT = str.maketrans(_SUPERSCRIPTS, "0123456789-")
_VULGAR = re.compile("[¼-¾⅐-⅞]")
_FOREIGN_DIGIT = re.compile(r"(?![0-9])\d")

_CURRENCY = re.compile("[¢£¤¥฿₠-⃏]")
_STYLES = (
    "text|textbf|textit|textrm|textsf|texttt|textnormal|emph|mathrm|mathbf|mathit|mathsf|mathtt|mathbb|mathcal|mathnormal"
    "|operatorname|mbox|hbox|bf|rm|it|bold|boldsymbol|pmb|underline|overline|boxed|fbox|displaystyle|textstyle|left|right"
    "|large|Large|LARGE|huge|Huge|normalsize|small|bigl?|bigr|Bigl?|Bigr"
)
# Each with characters of which a text needs one for it to change anything.
_REWRITES = tuple(
    (needed, re.compile(pattern), new)
    for needed, pattern, new in (
        ("<", r"<<[^<>]{0,200}>>(?=[-+.\d])", ""),  # GSM8K's annotation of a result that stands right after it
        ("<>&", r"</?[A-Za-z][A-Za-z0-9]{0,20}/?>|&nbsp;|<<|>>", " "),
        ("\\", r"\\(?:begin|end)\{[a-z]{1,20}\*?\}|\\(?:text)?color\{[A-Za-z]{1,20}\}", " "),
        ("\\", r"\\[hv]space\*?\{[^{}]{0,20}\}|\\l?dots(?![A-Za-z])", " "),
        ("\\", r"\\(?:quad|qquad|enspace|thinspace|newline)(?![A-Za-z])", " "),
        ("\\", r"\^\s*\{\s*\\circ\s*\}|(?:\^\s*)?\\(?:circ|degree)(?![A-Za-z])", " "),
        ("\\", rf"\\(?:{_STYLES})(?![A-Za-z])\s*\{{([^{{}}]*)\}}", r"\1"),
        ("\\", rf"\\(?:{_STYLES})(?![A-Za-z])\s*\{{([^{{}}]*)\}}", r"\1"),  # one in the other
        ("\\", rf"\\(?:{_STYLES})(?![A-Za-z])", ""),
        ("\\", r"\\[()\[\]]", " "),
        ("{", r"\{\s*(?:\\[,;:! ]|([.,' ]))?\s*\}", r"\1"),  # 1{,}000
        ("\\", r"\\!", ""),
        ("\\~", r"\\(?:[,;:> ]|\\)|~", " "),
        ("\\", r"\\[dtc]?frac\s*\{\s*([A-Za-z]+)\s*\}\s*\{\s*([A-Za-z]+)\s*\}", r" \1/\2"),  # km over h
        ("^", r"\^\s*\{?\s*(st|nd|rd|th)(?![A-Za-z])\s*\}?", r"\1"),
        ("\\", r"\\(?:approx|simeq|cong|sim|implies|to|Rightarrow|rightarrow|Longrightarrow)(?![A-Za-z])", "="),
        ("\\", r"\\([%$#&_])", r"\1"),
        ("\\%", r"\\percent(?![A-Za-z])|%", " "),
        ("\\", r"\\(?:pounds|euro)(?![A-Za-z])", "$"),
        ("$", r"(?<=\$)(\s?-?[0-9][0-9.,]{0,20}\s?)m(?![A-Za-z])", r"\1M"),  # £5m is no length
        ("$", r"(?<=\$)(\s?-?[0-9][0-9.,]{0,20}\s?)b(?![A-Za-z])", r"\1B"),
        ("$", r"-\$+(?=[0-9.])", "-"),
        ("$", r"\$", " "),
        ("UEGICJR", r"(?<![A-Za-z])(?:US|USD|EUR|GBP|INR|CAD|AUD|JPY|CNY|RMB|Rs\.?)\s?(?=[-\d.])", ""),
        # markdown: what opens stands before a character and after none, what closes the other way round
        ("*_`", r"(?<![\w)}\]*`])[*_`]++(?=\S)", ""),
        ("*_`", r"(?<![*_`\s])[*_`]++(?![\w(\\{]|\.[0-9])", ""),
        ("s", r"(?<![A-Za-z\\])sqrt(?=[ ({])", r"\\sqrt"),
        ("\\", r"\\over(?![A-Za-z])", "/"),
        ("xX", r"(?<=[0-9)])(?<!\b0) ?[xX] ?(?=[0-9(])", "*"),
        ("a", r"(?<=[0-9]) and (?:a|one)[ -]half\b", " 1/2"),
        ("a", r"(?<=[0-9]) and (?=[0-9]{1,9}/[0-9])", " "),
    )
)

_TOKEN = re.compile(
    rf"(?P<number>{NUMBER})|(?P<frac>\\[dtc]?frac(?![A-Za-z]))|(?P<root>\\sqrt)|(?P<pi>\\pi(?![A-Za-z]))"
    r"|(?P<operator>\*\*|[-+*/^(){}\[\]]|\\(?:cdot|times|div|ast)(?![A-Za-z]))|(?P<space>\s++)"
)
_OPERATORS = {"**": "^", r"\cdot": "*", r"\times": "*", r"\ast": "*", r"\div": "/"}
_SIDES = re.compile(r"(?<![<>!])=(?!>)|=>|->")
_WORD = re.compile(r"[^\W\d_]+\.?")
_UNIT = r"(?:/ ?|-)?[^\W\d_](?:[^\W\d_]|[ './,:;&-]|(?<=[^\W\d_])\^?-?[1-4](?!\d))*"
_TAIL = re.compile(rf"(?P<multipliers>(?:{_MULTIPLIER}){{0,3}})\s*(?P<unit>{_UNIT})?\s*(?:\([^()]*\))?[\s.,;:]*")
_REMARK = re.compile(r"\s*[(\[](?!\s*(?:pi|sqrt))[^()\[\]\\]*[^\W\d_]{2}[^()\[\]\\]*[)\]][\s.,;:]*$")
_MULTIPLIER_WORD = re.compile(r"[A-Za-z]+")
_QUOTES = {'"': '"', "'": "'", "{": "}", "(": ")", "[": "]"}

_ARGUMENT = r"\s?(?:\{[^{}]{1,40}\}|[0-9])"
_TERM = re.compile(
    r"(?<![A-Za-z_^])(?<!\^[{-])(?<!\^\{-)"  # not in m2, x_2, m^2
    r"(?:(?<![0-9A-Za-z)\]}])-)?"  # a minus, unless it stands after another term: `16-3` ends in 3, `is -3` in -3
    rf"(?:[0-9]{{1,9}}(?::[0-9]{{1,2}}){{1,3}}(?![0-9])"  # 3:30 is one thing, and no number
    rf"|(?:{NUMBER} ?)?\\[dtc]?frac{_ARGUMENT}{_ARGUMENT}|(?:{NUMBER} ?)?\\sqrt{_ARGUMENT}"
    rf"|(?:{NUMBER} ?(?:\*|\\times|\\cdot) ?(?=10(?:\^|\*\*)))?"
    rf"{NUMBER}(?: [0-9]{{1,9}}(?= ?/ ?[0-9]))?(?: ?/ ?{NUMBER}){{0,5}}(?:(?:\^|\*\*)\{{?-?[0-9]{{1,9}}\}}?)?)"
    rf"(?:{_MULTIPLIER}){{0,3}}"
)
_INTEGER = re.compile(r"-?[0-9]{1,100}")
# `### Step 3`, `**Step 3: the result**`, `## 2. The result`, without another number
_HEADING = re.compile(
    r"[\s>]*[#*_]*\s*(?i:step|part|question|problem|case|method|example|section)\s*#?[0-9]++[^0-9]*"
    r"|[\s>]*[#*_]++\s*[0-9]{1,2}[.)]\s*[^\W\d_][^0-9]*"
)
_DIGIT = re.compile(r"[\d¼-¾⅐-⅞]")


def clean(text: str) -> str:
    """A piece of text without wrapping, currency, percent and emphasis, in ASCII digits, with single spaces."""
    if not text.isascii():
        text = _VULGAR.sub(lambda found: " " + unicodedata.normalize("NFKC", found[0]), text)
        text = _SUPERSCRIPT.sub(lambda found: "^{" + found[0].translate(_PLAIN_OF_SUPERSCRIPT) + "}", text)
        text = text.translate(_INVISIBLE).translate(_LOOK_ALIKES)
        text = _CURRENCY.sub("$", text)
        text = _FOREIGN_DIGIT.sub(lambda found: str(unicodedata.decimal(found[0])), text)
    text = " ".join(text.split())
    for needed, pattern, new in _REWRITES:
        if any(mark in text for mark in needed):
            text = pattern.sub(new, text)
    return " ".join(text.split())


def plain(answer: str) -> str:
    """What is compared of an answer without a value: its cleaned text without spaces and case."""
    text = " ".join(answer.split())
    return (clean(text) if len(text) <= 2 * MAX_ANSWER_CHARS else text).replace(" ", "").casefold()


def value_of(answer: str, *, dozen: int = 12) -> Value | None:
    """The value of an answer, None where it has none; with a `dozen` of 1 dozens are a unit and nothing multiplied."""
    text = " ".join(answer.split())
    if _INTEGER.fullmatch(text):  # most answers, at a tenth of the time
        return {(1, 0): Fraction(text)} if int(text) else {}
    if len(text) > 2 * MAX_ANSWER_CHARS:
        return None
    text = clean(text)
    if len(text) > MAX_ANSWER_CHARS:
        return None
    sides = [side for side in _SIDES.split(text) if any(letter.isdigit() for letter in side) or r"\pi" in side]
    try:
        return _value_of_side(sides[-1], dozen) if sides else None
    except NoValue:
        return None


def is_label(line: str) -> bool:
    """Whether a line has nothing but words that may stand before an answer, e.g. `Final answer:`."""
    return not _without_labels(clean(line[: 2 * MAX_ANSWER_CHARS]))[1]


def last_number(text: str) -> str | None:
    """The last number of a text with what multiplies it, cleaned; None where there is none.

    That of a heading (`### Step 3: the result`) counts only where there is no other.
    """
    in_heading = None
    for window in islice(_windows(text), MAX_WINDOWS):
        terms = _TERM.findall(clean(window))
        if not terms:
            continue
        number = str(terms[-1]).strip()
        if not _HEADING.fullmatch(window):
            return number
        in_heading = in_heading or number
    return in_heading


def _windows(text: str) -> Iterator[str]:
    """Pieces of lines that have a digit, the last first; a line that is long comes in several."""
    end = len(text)
    while end > 0 and (digit := _last_digit(text, end)) >= 0:
        line = text.rfind("\n", 0, digit) + 1
        start = max(line, digit + 1 - WINDOW)
        line_end = text.find("\n", digit, digit + AFTER)
        yield text[start : min(end, digit + AFTER) if line_end < 0 else line_end]
        end = start


def _last_digit(text: str, end: int) -> int:
    """Place of the last digit or written fraction before `end`, -1 where there is none."""
    while end > 0:
        start = max(0, end - WINDOW)
        places = [found.start() for found in _DIGIT.finditer(text, start, end)]
        if places:
            return places[-1]
        end = start
    return -1


def _value_of_side(side: str, dozen: int) -> Value:
    sign, text = _without_labels(_without_quotes(side))
    text = _REMARK.sub("", _without_quotes(text))
    tokens, end = _arithmetic(text)
    tail = _TAIL.fullmatch(text[end:].replace("{", "").replace("}", ""))
    if not tokens or tail is None or not _is_unit(tail["unit"]):
        raise NoValue(text)
    factor = Fraction(sign)
    for multiplier in _MULTIPLIER_WORD.findall(tail["multipliers"]):
        word = multiplier.lower()
        factor *= dozen if word.startswith("dozen") else SUFFIXES.get(multiplier) or MULTIPLIERS[word]
    if tail["multipliers"] and any(token in "+-" for token in tokens[1:]):
        raise NoValue(text)  # is it the sum or its last term that is meant?
    return {key: number * factor for key, number in evaluate(tokens).items()}


def _without_quotes(text: str) -> str:
    """The text without quotes or brackets around all of it, and without what separates at its ends."""
    text = text.rstrip(" .,;:").lstrip(" ,;:#")
    for _ in range(4):
        inner = text[1:-1]
        if len(text) < 2 or _QUOTES.get(text[0]) != text[-1] or any(mark in inner for mark in "{}()[]\"'"):
            break
        if text[0] in "([" and "," in inner:  # a pair of numbers
            break
        text = inner.strip()
    return text


def _without_labels(text: str) -> tuple[int, str]:
    """1, or -1 after `minus`, and the text after the words that may stand before an answer."""
    sign, position = 1, 0
    while (word := _WORD.match(text, position)) is not None:
        name = word[0].rstrip(".").lower()
        if name in MINUS:
            sign = -sign
        elif name not in LABELS:
            break
        position = word.end()
        while position < len(text) and text[position] in " :,":
            position += 1
    return sign, text[position:].strip(" :")


def _arithmetic(text: str) -> tuple[list[str], int]:
    """The arithmetic that a text begins with, as tokens, and where it ends."""
    tokens: list[str] = []
    ends: list[int] = []
    position = 0
    while (token := _TOKEN.match(text, position)) is not None:
        position = token.end()
        kind = token.lastgroup
        if kind == "number":
            tokens.append(_python_number(token[0]))
        elif kind == "frac":
            tokens.append(r"\frac")
        elif kind != "space":
            tokens.append(_OPERATORS.get(token[0], token[0]))
        if kind != "space":
            ends.append(position)
    while tokens and tokens[-1] in "+-*/^({[":  # they belong to what follows
        tokens.pop()
        ends.pop()
    return tokens, ends[-1] if ends else 0


def _python_number(number: str) -> str:
    """`1.234,56`, `1 000`, `1e3` as Python writes them."""
    mantissa, mark, exponent = re.sub("[ '_]", "", number).lower().partition("e")
    commas, dots = mantissa.count(","), mantissa.count(".")
    if commas and dots:
        decimal = "," if mantissa.rindex(",") > mantissa.rindex(".") else "."
        mantissa = mantissa.replace("." if decimal == "," else ",", "").replace(",", ".")
    elif commas:
        is_decimal = mantissa.startswith("0") or len(mantissa.rpartition(",")[2]) != 3
        mantissa = mantissa.replace(",", "." if is_decimal else "")
    elif dots > 1:
        mantissa = mantissa.replace(".", "")
    return mantissa + mark + exponent


def _is_unit(unit: str | None) -> bool:
    """Whether a phrase after a number may be left out."""
    if unit is None:
        return True
    words = [word.rstrip(".").lower() for word in _WORD.findall(unit)]
    if words[0] in NO_UNIT or not NUMBER_WORDS.isdisjoint(words):
        return False
    letters = unit.lstrip("/- ")
    one_letter = len(letters) == 1 or not (letters[1].isalpha() or letters[1] == "-")
    return not (one_letter and letters[0].isascii() and letters[0] not in ONE_LETTER_UNITS)
