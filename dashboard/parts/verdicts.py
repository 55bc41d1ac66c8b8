"""What a comparison with a base says, in words."""

from backend.api.schemas import ChangeOut, GainOut
from dashboard.parts.components import Colour
from dashboard.parts.language import mark, t
from dashboard.parts.text import count
from memgen.contract.intervals import WORTH_KNOWING

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


SENTENCES: dict[str, str] = {
    "better": mark("Better: {points} points, p = {p}."),
    "worse": mark("Worse: {points} points, p = {p}."),
    "no_difference": mark("No difference of {worth_knowing} points or more: 95 % interval {low} to {high}."),
    "too_few_questions": mark("Too few questions to tell: {n} were answered by both."),
}


def change_sentence(change: ChangeOut) -> str:
    """The verdict in a sentence: the `text` of the change in the reader's language."""
    words = SENTENCES[change.verdict]
    needed = change.smallest_detectable
    if change.verdict == "too_few_questions" and needed is not None:
        words = mark(
            "Too few questions to tell: {n} were answered by both, and only a change of about {needed} points or more "
            "would show in so many."
        )
    return t(
        words, points=f"{change.points:+.1f}", p=f"{change.p_value:.2g}", low=f"{change.low:+.1f}",
        high=f"{change.high:+.1f}", worth_knowing=f"{WORTH_KNOWING:.0f}", n=change.num_questions,
        needed="" if needed is None else f"{needed:.0f}",
    )  # fmt: skip


def box_sentence(change: ChangeOut) -> str:
    """What of the change is none where the box is required, its `box_text` in the reader's language; else empty."""
    fixed, broken = len(change.fixed_without_box), len(change.broken_without_box)
    if not change.box_text or change.strict is None or not fixed + broken:
        return change.box_text
    return t(
        "{fixed} of the fixed and {broken} of the broken had their right answer without a box; with the box required "
        "the change is {points} points.",
        fixed=fixed, broken=broken, points=f"{change.strict.value:+.1f}",
    )  # fmt: skip


def on_words(asked: int, answered: int) -> str:
    """On which questions the change was measured, where these are not all that were answered; else empty."""
    return "" if asked == answered else t("On the {n} questions that both answered.", n=count(asked))
