"""Text that people, models and other machines wrote, made inert: it shows what it says and does nothing.

`escape_markdown` and `sentence` for what Streamlit reads as markdown (texts, labels, help, links, badges, and the
options of radio buttons and segmented controls), `one_line` for what it shows as it is (options of select boxes, cells
of tables, charts), `visible` for the same in several lines, `visible_json` for JSON.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from dashboard.parts.told import told

# what shows nothing, and what turns the direction of the text after it; joiners stay, since scripts and emoji need them
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:=^&@])")
# Streamlit looks for these once backslashes are gone: bare addresses, icons and emoji by name, arrows and dashes
_LIVE = re.compile(
    r"https?:(?=//)|www(?=\.)|(?<=[\w.+-])(?=@[\w-])"
    r"|:(?=material[/_]|[\w+-]+:)|<(?=-|=)|(?<=<)-(?=>)|-(?=>)|(?<!-)-(?=-(?!-))|[>~](?==)",
    re.IGNORECASE,
)
_BREAK = ":color[]"  # a directive that draws nothing and parts the text before it from the text after it
_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"


def visible(text: str) -> str:
    """Text of several lines in which every character can be seen: a hidden one stands as its number."""
    return _INVISIBLE.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """`visible` on one line; text from right to left does not turn around what stands beside it."""
    line = visible(" ".join(text.split()))
    if any(unicodedata.bidirectional(character) in {"R", "AL", "AN"} for character in line):
        return f"{_FIRST_STRONG_ISOLATE}{line}{_POP_ISOLATE}"
    return line


def escape_markdown(text: str) -> str:
    """`one_line` so that Streamlit's markdown shows it as it is: no format, link, icon, picture or formula."""
    return _escaped(one_line(text))


def sentence(text: str) -> str:
    """A message of the backend in the reader's language: as `escape_markdown`, but its `code` stays code."""
    parts = re.split(r"(`[^`]+`)", one_line(told(text)))
    return "".join(part if number % 2 else _escaped(part) for number, part in enumerate(parts))


def visible_json(data: object) -> str:
    """JSON to read and to copy; a hidden character is written as JSON writes it."""
    text = json.dumps(data, indent=2, ensure_ascii=False)
    return _INVISIBLE.sub(lambda match: json.dumps(match[0])[1:-1], text)


def plain_frame(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """A table whose texts are `one_line`; numbers and lists stay."""
    shown = [{name: one_line(cell) if isinstance(cell, str) else cell for name, cell in row.items()} for row in rows]
    return pd.DataFrame(shown, columns=list(columns))


def _escaped(line: str) -> str:
    pieces, start = [], 0
    for match in _LIVE.finditer(line):
        pieces += [_MARKDOWN.sub(r"\\\1", line[start : match.end()]), _BREAK]
        start = match.end()
    return "".join([*pieces, _MARKDOWN.sub(r"\\\1", line[start:])])
