r"""String equivalence of two LaTeX answers, as the MATH benchmark (Hendrycks et al., 2021) defines it.

Two answers are equivalent when their normal forms are the same text. Knows nothing of boxes, decimals or
values: `18.0` and `18` differ here, and so do `1,000` and `1000`. The rules are the benchmark's, quirks included,
because scores are comparable with published ones only where the quirks are the same.
"""

import re

# Applied from top to bottom: `\\` becomes `\` before commands are looked for, so that `\\frac` is read as one.
_REWRITES = (
    ("\n", ""),
    (r"\!", ""),
    ("\\\\", "\\"),
    ("tfrac", "frac"),
    ("dfrac", "frac"),
    (r"\left", ""),
    (r"\right", ""),
    (r"^{\circ}", ""),
    (r"^\circ", ""),
    (r"\$", ""),
)
_BARE_ROOT = re.compile(r"\\sqrt([^{])")
_ROOT_OF_NOTHING = re.compile(r"\\sqrt(?:\\sqrt|$)")
_BARE_FRACTION = re.compile(r"\\frac([^{])(.)")
_INTEGER = r"(-?[1-9][0-9]*|0)"
_SLASHED = re.compile(f"{_INTEGER}/{_INTEGER}")


class _NoNormalForm(ValueError):
    """The benchmark's rules give up on this text, and both answers are then compared as written."""


def is_equiv(left: str, right: str) -> bool:
    """Whether two answers have the same normal form; as written, where one of them has none."""
    try:
        return normalise(left) == normalise(right)
    except _NoNormalForm:
        return left == right


def normalise(answer: str) -> str:
    r"""Normal form of an answer: no spaces, units, degrees or percent, fractions and roots with braces.

    Raises:
        ValueError: the text has several `\text{ ` units, or a root or fraction without an argument.
    """
    for old, new in _REWRITES:
        answer = answer.replace(old, new)
    answer = _without_unit(answer).replace(r"\%", "")
    answer = answer.replace(" .", " 0.").replace("{.", "{0.")
    if answer.startswith("."):
        answer = "0" + answer
    answer = _brace_roots(_right_hand_side(answer)).replace(" ", "")
    answer = _brace_fractions(answer)
    # The one decimal that the benchmark knows as a fraction.
    if answer == "0.5":
        return r"\frac{1}{2}"
    return _SLASHED.sub(r"\\frac{\1}{\2}", answer) if _SLASHED.fullmatch(answer) else answer


def _without_unit(answer: str) -> str:
    r"""Drop what stands at and after `\text{ `: only a text that begins with a space counts as a unit."""
    number, *units = answer.split(r"\text{ ")
    if len(units) > 1:
        raise _NoNormalForm(answer)
    return number


def _right_hand_side(answer: str) -> str:
    """`x=18` -> `18`, for one equals sign with at most two characters on its left."""
    name, sign, value = answer.partition("=")
    return value if sign and "=" not in value and len(name) <= 2 else answer


def _brace_roots(answer: str) -> str:
    r"""`\sqrt3` -> `\sqrt{3}`."""
    if _ROOT_OF_NOTHING.search(answer):
        raise _NoNormalForm(answer)
    return _BARE_ROOT.sub(r"\\sqrt{\1}", answer)


def _brace_fractions(answer: str) -> str:
    r"""`\frac12` -> `\frac{1}{2}`, `\frac1{72}` -> `\frac{1}{72}`; one cut short leaves all as they are."""
    for arguments in answer.split(r"\frac")[1:]:
        if not arguments:
            raise _NoNormalForm(answer)
        if len(arguments) == 1 and arguments != "{":
            return answer
    return _BARE_FRACTION.sub(_braced, answer)


def _braced(fraction: re.Match[str]) -> str:
    numerator, rest = fraction.groups()
    return rf"\frac{{{numerator}}}" + (rest if rest == "{" else f"{{{rest}}}")
