"""Sentences that backend and trainers compose and the dashboard shows, read from the code that composes them.

They come as English text. What is filled in stands in their messages as `{0}`, `{1}`, ...; `dashboard/parts/told.py`
finds the message of a sentence again by what is not.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

from tests.translation.texts_of_code import called

COMPOSING = (
    "backend/services/waiting.py", "backend/services/children.py", "backend/services/fit.py", "backend/views/start.py",
    "backend/services/few_questions.py", "memgen/contract/alarms.py",
)  # fmt: skip
"""Modules each of whose texts is a sentence that people read: why a run waits, what rang an alarm."""
REFUSING = ("backend/http", "backend/services", "backend/views", "memgen", "worker")
"""Where errors are raised that a page shows."""
LEFT_OUT = (
    "memgen/__main__.py", "memgen/cli.py", "memgen/data_set_cli.py", "memgen/planner_cli.py", "memgen/doctor",
    "memgen/contract/home.py", "memgen/contract/inheritance.py",
)  # fmt: skip
"""Where only a terminal shows them."""
WARNING = "warn"
ERRORS = {"BadInput", "Diverged", "Problem", "Conflict", "NotFound", "Warned"}
LEAST_LETTERS = 8
"""Of what is not filled in, where anything is: with fewer, the form of a sentence fits any other."""


def texts_of_backend() -> Iterator[tuple[str, str]]:
    """Where each sentence stands, and its message."""
    for place in COMPOSING:
        for node in _literals(ast.parse(Path(place).read_text())):
            if (message := message_of(node)) and " " in message.strip():
                yield place, message
    for folder in REFUSING:
        for path in sorted(Path(folder).rglob("*.py")):
            place = path.as_posix()
            if not place.startswith(LEFT_OUT):
                yield from ((place, message) for message in _of_errors(ast.parse(path.read_text())))


def _of_errors(tree: ast.Module) -> Iterator[str]:
    """Messages and ways out of errors, and what trainers warn of."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        named = {one.arg: one.value for one in call.keywords}
        if called(call) == WARNING and len(call.args) == 2:
            shown = [call.args[1]]
        elif "way_out" in named or called(call) in {
            "BadInput",
            "Diverged",
            "Problem",
            "Conflict",
            "NotFound",
            "Warned",
        }:
            place = 0 if called(call) == "Diverged" else 1
            shown = [named.get("message"), named.get("way_out"), *call.args[place : place + 1]]
        else:
            continue
        for node in filter(None, shown):
            yield from filter(None, map(message_of, _choices(node)))


def message_of(node: ast.expr) -> str:
    """The message of a text; empty where it is none, or where too little of it is always the same."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        pieces = [(text, field) for text, field, _, _ in Formatter().parse(node.value)] if "{" in node.value else []
        parts = [part for text, field in pieces for part in (text, *(() if field is None else (None,)))]
        parts = parts or [node.value]
    elif isinstance(node, ast.JoinedStr):
        parts = [one.value if isinstance(one, ast.Constant) else None for one in node.values]
    else:
        return ""
    fixed = "".join(part for part in parts if part is not None)
    least = LEAST_LETTERS if None in parts else 1
    if sum(map(str.isalpha, fixed)) < least or "{" in fixed or "}" in fixed or "\n" in fixed:
        return ""
    numbers = iter(range(len(parts)))
    return "".join(f"{{{next(numbers)}}}" if part is None else part for part in parts)


def _choices(node: ast.expr) -> list[ast.expr]:
    return _choices(node.body) + _choices(node.orelse) if isinstance(node, ast.IfExp) else [node]


def _literals(tree: ast.Module) -> Iterator[ast.expr]:
    """Texts of a module but docstrings and names."""
    described = {
        id(node.body[number].value)  # type: ignore[attr-defined]
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        for number in range(len(node.body))
        if isinstance(node.body[number], ast.Expr)
    }
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    inside -= {id(node) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in described | inside:
            yield node
