"""Texts that the dashboard's own code marks for translation, and those that it forgot to mark."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DASHBOARD = Path("dashboard")
PLACE_OF_TEXT = {"t": 0, "mark": 0, "translated": 1, "say": 0}
"""Functions that take a text, and which argument it is. `say` is `translated` in one language."""


PLURAL = frozenset(("plural", "mark_plural"))


@dataclass(frozen=True)
class Text:
    """A text and where it stands."""

    place: str
    message: str
    many: str = ""
    """The text for several, of `plural`."""


def texts_of_code(folder: Path = DASHBOARD) -> Iterator[Text]:
    """Every text that is marked, in the order of files and lines."""
    for path in sorted(folder.rglob("*.py")):
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        for call in sorted(calls, key=lambda one: (one.lineno, one.col_offset)):
            yield from _of_call(call, path.as_posix())


def _of_call(call: ast.Call, place: str) -> Iterator[Text]:
    name = called(call)
    if name in PLURAL:
        if len(call.args) > 1 and not isinstance(call.args[0], ast.Starred):
            one, many = (ast.literal_eval(argument) for argument in call.args[:2])
            yield Text(place, one, many)
    elif name in PLACE_OF_TEXT:
        for message in _literals(call.args[PLACE_OF_TEXT[name]]):
            yield Text(place, message)


def _literals(node: ast.expr) -> list[str]:
    """The text of an argument, or both of a choice between two; none where it is a variable."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    return _literals(node.body) + _literals(node.orelse) if isinstance(node, ast.IfExp) else []


def called(call: ast.Call) -> str:
    """The last part of the name of what is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


SHOWING = frozenset(
    (
        "altair_chart", "badge", "button", "caption", "checkbox", "dataframe", "dialog", "error", "expander",
        "file_uploader", "form_submit_button", "graphviz_chart", "header", "info", "link_button", "markdown", "metric",
        "multiselect", "number_input", "Page", "page_link", "popover", "progress", "radio", "segmented_control",
        "selectbox", "spinner", "subheader", "success", "table", "tabs", "text_area", "text_input", "title", "toast",
        "toggle", "warning", "write",
    )
)  # fmt: skip
"""Functions of Streamlit whose first argument is read by people."""
READ = frozenset(("label", "help", "placeholder", "alt", "title", "captions", "text"))
"""Other arguments that are."""
CHARTS = frozenset(("X", "Y", "Tooltip", "Axis", "Legend", "Color", "Opacity"))
MARKED = frozenset((*PLACE_OF_TEXT, "plural"))
NAMES = frozenset(("CSV", "JSONL", "curl", "Python", "MemGen", "sha256", "Language · 언어"))
"""What is called the same in every language."""


def unmarked(source: str) -> list[str]:
    """Lines of code that show a text in English whatever the language is: `12: Launch a run`."""
    found = []
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        for shown in _shown(call):
            found += [f"{part.lineno}: {part.value}" for part in _words(shown)]
    return found


def _shown(call: ast.Call) -> list[ast.expr]:
    """Arguments of a call that people read."""
    name, of = called(call), call.func.value if isinstance(call.func, ast.Attribute) else None
    if isinstance(of, ast.Name) and of.id == "_log":
        return []
    column = isinstance(of, ast.Attribute) and of.attr == "column_config"
    chart = name in CHARTS and isinstance(of, ast.Name) and of.id == "alt"
    if not (column or chart or (of is not None and name in SHOWING)):
        return []
    named = [one.value for one in call.keywords if one.arg in (READ if not chart else {"title"})]
    return named if chart else [*call.args[:1], *named]


def _words(node: ast.expr) -> Iterator[ast.Constant]:
    """Texts with words in an argument, outside of calls: what a call returns it has translated, or it is foreign."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str) and _has_words(node.value):
            yield node
    elif isinstance(node, ast.JoinedStr):
        yield from (part for part in node.values if isinstance(part, ast.Constant) and _has_words(part.value))
    elif isinstance(node, ast.IfExp):
        yield from _words(node.body)
        yield from _words(node.orelse)
    elif isinstance(node, ast.BinOp | ast.BoolOp | ast.List | ast.Tuple):
        parts = (
            [node.left, node.right] if isinstance(node, ast.BinOp)
            else node.values if isinstance(node, ast.BoolOp) else node.elts
        )  # fmt: skip
        for part in parts:
            yield from _words(part)


def _has_words(text: str) -> bool:
    """Whether a text has letters that are no markup: icons, colours and badges are named in English everywhere."""
    for markup in (":material/", "-badge["):
        text = " ".join(part for part in text.split() if markup not in part)
    if "://" in text or "@" in text:  # addresses
        return False
    plain = text.strip(" *:`·").removesuffix(":red[")
    return plain not in NAMES and any(character.isalpha() for character in plain) and not plain.startswith("app_pages/")
