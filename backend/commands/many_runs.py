"""What the command line says of many runs or pipelines that are changed at once."""

from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from backend.api.client import Client
from backend.api.schemas import BulkOut, PipelinesOut
from backend.api.schemas.bulk import MOST_AT_ONCE
from backend.launcher.terminal import say
from memgen.contract.errors import BadInput

Tagged = Annotated[
    str | None, typer.Option("--tagged", metavar="TAG", help="All that have this tag, in place of numbers.")
]


def chosen_numbers(
    what: str, numbers: Sequence[int] | None, tagged: str | None, find: Callable[[str], list[int]]
) -> list[int]:
    """The numbers that were named, or those of all that have a tag.

    Args:
        what: `run` or `pipeline`.
        numbers: of runs or pipelines.
        tagged: a tag.
        find: numbers of all that have a tag.

    Raises:
        BadInput: neither is named, or both; nothing has the tag.
    """
    if bool(numbers) == (tagged is not None):
        raise BadInput(
            "bad_option", f"say which {what}s", field="--tagged", way_out="Name their numbers, or a tag that they have."
        )
    found = list(numbers or []) if tagged is None else find(tagged)
    if not found:
        raise BadInput(
            "no_such_tag", f"no {what} has this tag", field="--tagged", value=tagged,
            way_out="`memgen-studio tags` lists those in use.",
        )  # fmt: skip
    return found


def pieces_of(numbers: Sequence[int]) -> list[Sequence[int]]:
    """As many at a time as a request takes."""
    return [numbers[start : start + MOST_AT_ONCE] for start in range(0, len(numbers), MOST_AT_ONCE)]


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
