"""Sentences that backend and trainers compose, in the reader's language.

They come, and are stored, as English text. In `locale/<language>.backend.po` each has a message, with `{0}` and `{1}`
for what is filled in; the message of a sentence is found by all that is not. What has no translation stays as it is. No
reply has to carry codes and values for that, and what earlier versions have stored is read as well.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from dashboard.parts.catalogue import ENGLISH, LOCALE, messages
from dashboard.parts.language import language, translated

LONGEST = 4_000  # characters that are looked at: messages and ways out have at most 2,000 each
_PLACE = re.compile(r"\{(\d+)\}")
_SENTENCES = re.compile(r"(?<=[.!?]) (?=[A-Z])")


@dataclass(frozen=True)
class Form:
    """How a sentence is composed, and how its translation is."""

    pieces: tuple[str, ...]
    """What stands before, between and after the parts that are filled in."""
    numbers: tuple[int, ...]
    """Of these parts, in their order."""
    translation: str

    def parts_of(self, core: str, text: str) -> dict[int, str] | None:
        """What is filled in where a text has this form; None where it has another. Takes time linear in the text.

        Args:
            core: of the text, as `_core` makes it.
            text: of which the parts are taken.
        """
        first, *between, last = self.pieces
        if not core.startswith(first) or not core.endswith(last) or len(core) < len(first) + len(last):
            return None
        start, end, parts = len(first), len(core) - len(last), []
        for piece in between:
            place = core.find(piece, start, end)
            if place < 0:
                return None
            parts.append(text[start:place])
            start = place + len(piece)
        return dict(zip(self.numbers, [*parts, text[start:end]], strict=True))


def told(text: str) -> str:
    """A text of backend or trainer in the session's language: as a whole, or sentence by sentence."""
    chosen = language()
    return text if chosen == ENGLISH or not text or len(text) > LONGEST else in_language(chosen, text)


@lru_cache(maxsize=4096)
def in_language(chosen: str, text: str) -> str:
    """A text of backend or trainer in a language.

    Args:
        chosen: code of the language.
        text: in English.
    """
    whole = _one(chosen, text)
    if whole is not None:
        return whole
    sentences = _SENTENCES.split(text)
    if len(sentences) == 1:
        return translated(chosen, text)
    return " ".join(in_language(chosen, one) for one in sentences)


def _one(chosen: str, text: str) -> str | None:
    """A single sentence; how it begins and ends is no part of its form, as errors are shown both ways."""
    plain, forms = _forms(chosen)
    core = _core(text)
    translation = plain.get(core)
    if translation is None:
        for form in forms:
            parts = form.parts_of(core, text)
            if parts is not None:
                translation = _filled(form, {number: in_language(chosen, part) for number, part in parts.items()})
                break
    if translation is None:
        return None
    return translation if text.endswith(".") else translation.rstrip(".")


def _filled(form: Form, parts: Mapping[int, str]) -> str:
    return _PLACE.sub(lambda place: parts[int(place[1])], form.translation)


@cache
def _forms(chosen: str) -> tuple[dict[str, str], Sequence[Form]]:
    """Translations of what is always the same, and forms of the others, those that say most first."""
    plain: dict[str, str] = {}
    forms: list[Form] = []
    for message, translation in messages(LOCALE / f"{chosen}.backend.po").items():
        core = _core(message)
        *between, last = _PLACE.split(core)
        if not between:
            plain[core] = translation
        else:
            forms.append(Form((*between[::2], last), tuple(map(int, between[1::2])), translation))
    return plain, sorted(forms, key=lambda form: -sum(map(len, form.pieces)))


def _core(text: str) -> str:
    return (text[:1].lower() + text[1:]).rstrip(".")
