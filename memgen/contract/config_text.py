"""Fields of a config from the words of a command line: the schema says what a word is, nothing is guessed before it."""

import json
from collections.abc import Iterable
from types import UnionType
from typing import Annotated, Any, Literal, NoReturn, Union, get_args, get_origin

from pydantic import BaseModel

from memgen.contract.config import RunConfig


def field_value(config_classes: Iterable[type[RunConfig]], field: str, text: str) -> object:
    """What a word stands for as a field's value.

    A field that takes text alone gets the word as it stands: `3`, `77950e8` and `null` are text there. Every other gets
    the JSON value that the word is (`null` empties it), and an empty word empties a field that may be empty. A word
    that is none of this is left for the schema to refuse.

    Args:
        config_classes: where the field may belong; the first that has it says what it takes.
        field: its name.
        text: the word.
    """
    known = next((one.model_fields[field] for one in config_classes if field in one.model_fields), None)
    if known is None:
        return text
    kinds = _kinds(known.annotation)
    if text == "" and type(None) in kinds:
        return None
    if str in kinds and int not in kinds:
        return text
    try:
        value = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return text
    return text if isinstance(value, str) or value in (float("inf"), float("-inf")) else value


def help_of(config_class: type[BaseModel], field: str) -> str:
    """What a field's docstring says, on one line."""
    return " ".join((config_class.model_fields[field].description or "").split())


def _kinds(annotation: Any) -> set[type]:
    """The types that a field takes, names of a Literal as text."""
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return {type(value) for value in get_args(annotation)}
    if get_origin(annotation) in {Union, UnionType}:
        return set().union(*map(_kinds, get_args(annotation)))
    return {get_origin(annotation) or annotation}


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")
