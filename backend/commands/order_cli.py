"""Command line of what brings order into many runs: tags, the archive, the search."""

from typing import Annotated

import typer

from backend.api.client import Client
from backend.api.schemas import SearchHit
from backend.commands.many_runs import Tagged, chosen_numbers, pieces_of, say_of_many
from backend.launcher.terminal import client, errors, say, show_table

Runs = Annotated[list[int] | None, typer.Argument(metavar="[RUN...]", help="Numbers of the runs.", show_default=False)]
ARCHIVED = "What becomes of the archive: `no` leaves it out, `also` shows it, too, `only` shows it alone."


def install(app: typer.Typer) -> None:
    """Put these commands into the service's command line."""
    app.command()(tag)
    app.command("tags")(list_tags)
    app.command()(archive)
    app.command()(search)


def tag(
    run_ids: Runs = None,
    tagged: Tagged = None,
    add: Annotated[list[str] | None, typer.Option(metavar="TAG", help="A tag that they get; may be repeated.")] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="A tag that they lose; may be repeated.")
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="The tag that they are listed and drawn with from now on; empty for none.")
    ] = None,
) -> None:
    """Give tags to runs or take some from them, and set their group."""
    with errors(), client() as api:
        for piece in pieces_of(_numbers(api, run_ids, tagged)):
            say_of_many(api.tag_runs(piece, add=add or [], remove=remove or [], group=group, confirm=True))


def list_tags() -> None:
    """List the tags in use."""
    with errors(), client() as api:
        rows = [[one.name, str(one.num_runs), str(one.num_group), str(one.num_pipelines)] for one in api.tags()]
        show_table(["tag", "runs", "as group", "pipelines"], rows)


def archive(
    run_ids: Runs = None,
    tagged: Tagged = None,
    take_out: Annotated[bool, typer.Option("--take-out", help="Take them out of the archive.")] = False,
) -> None:
    """Put ended runs into the archive, which lists, totals and offers leave out; nothing else of them changes."""
    with errors(), client() as api:
        for piece in pieces_of(_numbers(api, run_ids, tagged)):
            say_of_many(api.archive_runs(piece, archived=not take_out, confirm=True))


def search(
    words: Annotated[
        list[str], typer.Argument(metavar="WORD...", help="Words that all have to be there, or a number.")
    ],
    limit: Annotated[int, typer.Option(min=1, max=50, help="Most runs.")] = 20,
) -> None:
    """Find runs, pipelines, checkpoints, tags, models and data sets."""
    with errors(), client() as api:
        reply = api.search(" ".join(words), limit=limit)
        if not reply.items:
            say("nothing has all of these words")
            raise typer.Exit(1)
        show_table(["what", "name", "status", "model", "data", "tags", "note"], map(_row, reply.items))
        if reply.more:
            say("more runs match; another word makes them fewer")


def _row(hit: SearchHit) -> list[str]:
    what = hit.kind if hit.number is None else f"{hit.kind} {hit.number}"
    status = ", ".join(filter(None, [hit.status or "", "archived" if hit.archived else ""]))
    return [what, hit.name, status, hit.preset, hit.data, ", ".join(hit.tags), hit.note]


def _numbers(api: Client, run_ids: list[int] | None, tagged: str | None) -> list[int]:
    return chosen_numbers("run", run_ids, tagged, lambda tag: api.run_numbers(tag=tag, archived="also").runs)
