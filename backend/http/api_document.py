"""The OpenAPI document of the service: what FastAPI derives, with the errors as they really go out."""

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from backend.api.schemas import ProblemReply

PROBLEM_JSON = "application/problem+json"
_REFERENCE = "#/components/schemas/{model}"
ERRORS = {
    "4XX": "What is wrong, and the way out.",
    "500": "The backend failed; its log has the details.",
    "503": "Too much is asked at once; the header Retry-After says in how many seconds to come again.",
    "507": "The database or the disk can't be written.",
}


def describe_errors(app: FastAPI) -> None:
    """Let an application's document say of every route which errors it may answer, and in which media type."""
    derive = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            derived = derive()
            _add(derived)
            app.openapi_schema = derived
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _add(document: dict[str, Any]) -> None:
    _, definitions = models_json_schema([(ProblemReply, "serialization")], ref_template=_REFERENCE)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(definitions["$defs"])
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    content = {PROBLEM_JSON: {"schema": {"$ref": _REFERENCE.format(model="ProblemReply")}}}
    errors = {status: {"description": text, "content": content} for status, text in ERRORS.items()}
    for methods in document["paths"].values():
        for operation in methods.values():
            operation["responses"].pop("422", None)  # FastAPI's own form, which no reply of ours has
            operation["responses"].update(errors)
