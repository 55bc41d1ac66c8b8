"""The command line of the service: start and stop it, launch runs, look at them.

Exit codes: 0 done, 2 bad input, 1 the backend refused or does not answer.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from backend.client import ApiError, Client, Unreachable
from backend.settings import Settings, read_or_make_token
from memgen.contract.errors import BadInput
from memgen.contract.status import RUN_ENDED, RunStatus, StopMode

app = typer.Typer(
    help="MemGen Studio: launch, watch and judge MemGen runs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
RunId = Annotated[int, typer.Argument(help="Number of the run.")]


@app.command()
def up(
    dashboard_host: Annotated[
        str, typer.Option(envvar="MEMGEN_DASHBOARD_HOST", help="Address of the dashboard.")
    ] = "127.0.0.1",
    dashboard_port: Annotated[int, typer.Option(envvar="MEMGEN_DASHBOARD_PORT", help="Port of the dashboard.")] = 8501,
    slots: Annotated[
        str, typer.Option(envvar="MEMGEN_SLOTS", help="Slots of the worker, e.g. `0 1`, `0,1` or `cpu`.")
    ] = "",
) -> None:
    """Start Redis, backend, worker and dashboard, and keep them alive until Ctrl-C."""
    from backend.stack import Stack

    with _errors():
        Stack(
            _settings(),
            dashboard_host=dashboard_host,
            dashboard_port=dashboard_port,
            slots=slots.split(),
            say=_say,
        ).up()


@app.command()
def down() -> None:
    """Stop the services and every trainer (save and stop)."""
    from backend import stack

    with _errors():
        stack.down(_settings(), _say)


@app.command()
def serve() -> None:
    """Serve the backend alone (what `up` and the containers start)."""
    import logging

    import uvicorn
    from sqlalchemy.exc import DatabaseError

    from backend.main import create_app
    from backend.stack import check_port, shown_url
    from memgen.contract.rundir import backend_url_file, write_whole

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    with _errors():
        settings = _settings()
        check_port(settings.host, settings.port, "MEMGEN_PORT")
        try:
            application = create_app(settings)
        except OSError as error:
            raise BadInput(
                "bad_home",
                f"the home folder can't be used: {error.strerror}",
                field="MEMGEN_HOME",
                value=settings.home,
                way_out="Name a folder that this user may write.",
            ) from error
        except DatabaseError as error:
            raise BadInput(
                "database_damaged",
                f"the database can't be read: {error.orig}",
                field="MEMGEN_HOME",
                value=settings.database,
                way_out="Restore a backup of this file, or move it away to start empty.",
            ) from error
    write_whole(backend_url_file(settings.home), shown_url(settings.host, settings.port) + "\n")
    uvicorn.run(application, host=settings.host, port=settings.port, log_level="warning", timeout_graceful_shutdown=3)


@app.command()
def token() -> None:
    """Print the token for the dashboard and the API."""
    with _errors():
        _say(_settings().user_token())


@app.command()
def launch(
    preset: Annotated[str | None, typer.Option(help="Model; `memgen presets` lists them.")] = None,
    data: Annotated[str | None, typer.Option(help="gsm8k or wordproblems.")] = None,
    num_questions: Annotated[int | None, typer.Option(help="How many; empty for all.")] = None,
    config: Annotated[Path | None, typer.Option(help="JSON file with a config; the options above win.")] = None,
    set_field: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Any other field; may be repeated.")
    ] = None,
    note: Annotated[str, typer.Option(help="A few words to find the run again.")] = "",
    wait: Annotated[bool, typer.Option(help="Show progress until the run has ended.")] = False,
) -> None:
    """Submit a base evaluation."""
    with _errors(), _client() as client:
        fields = _config_fields(config, set_field or [])
        given = {"preset": preset, "data": data, "num_questions": num_questions}
        fields |= {name: value for name, value in given.items() if value is not None}
        run = client.submit(fields, note=note)
        _say(f"run {run.id} is {run.status}" + (f": {run.waits_for}" if run.waits_for else ""))
        if wait:
            _follow(client, run.id)


@app.command()
def runs(
    status: Annotated[str | None, typer.Option(help="One status, or several with commas.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
) -> None:
    """List runs, newest first."""
    with _errors(), _client() as client:
        table = Table("run", "status", "stage", "model", "data", "questions", "accuracy", "note")
        for run in client.runs(status=status, limit=limit).items:
            n, accuracy = run.summary.get("num_questions"), run.summary.get("accuracy")
            table.add_row(
                str(run.id),
                run.status,
                f"{run.stage} {run.setting}",
                run.preset,
                run.data,
                "" if n is None else f"{n:.0f}",
                "" if accuracy is None else f"{100 * accuracy:.1f} %",
                run.note,
            )
        # a pipe has no width: whole lines for those who search them
        Console(width=None if sys.stdout.isatty() else 200).print(table)


@app.command()
def show(run_id: RunId) -> None:
    """Print everything about a run as JSON."""
    with _errors(), _client() as client:
        _say(client.run(run_id).model_dump_json(indent=2))


@app.command()
def log(
    run_id: RunId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
) -> None:
    """Print a run's log."""
    with _errors(), _client() as client:
        offset, attempt = 0, 0
        while True:
            ended = client.run(run_id).status in RUN_ENDED  # asked first: what is written meanwhile is still shown
            piece = client.log(run_id, offset=offset, limit=2**20)
            if piece.attempt != attempt and attempt:
                offset, attempt = 0, piece.attempt
                continue
            sys.stdout.write(piece.text)
            sys.stdout.flush()
            moved = piece.next_offset > offset
            offset, attempt = piece.next_offset, piece.attempt
            if moved and offset < piece.size:
                continue
            if not follow or ended:
                return
            time.sleep(1)


@app.command()
def watch(run_id: RunId) -> None:
    """Show a run's progress until it has ended; exit code 0 only if it succeeded."""
    with _errors(), _client() as client:
        _follow(client, run_id)


@app.command()
def stop(
    run_id: RunId, mode: Annotated[StopMode, typer.Option(help="How to treat what was computed.")] = StopMode.SAVE
) -> None:
    """Stop a run."""
    with _errors(), _client() as client:
        run = client.stop(run_id, mode)
        _say(f"run {run.id} is {run.status}")


@app.command()
def resume(run_id: RunId) -> None:
    """Go on with a failed or cancelled run from where it got."""
    with _errors(), _client() as client:
        run = client.resume(run_id)
        _say(f"run {run.id} is {run.status}")


@app.command()
def retry(run_id: RunId) -> None:
    """Start a failed or cancelled run again from the beginning."""
    with _errors(), _client() as client:
        run = client.retry(run_id)
        _say(f"run {run.id} is {run.status}")


@app.command()
def delete(run_id: RunId, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Delete an ended run with its files, after a preview."""
    with _errors(), _client() as client:
        preview = client.delete(run_id)
        _say(f"run {run_id}: {preview.size_bytes / 1e6:.1f} MB in")
        for path in preview.paths:
            _say(f"  {path}")
        if yes or typer.confirm("Delete this for good?"):
            client.delete(run_id, confirm=True)
            _say("deleted")


def main() -> None:
    """Entry point of `memgen-studio` and `python -m backend`."""
    app()


def _follow(client: Client, run_id: int) -> None:
    said = ""
    while True:
        run = client.run(run_id)
        progress = run.progress
        line = f"run {run_id} {run.status}"
        if run.waits_for:
            line += f": {run.waits_for}"
        if progress and progress.total:
            line += f": {progress.phase} {progress.done:.0f}/{progress.total:.0f} {progress.unit}"
        elif progress:
            line += f": {progress.phase}"
        if "accuracy" in run.summary:
            line += f", accuracy {100 * run.summary['accuracy']:.1f} %"
        if line != said:
            _say(line)
            said = line
        if run.status in RUN_ENDED:
            if run.failure:
                _say(f"{run.failure.message} {run.failure.way_out}")
            raise typer.Exit(0 if run.status is RunStatus.SUCCEEDED else 1)
        time.sleep(1)


def _config_fields(path: Path | None, settings: list[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {"stage": "evaluate"}
    if path is not None:
        try:
            fields |= json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError) as error:
            raise BadInput(
                "config_unreadable",
                f"the config can't be read: {error}",
                field="--config",
                value=path,
                way_out="Name a JSON file; `python -m memgen schema` lists the fields.",
            ) from error
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise BadInput(
                "bad_option",
                "this is not FIELD=VALUE",
                field="--set",
                value=setting,
                way_out="E.g. `--set max_completion_length=96`.",
            )
        try:
            fields[name] = json.loads(value)
        except ValueError:
            fields[name] = value
    return fields


def _settings() -> Settings:
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


def _client() -> Client:
    settings = _settings()
    url = os.environ.get("MEMGEN_BACKEND_URL") or f"http://{settings.host}:{settings.port}"
    path = settings.home / "backend" / "token"
    if not settings.token and not path.exists():
        raise BadInput(
            "no_token",
            "there is no token here",
            field="MEMGEN_TOKEN",
            value=path,
            way_out="Start the service with `make up`, or set MEMGEN_HOME or MEMGEN_TOKEN.",
        )
    return Client(url, settings.token or read_or_make_token(path), timeout=30)


@contextmanager
def _errors() -> Iterator[None]:
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


def _say(line: str) -> None:
    with suppress(OSError):  # a terminal that is gone must not keep services from being stopped
        typer.echo(line)
        sys.stdout.flush()
