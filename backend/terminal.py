"""What the command lines of the service share: settings, a client, errors as text, lines for people."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import typer

from backend.client import ApiError, Client, Unreachable
from backend.settings import Settings
from memgen.contract.errors import BadInput


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        BadInput: `config_unreadable`.
    """
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise BadInput(
            "config_unreadable",
            f"the config can't be read: {error}",
            field="--config",
            value=path,
            way_out="Name a JSON file with an object; `python -m memgen schema` lists the fields.",
        ) from error


def assignments(words: list[str], option: str = "--set", example: str = "max_completion_length=96") -> dict[str, str]:
    """Names and values, both as they stand, of words like `batch_size=4`.

    Raises:
        BadInput: `bad_option`.
    """
    fields: dict[str, str] = {}
    for setting in words:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise BadInput(
                "bad_option",
                "this is not FIELD=VALUE",
                field=option,
                value=setting,
                way_out=f"E.g. `{option} {example}`.",
            )
        fields[name] = value
    return fields


def settings() -> Settings:
    """Settings of the environment.

    Raises:
        BadInput: `bad_setting`.
    """
    from pydantic import ValidationError

    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        setting = name if name.isupper() else f"MEMGEN_{name.upper()}"
        raise BadInput(
            "bad_setting",
            first["msg"],
            field=setting,
            value=first["input"],
            way_out="Set it to another value or unset it.",
        ) from None


def client() -> Client:
    """A client of this home's backend.

    Raises:
        BadInput: `no_token`.
    """
    known = settings()
    url = os.environ.get("MEMGEN_BACKEND_URL") or f"http://{known.host}:{known.port}"
    path = known.home / "backend" / "token"
    if not known.token.strip() and not path.exists():
        raise BadInput(
            "no_token",
            "there is no token here",
            field="MEMGEN_TOKEN",
            value=path,
            way_out="Start the service with `make up`, or set MEMGEN_HOME or MEMGEN_TOKEN.",
        )
    return Client(url, known.user_token(), timeout=30)


@contextmanager
def errors() -> Iterator[None]:
    """Say errors as text; exit code 2 for bad input, 1 where the backend refused or does not answer."""
    try:
        yield
    except BadInput as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    except ApiError as error:
        for problem in error.problems:
            where = f"{problem.field}: " if problem.field else ""
            typer.echo(f"error: {where}{problem.message} {problem.way_out}", err=True)
        raise typer.Exit(2 if error.problem.status in {404, 422} else 1) from None
    except Unreachable as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


def say(line: str) -> None:
    """A line for people."""
    with suppress(OSError):  # a terminal that is gone must not keep services from being stopped
        typer.echo(line)
        sys.stdout.flush()
