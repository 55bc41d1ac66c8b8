"""The width of a run: how many rows it works on at the same time, as a number or as many as fit."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

AUTO: Literal["auto"] = "auto"
MOST_ROWS = 512
CPU_ROWS = 8
"""Questions that an evaluation answers at the same time on a CPU, where more are hardly faster."""


def _number_or_auto(value: Any) -> Any:
    is_number = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_ROWS
    if is_number or value == AUTO:
        return value
    raise PydanticCustomError("no_width", f"this is neither a number from 1 to {MOST_ROWS} nor `{AUTO}`")


Width = Annotated[Annotated[int, Field(ge=1, le=MOST_ROWS)] | Literal["auto"], BeforeValidator(_number_or_auto)]
"""A number of rows, or `auto`."""
