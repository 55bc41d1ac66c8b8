"""What the values of a form are measured against: the defaults, or the run that the form starts from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

import streamlit as st

from dashboard.launch.config_form import GROUP, FormField, set_value, value_text
from dashboard.parts.foreign_text import escape_markdown
from dashboard.parts.language import t


@dataclass(frozen=True)
class Measure:
    """Values to which each field can go back."""

    values: Mapping[str, Any]
    words: str = ""
    """Whose they are: `run 12`; empty for the defaults."""
    blamed: Mapping[str, str] = dataclass_field(default_factory=dict)
    """What a failure said of fields, by their names."""

    def differs(self, field: FormField, value: Any) -> bool:
        """Whether a value is another than the field's."""
        return bool(value != self.values.get(field.name, field.default))

    def beside(self, empty: Callable[[str], str], group: str = GROUP) -> Callable[[FormField, Any], None]:
        """Draws the mark of a value that was changed, which is its way back, and what a failure said of the field."""

        def draw(field: FormField, value: Any) -> None:
            if field.name in self.blamed:
                st.caption(f":material/error: {escape_markdown(self.blamed[field.name])}")
            if field.kind == "const" or not self.differs(field, value):
                return
            usual = self.values.get(field.name, field.default)
            st.button(
                t(
                    "Changed; {whose}: {value}",
                    whose=self.words or t("default"),
                    value=escape_markdown(value_text(field, usual, empty(field.name))),
                ),
                key=f"{group}_back_to_{field.name}",
                type="tertiary",
                icon=":material/undo:",
                help=t("Go back to this value."),
                on_click=set_value,
                args=(field, usual, group),
            )

        return draw

    def differences(
        self, fields: Sequence[FormField], config: Mapping[str, Any], empty: Callable[[str], str]
    ) -> list[tuple[str, str, str]]:
        """Label, value before and value now of each field that was changed; plain texts."""
        changed = [field for field in fields if field.name in config and self.differs(field, config[field.name])]
        return [
            (
                field.label,
                value_text(field, self.values.get(field.name, field.default), empty(field.name)),
                value_text(field, config[field.name], empty(field.name)),
            )
            for field in changed
        ]
