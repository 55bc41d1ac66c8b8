"""What the command lines of the service share: settings, a client, errors as text, lines for people."""

import errno
import json
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from backend.api.client import ApiError, Client, Unreachable
from backend.settings import Settings
from memgen.contract.errors import BadInput
from memgen.contract.home import home_error, look_into_home

STEERING = {"Cc", "Cf", "Cs", "Zl", "Zp"}
ALLOWED = "\n\t\u200c\u200d"  # the last two join letters and emoji


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


def settings(**given: str) -> Settings:
    """Settings of the environment; what an option gave wins.

    Raises:
        BadInput: `bad_setting`, `bad_home`.
    """
    return Settings.read(**given)


def client() -> Client:
    """A client of this home's backend.

    Raises:
        BadInput: `no_token`.
    """
    known = settings()
    if not known.token:
        look_into_home(known.home)
    if not known.token and not known.token_file.exists():
        raise BadInput(
            "no_token",
            "there is no token here",
            field="MEMGEN_TOKEN",
            value=known.token_file,
            way_out="Start the service with `make up`, or set MEMGEN_HOME or MEMGEN_TOKEN.",
        )
    return Client(known.backend_url or known.url, known.user_token(), timeout=30)


@contextmanager
def errors() -> Iterator[None]:
    """Say errors as text; exit code 2 for bad input and files, 1 where the backend refused or does not answer."""
    try:
        yield
    except BadInput as error:
        for problem in getattr(error, "problems", [error]):
            _complain(str(problem))
        raise typer.Exit(2) from None
    except ApiError as error:
        for problem in error.problems:
            where = f"{problem.field}: " if problem.field else ""
            _complain(f"{where}{problem.message} {problem.way_out}")
        raise typer.Exit(2 if error.problem.status in {404, 422} else 1) from None
    except Unreachable as error:
        _complain(str(error))
        raise typer.Exit(1) from None
    except OSError as error:
        if error.errno == errno.EPIPE:  # who reads along has seen enough
            raise
        _complain(_in_words(error))
        raise typer.Exit(2) from None


def _in_words(error: OSError) -> str:
    home, named = settings().home, error.filename
    if isinstance(named, str) and not Path(named).is_relative_to(home):
        return f"{named} can't be used: {error.strerror}."
    return str(home_error(home, error))


def _complain(text: str) -> None:
    with suppress(OSError):
        typer.echo(f"error: {shown(text)}".replace("\n", "\\n"), err=True)


def say(line: str) -> None:
    """A line for people; foreign text in it moves no cursor."""
    with suppress(OSError):  # a terminal that is gone must not keep services from being stopped
        typer.echo(shown(line))
        sys.stdout.flush()


def shown(text: str) -> str:
    """Text for a terminal: signs that would steer it, or turn the direction of what follows, become escapes."""
    steers = {sign for sign in set(text) if unicodedata.category(sign) in STEERING and sign not in ALLOWED}
    return text.translate({ord(sign): _escape(sign) for sign in steers})


def _escape(sign: str) -> str:
    """As JSON writes it, so that printed JSON stays JSON."""
    units = sign.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def local_time(time: datetime | None) -> str:
    """`2026-11-27 22:05`, in the zone of this machine; empty for None."""
    return "" if time is None else f"{time.astimezone():%Y-%m-%d %H:%M}"


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table as wide as the terminal; its cells are plain text, whatever brackets or colons they hold."""
    table = Table(*columns)
    for row in rows:
        table.add_row(*map(shown, row))
    # a pipe has no width: whole lines for those who search them
    width = None if sys.stdout.isatty() else 200
    Console(width=width, markup=False, emoji=False, highlight=False).print(table)
