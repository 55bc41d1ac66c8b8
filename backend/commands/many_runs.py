"""What the command line says of many runs or pipelines that are changed at once."""

from collections.abc import Sequence

import typer

from backend.api.client import Client
from backend.api.schemas import BulkOut, PipelinesOut
from backend.launcher.terminal import say


def say_of_many(reply: BulkOut) -> None:
    """A line per run; exit code 1 where some stay as they are.

    Raises:
        typer.Exit: as said.
    """
    for item in reply.items:
        say(f"run {item.run_id}: " + (item.problem.message if item.problem else item.outcome))
    for sentence in reply.also:
        say(sentence)
    for line in reply.left:
        say(f"could not be removed: {line}")
    if reply.confirmed and reply.refused:
        raise typer.Exit(1)


def say_of_pipelines(reply: PipelinesOut) -> None:
    """The same of pipelines.

    Raises:
        typer.Exit: some stay as they are.
    """
    for item in reply.items:
        say(f"pipeline {item.pipeline_id}: " + (item.problem.message if item.problem else item.outcome))
    if any(item.problem is not None for item in reply.items):
        raise typer.Exit(1)


def delete_many(api: Client, run_ids: Sequence[int], *, ask: bool) -> None:
    """Preview, question, deletion.

    Raises:
        typer.Exit: some can't be deleted.
    """
    preview = api.delete_runs(run_ids)
    say_of_many(preview)
    say(f"{len(preview.done)} runs with {preview.size_bytes / 1e6:.1f} MB go")
    if preview.done and (not ask or typer.confirm("Delete them for good?")):
        reply = api.delete_runs(run_ids, confirm=True)
        say(f"{len(reply.done)} deleted")
        for line in reply.left:
            say(f"could not be removed: {line}")
        if reply.refused:
            raise typer.Exit(1)
