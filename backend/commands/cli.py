"""The command line of the service: start and stop it, back it up; each noun beside it has its own module.

Exit codes: 0 done, 2 bad input, 1 the backend refused or does not answer.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from backend.commands import (
    checkpoint_cli,
    data_set_cli,
    fix_cli,
    machine_cli,
    notification_cli,
    order_cli,
    pipeline_cli,
    run_cli,
    saved_cli,
    site_cli,
    try_cli,
)
from backend.launcher.terminal import errors, say, settings
from memgen.contract.errors import BadInput
from memgen.contract.process import begin_process
from memgen.doctor.command import Gpu, JsonFile, Minutes, check_json_file, tell

app = typer.Typer(
    help="MemGen Studio: launch, watch and judge MemGen runs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.command()
def up(
    dashboard_host: Annotated[
        str | None, typer.Option(help="Address of the dashboard, else MEMGEN_DASHBOARD_HOST.")
    ] = None,
    dashboard_port: Annotated[
        str | None, typer.Option(help="Port of the dashboard, else MEMGEN_DASHBOARD_PORT.")
    ] = None,
    slots: Annotated[
        str | None, typer.Option(help="Slots of the worker, e.g. `0 1`, `0,1` or `cpu`; else MEMGEN_SLOTS.")
    ] = None,
) -> None:
    """Start Redis, backend, worker and dashboard, and keep them alive until Ctrl-C."""
    from backend.launcher.stack import Stack

    with errors():
        given = {"dashboard_host": dashboard_host, "dashboard_port": dashboard_port, "slots": slots}
        Stack(settings(**{name: value for name, value in given.items() if value is not None}), say=say).up()


@app.command()
def down() -> None:
    """Stop the services and every trainer (save and stop)."""
    from backend.launcher import stack

    with errors():
        stack.down(settings(), say)


@app.command()
def doctor(gpu: Gpu = False, minutes: Minutes = 8.0, json_file: JsonFile = None) -> None:
    """Look at this machine: what the service and its runs need, what is missing, and what to do. Changes nothing.

    Exit codes: 0 all is well, 1 something does not work, 3 all is well but something, e.g. a card that is not here,
    could not be looked at.
    """
    from backend.commands.doctor.visit import visit

    with errors():
        check_json_file(json_file)
        made = visit(gpu=gpu, minutes=minutes)
        tell(made, json_file)
    raise typer.Exit(made.exit_code)


@app.command()
def serve() -> None:
    """Serve the backend alone (what `up` and the containers start)."""
    import logging

    from alembic.util import CommandError
    from sqlalchemy.exc import DatabaseError, OperationalError

    from backend.http.main import create_app
    from backend.launcher.only_one import only_one
    from backend.launcher.stack import check_port
    from backend.serving.http_server import http_server, run_server
    from backend.serving.redis_address import refuse_wrong_password
    from memgen.contract.rundir import write_whole
    from memgen.contract.service_files import BACKEND_LOCK, backend_url_file

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    with errors(), ExitStack() as held:
        known = settings()
        known.hosts()
        proxies = known.proxy_addresses()
        known.open_home()
        check_port(known.host, known.port, "MEMGEN_PORT")
        refuse_wrong_password(known.redis_url)
        try:
            held.enter_context(
                only_one(
                    known.home,
                    BACKEND_LOCK,
                    running="another backend serves this folder already",
                    way_out="End it, or name another folder.",
                )
            )
            application = create_app(known)
        except (OperationalError, CommandError) as error:
            raise BadInput(
                "database_unusable",
                f"the database can't be used: {error.orig if isinstance(error, OperationalError) else error}",
                field="MEMGEN_HOME",
                value=known.database,
                way_out="Look at its owner and the free disk; one of a newer version needs that version.",
            ) from error
        except DatabaseError as error:
            raise BadInput(
                "database_damaged",
                f"the database can't be read: {error.orig}",
                field="MEMGEN_HOME",
                value=known.database,
                way_out="Restore a backup of this file, or move it away to start empty.",
            ) from error
        write_whole(backend_url_file(known.home), known.url + "\n")
        run_server(http_server(application, host=known.host, port=known.port, proxies=proxies))


@app.command()
def token() -> None:
    """Print the token for the dashboard and the API."""
    with errors():
        say(settings().user_token())


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The archive to write, e.g. backup.tar.")],
    models: Annotated[bool, typer.Option(help="Converted weights, too; they can be fetched again.")] = False,
) -> None:
    """Write database and files of MEMGEN_HOME into one archive; the service may run meanwhile."""
    from backend.commands.archive.backup import back_up
    from backend.commands.tidy_end import tidy_end

    with errors(), tidy_end():
        size = back_up(settings().home, file.absolute(), models=models, say=say)
        say(f"{file}: {size / 1e6:.1f} MB")


@app.command()
def restore(file: Annotated[Path, typer.Argument(help="An archive that `backup` has written.")]) -> None:
    """Put a backup into an empty MEMGEN_HOME; runs that were under way are tried again after the next start."""
    from backend.commands.archive.restore import restore as put_back
    from backend.commands.tidy_end import tidy_end

    with errors(), tidy_end():
        home = settings().home
        put_back(file.absolute(), home, say)
        say(f"restored into {home}; `make up` starts it")


for noun in (
    run_cli, pipeline_cli, checkpoint_cli, data_set_cli, saved_cli, fix_cli, notification_cli, order_cli, machine_cli,
    site_cli, try_cli,
):  # fmt: skip
    noun.install(app)


def main() -> None:
    """Entry point of `memgen-studio` and `python -m backend`."""
    begin_process()
    app()
