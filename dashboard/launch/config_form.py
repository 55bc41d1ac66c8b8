"""A form made from the JSON schema of a config: nothing here knows which fields there are."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from functools import partial
from typing import Any, Literal

import streamlit as st

from dashboard.parts.foreign_text import escape_markdown
from dashboard.parts.language import mark, t
from memgen.contract.data_sets.field import WORDS
from memgen.contract.titles import label_of

Kind = Literal["const", "enum", "integer", "number", "boolean", "text"]
_FEW_CHOICES = 4
GROUP = "config"
AS_BEFORE = mark("as in versions before")


@dataclass(frozen=True)
class FormField:
    """One field of a config, as a form needs it."""

    name: str
    kind: Kind
    default: Any
    help: str = ""
    nullable: bool = False
    """Whether it may be left empty."""
    empty: Any = None
    """What the config has where it is left empty."""
    is_also_null: bool = False
    """Whether configs of versions before may have null, which is then something else than empty."""
    choices: tuple[Any, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    max_length: int | None = None
    words: Mapping[str, str] = dataclass_field(default_factory=dict)
    """What people read for a choice, by its text, where that is not the choice itself."""
    label: str = ""
    """What people read for the field."""


def form_fields(schema: Mapping[str, Any]) -> list[FormField]:
    """The fields of an object schema, in its order.

    Raises:
        ValueError: a field has a type that no widget stands for.
    """
    return [_field(name, dict(part), schema) for name, part in schema.get("properties", {}).items()]


def _field(name: str, part: dict[str, Any], schema: Mapping[str, Any]) -> FormField:
    help_text = " ".join(str(part.get("description", "")).split())
    default = part.get("default")
    options = [_resolve(option, schema) for option in part.get("anyOf", [])]
    nullable = any(option.get("type") == "null" for option in options)
    rest = [option for option in options if option.get("type") != "null"]
    empty, is_also_null = None, False
    if names := [option["const"] for option in rest if "const" in option and len(rest) > 1]:
        empty, nullable, is_also_null = names[0], True, nullable  # a number, or a word for none
        rest = [option for option in rest if "const" not in option]
    kind_part = _resolve(part, schema) | (rest[0] if len(rest) == 1 else {})
    choices: tuple[Any, ...] = tuple(kind_part.get("enum", ()))
    if "const" in kind_part:
        choices = (kind_part["const"],)
    if kind_part.get("type") == "integer" and WORDS in part:  # each number has a word
        choices = tuple(int(number) for number in part[WORDS])
    kind: Kind
    if len(choices) == 1 and not nullable:
        kind, default = "const", choices[0]
    elif choices:
        kind = "enum"
    else:
        kind = _KINDS.get(str(kind_part.get("type")), "text")
        if kind_part.get("type") not in _KINDS:
            raise ValueError(f"the form has no widget for the type of field {name!r}")
    minimum, maximum = kind_part.get("minimum"), kind_part.get("maximum")
    if kind == "integer":
        minimum = kind_part["exclusiveMinimum"] + 1 if "exclusiveMinimum" in kind_part else minimum
        maximum = kind_part["exclusiveMaximum"] - 1 if "exclusiveMaximum" in kind_part else maximum
    bounds = "" if choices else range_text(kind_part)
    return FormField(
        name,
        kind,
        default,
        " ".join(filter(None, [t(help_text), bounds, t("In the config: `{name}`.", name=name)])),
        nullable,
        empty,
        is_also_null,
        choices,
        minimum,
        maximum,
        kind_part.get("maxLength"),
        part.get(WORDS, {}),
        t(label_of(name, part.get("title") or "")),
    )


def _number_text(number: float) -> str:
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:g}"


def range_text(part: Mapping[str, Any]) -> str:
    """What a number may be, as a sentence: `At least 0, below 1.`; empty for other fields."""
    least, above = part.get("minimum"), part.get("exclusiveMinimum")
    most, below = part.get("maximum"), part.get("exclusiveMaximum")
    bounds = (
        (mark("at least {n}"), least),
        (mark("above {n}"), above),
        (mark("at most {n}"), most),
        (mark("below {n}"), below),
    )
    text = ", ".join(t(words, n=_number_text(bound)) for words, bound in bounds if bound is not None)
    return f"{_capital(text)}." if text else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


_KINDS: dict[str, Kind] = {"integer": "integer", "number": "number", "boolean": "boolean", "string": "text"}


def _resolve(part: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    reference = str(part.get("$ref", ""))
    if reference.startswith("#/$defs/"):
        target: dict[str, Any] = schema.get("$defs", {}).get(reference.removeprefix("#/$defs/"), {})
        return target
    return dict(part)


def starting_value(field: FormField, given: Mapping[str, Any]) -> Any:
    """The given value where the field can take it, else its default."""
    value = given.get(field.name, field.default)
    if field.kind == "enum" and value not in field.choices and not (field.nullable and value is None):
        return field.default
    if field.nullable and value in (None, field.empty):
        return value if field.is_also_null else field.empty
    if field.kind in {"integer", "number"}:
        too_small = field.minimum is not None and value < field.minimum
        too_large = field.maximum is not None and value > field.maximum
        return field.default if too_small or too_large else value
    return value


def widget_key(field: FormField, group: str = GROUP) -> str:
    """Key of the field's widget; browser tests find it as the CSS class `st-key-config_<name>`."""
    return f"{group}_{field.name}"


def current_value(field: FormField, given: Mapping[str, Any], group: str = GROUP) -> Any:
    """What the field's widget holds, or would start from; known before it is drawn."""
    key = widget_key(field, group)
    if key not in st.session_state:
        return starting_value(field, given)
    value = st.session_state[key]
    return field.empty if value is None else value


def config_widgets(
    fields: Sequence[FormField],
    given: Mapping[str, Any],
    *,
    group: str = GROUP,
    columns: int = 2,
    empty: Callable[[str], str] = lambda _name: t("automatic"),
    on_change: Mapping[str, Callable[[], None]] | None = None,
    beside: Callable[[FormField, Any], None] = lambda _field, _value: None,
) -> dict[str, Any]:
    """Draw fields in rows and return their values.

    Args:
        fields: what to draw.
        given: values to start from.
        group: tells forms on one page apart.
        columns: fields in a row.
        empty: what stands in an empty field, by the field's name.
        on_change: what to do when a choice changes, by the field's name.
        beside: draws what stands below a field, which is given with its value.
    """
    values = {}
    for start in range(0, len(fields), columns):
        for column, field in zip(st.columns(columns), fields[start : start + columns], strict=False):
            with column:
                values[field.name] = config_widget(
                    field,
                    starting_value(field, given),
                    empty=empty(field.name),
                    group=group,
                    on_change=(on_change or {}).get(field.name),
                )
                beside(field, values[field.name])
    return values


def config_widget(
    field: FormField,
    value: Any,
    *,
    empty: str,
    group: str = GROUP,
    on_change: Callable[[], None] | None = None,
) -> Any:
    """Draw the widget of one field and return its value.

    Args:
        field: what to draw.
        value: to start from, where the widget has no state yet.
        empty: what stands in an empty field, e.g. `all`.
        group: tells forms on one page apart.
        on_change: what to do when the value changes, for fields with choices.
    """
    key, help_text = widget_key(field, group), field.help or None
    if field.kind == "const":
        st.markdown(f"**{escape_markdown(field.label)}** {escape_markdown(str(field.default))}", help=help_text)
        return field.default
    st.session_state.setdefault(key, None if field.nullable and value in (None, field.empty) else value)
    if field.kind == "enum":
        return _choice(field, key, empty, on_change)
    if field.kind == "boolean":
        return st.toggle(field.label, key=key, help=help_text)
    if field.kind == "text":
        typed = st.text_input(
            field.label, key=key, help=help_text, max_chars=field.max_length,
            placeholder=empty if field.nullable else None,
        )  # fmt: skip
        return None if field.nullable and not (typed or "").strip() else typed
    number = _number(field, key, empty)
    if number is None and value is None and field.is_also_null:
        kept = st.checkbox(_capital(t(AS_BEFORE)), value=True, key=_as_before_key(key), help=help_text)
        return None if kept else field.empty
    return field.empty if number is None else number


def _as_before_key(key: str) -> str:
    return f"{key}_as_before"


def _choice(field: FormField, key: str, empty: str, on_change: Callable[[], None] | None) -> Any:
    if len(field.choices) <= _FEW_CHOICES and not field.nullable:
        return st.segmented_control(
            field.label,
            field.choices,
            key=key,
            help=field.help or None,
            required=True,
            wrap=True,
            format_func=lambda choice: escape_markdown(_choice_text(field, empty, choice)),
            on_change=on_change,
        )
    options = (None, *field.choices) if field.nullable else field.choices
    return st.selectbox(
        field.label,
        options,
        key=key,
        help=field.help or None,
        format_func=partial(_choice_text, field, empty),
        placeholder=empty if field.nullable else None,  # what stands there as long as nothing is chosen
        on_change=on_change,
    )


def set_value(field: FormField, value: Any, group: str = GROUP) -> None:
    """Let the field's widget hold a value; to be called before it is drawn, e.g. by a click."""
    key = widget_key(field, group)
    st.session_state[key] = None if field.nullable and value in (None, field.empty) else value
    if field.is_also_null:
        st.session_state[_as_before_key(key)] = value is None


def value_text(field: FormField, value: Any, empty: str) -> str:
    """A value as the field shows it, plain text."""
    if field.is_also_null and value is None:
        return t(AS_BEFORE)
    if field.nullable and value in (None, field.empty):
        return empty
    if field.kind == "boolean":
        return t("on") if value else t("off")
    if field.kind in {"integer", "number"}:
        return f"{value:,}" if field.kind == "integer" else f"{value:g}"
    return _choice_text(field, empty, value)


def _choice_text(field: FormField, empty: str, choice: object) -> str:
    words = field.words.get(str(choice))
    return empty if choice is None else t(words) if words else str(choice)


def _number(field: FormField, key: str, empty: str) -> int | float | None:
    cast = int if field.kind == "integer" else float
    options: dict[str, Any] = {
        "min_value": None if field.minimum is None else cast(field.minimum),
        "max_value": None if field.maximum is None else cast(field.maximum),
        # an empty start is what lets the user empty the field again
        "value": None if field.nullable else "min",
        "step": 1 if field.kind == "integer" else _number_step(field.default),
        "format": None if field.kind == "integer" else "%g",
        "placeholder": empty if field.nullable else None,
    }
    number: int | float | None = st.number_input(field.label, key=key, help=field.help or None, **options)
    return number


def _number_step(default: float | None) -> float:
    """A tenth to a whole of the default: a fixed step would jump over every learning rate."""
    return 10.0 ** math.floor(math.log10(abs(default))) if default else 0.001
