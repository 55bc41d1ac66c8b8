"""Translations: `dashboard/locale/<language>.po` as stdlib gettext reads it.

The `.po` is compiled in memory when its language is first asked for. A compiled file beside it would be a second copy
to keep in step: an editable install builds nothing when the text changes, and a wheel would need a build step.
"""

import ast
import struct
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

LOCALE = Path(__file__).parent.parent / "locale"
ENGLISH = "en"
LANGUAGES = {ENGLISH: "English", "ko": "한국어"}
"""By code, each in its own words."""
_KEYWORDS = ("msgid_plural", "msgid", "msgstr")
_MAGIC = 0x950412DE


@cache
def catalogue(language: str) -> NullTranslations:
    """The translations into a language of `LANGUAGES`; English is the language of the messages themselves."""
    if language == ENGLISH:
        return NullTranslations()
    text = (LOCALE / f"{language}.po").read_text(encoding="utf-8")
    return GNUTranslations(BytesIO(_compiled(_messages(text))))


def messages(path: Path) -> dict[str, str]:
    """Each message of a catalogue without plural forms that has a translation, with that; the head is left out."""
    return {message: text for message, text in _messages(path.read_text(encoding="utf-8")).items() if message}


def _messages(po: str) -> dict[str, str]:
    """Message and translation of each entry that has one, plural forms joined as a `.mo` joins them.

    Comments, obsolete entries among them, are left out.
    """
    found: dict[str, str] = {}
    for entry in po.split("\n\n"):
        parts: dict[str, list[str]] = {}
        name = ""
        for line in entry.splitlines():
            if line.startswith("#"):
                continue
            keyword, _, text = line.partition(" ")
            if keyword.startswith(_KEYWORDS):
                name = keyword
            else:
                text = line
            parts.setdefault(name, []).append(ast.literal_eval(text))
        words = {keyword: "".join(pieces) for keyword, pieces in parts.items()}
        translations = [text for keyword, text in words.items() if keyword.startswith("msgstr")]
        if any(translations):
            message = [words["msgid"], *([words["msgid_plural"]] if "msgid_plural" in words else [])]
            found["\0".join(message)] = "\0".join(translations)
    return found


def _compiled(messages: dict[str, str]) -> bytes:
    """The bytes of a `.mo` file: a head, two tables of lengths and offsets, all texts."""
    pairs = sorted((message.encode(), text.encode()) for message, text in messages.items())
    texts = [message for message, _ in pairs] + [text for _, text in pairs]
    offset, table = 28 + 8 * len(texts), b""
    for text in texts:
        table += struct.pack("<II", len(text), offset)
        offset += len(text) + 1
    head = struct.pack("<7I", _MAGIC, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 28 + 8 * len(texts))
    return head + table + b"".join(text + b"\0" for text in texts)
