"""The `data` field of a config: a name that is known, and in JSON schemas the list of names with words and help."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from memgen.contract.data_sets.registry import data_set, data_sets
from memgen.contract.errors import BadInput

WORDS = "x-words"
"""Key of a field's schema under which its choices have words for people."""


def _known(name: str) -> str:
    try:
        return data_set(name).name
    except BadInput as error:
        raise PydanticCustomError(
            error.code, "{message}", {"message": error.message, "way_out": error.way_out}
        ) from None


def _describe(schema: dict[str, Any]) -> None:
    """Asked each time a schema is made: which data sets there are is known when the program runs."""
    known = data_sets()
    schema["enum"] = list(known)
    schema[WORDS] = {name: one.word for name, one in known.items()}
    schema["description"] = f"Questions: {'; '.join(f'`{name}`, {one.help}' for name, one in known.items())}."


DataName = Annotated[str, AfterValidator(_known), Field(json_schema_extra=_describe)]
