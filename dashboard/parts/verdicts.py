"""What a comparison with a base says, in words."""

from backend.api.schemas import GainOut
from dashboard.parts.components import Colour
from dashboard.parts.language import mark, t

VERDICTS: dict[str, tuple[str, Colour, str]] = {
    "better": (mark("better"), "green", "trending_up"),
    "worse": (mark("worse"), "red", "trending_down"),
    "no_difference": (mark("no difference"), "gray", "trending_flat"),
    "too_few_questions": (mark("too few questions to tell"), "orange", "help"),
}
"""Words, colour and icon of each verdict."""


def points(value: float) -> str:
    """`+18.7`, `−2.0`: a change in percentage points."""
    text = f"{abs(value):.1f}"
    return f"{'−' if value < 0 and text != '0.0' else '+'}{text}"


def change_words(gain: GainOut) -> str:
    """`+18.7 points (+9.1 to +28.0), better`, markdown with the verdict as a badge."""
    word, colour, icon = VERDICTS[gain.verdict]
    change = t(
        "**{change}** points ({low} to {high})",
        change=points(gain.points),
        low=points(gain.low),
        high=points(gain.high),
    )
    return f"{change} :{colour}-badge[:material/{icon}: {t(word)}]"
