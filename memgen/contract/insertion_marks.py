"""Signs in a completion: where latents were inserted, where the trigger declined, where it leaves another one."""

from collections.abc import Sequence

from memgen.contract.answers import Augmentation

INSERTED, DECLINED, APART = "▮", "▯", "◆"


def marked(text: str, points: Sequence[Augmentation], apart: int | None = None) -> str:
    """The text with a sign at each decision point whose place in it is known.

    Args:
        text: the completion.
        points: its decision points.
        apart: character from which on it differs from another completion.
    """
    signs = [
        (point.character, INSERTED if point.inserted else DECLINED)
        for point in sorted(points, key=lambda one: one.token)
        if point.character is not None
    ]
    if apart is not None:
        signs.append((apart, APART))
    pieces, start = [], 0
    for character, sign in sorted(signs, key=lambda one: one[0]):
        pieces += [text[start:character], sign]
        start = max(start, character)
    return "".join([*pieces, text[start:]])


def first_difference(text: str, other: str) -> int | None:
    """The first character at which two completions differ; None where they are the same."""
    if text == other:
        return None
    pairs = enumerate(zip(text, other, strict=False))
    return next((place for place, (one, two) in pairs if one != two), min(len(text), len(other)))
