"""Parameters that several routes take, each with its form."""

from typing import Annotated, Any

from fastapi import Header, Query
from pydantic import BeforeValidator

from backend.api.schemas import Shown
from backend.services.sorting import Columns, sort_pattern
from memgen.contract.stages import STAGES
from memgen.contract.status import RunStatus

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="Sent again with the same body it gets the same reply, and nothing is done twice.",
    ),
]
Cursor = Annotated[
    str | None,
    Query(
        description="`next_cursor` of the page before; empty for the first.",
        json_schema_extra={"pattern": r"^[0-9]{0,18}$"},  # kept by the service, whose error says more
    ),
]
SortedCursor = Annotated[
    str | None,
    Query(
        description="`next_cursor` of the page before, with the same `sort`; empty for the first.",
        max_length=4000,
        json_schema_extra={"pattern": r"^([0-9]{1,18}(~.+)?)?$"},  # kept by the service, whose error says more
    ),
]
_STATUSES = "|".join(RunStatus)
Statuses = Annotated[
    str | None,
    Query(
        description="One status, or several with commas.",
        json_schema_extra={"pattern": rf"^(({_STATUSES})(,({_STATUSES}))*)?$"},  # kept by the service as well
    ),
]


def sort_by(columns: Columns) -> Any:
    """The parameter `sort` of a list that can be sorted by these."""
    return Query(
        description="Column to sort by, after `-` the highest first; empty for the newest first. Where a row has no "
        "value it stands at the end.",
        max_length=50,
        json_schema_extra={"pattern": sort_pattern(columns)},  # kept by the service as well
    )


_STAGES = "|".join(stage.name for stage in STAGES)
Stage = Annotated[
    str | None, Query(pattern=rf"^({_STAGES})(,({_STAGES}))*$", description="A stage, or several with commas.")
]
Text = Annotated[str | None, Query(max_length=200)]
Tags = Annotated[str | None, Query(max_length=200, description="A tag, or several with commas: what has all of them.")]
Archived = Annotated[
    Shown, Query(description="What becomes of the archive: left out (`no`), listed, too (`also`), or alone (`only`).")
]


def _spelled_out(value: object) -> object:
    """Accept only `true` and `false`: whoever writes `0` or `off` may have meant another parameter."""
    if isinstance(value, str) and value not in {"true", "false"}:
        raise ValueError("this is true or false")
    return value


Flag = Annotated[bool, BeforeValidator(_spelled_out)]
