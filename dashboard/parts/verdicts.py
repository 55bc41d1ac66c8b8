"""What a comparison with a base says, in words."""

from backend.api.schemas import GainOut
from dashboard.parts.components import Colour

VERDICTS: dict[str, tuple[str, Colour, str]] = {
    "better": ("better", "green", "trending_up"),
    "worse": ("worse", "red", "trending_down"),
    "no_difference": ("no difference", "gray", "trending_flat"),
    "too_few_questions": ("too few questions to tell", "orange", "help"),
}
"""Words, colour and icon of each verdict."""


def points(value: float) -> str:
    """`+18.7`, `−2.0`: a change in percentage points."""
    text = f"{abs(value):.1f}"
    return f"{'−' if value < 0 and text != '0.0' else '+'}{text}"


def change_words(gain: GainOut) -> str:
    """`+18.7 points (+9.1 to +28.0), better`, markdown with the verdict as a badge."""
    word, colour, icon = VERDICTS[gain.verdict]
    interval = f"{points(gain.low)} to {points(gain.high)}"
    return f"**{points(gain.points)}** points ({interval}) :{colour}-badge[:material/{icon}: {word}]"
