"""Command line of checkpoints, through the backend: list, add from outside, delete what came from there."""

from pathlib import Path
from typing import Annotated

import typer

from backend.api.schemas import CheckpointCreate, CheckpointFile
from backend.commands.sending import send
from backend.launcher.terminal import client, errors, say, show_table
from memgen.contract.checkpoint_kinds import files_of_a_checkpoint
from memgen.contract.errors import BadInput

checkpoint = typer.Typer(help="Checkpoints from outside; `checkpoints` lists all.", no_args_is_help=True)


def install(app: typer.Typer) -> None:
    """Put these commands into the service's command line."""
    app.command()(checkpoints)
    app.add_typer(checkpoint, name="checkpoint")


def checkpoints() -> None:
    """List what training runs left and what came from outside, newest first."""
    with errors(), client() as api:
        rows = [
            [
                str(one.id), one.made_by, one.preset, ", ".join(one.trained), str(one.parent_id or "the base"),
                one.content_hash or "", one.reason,
            ]
            for one in api.checkpoints().items
        ]  # fmt: skip
        show_table(["checkpoint", "made by", "model", "trained", "made from", "hash", ""], rows)


@checkpoint.command()
def add(
    folder: Annotated[Path, typer.Argument(help="Folder of a checkpoint: ours, or one of the authors' layouts.")],
    preset: Annotated[
        str | None,
        typer.Option(help="The model that it was trained on; needed where its manifest names no weights of the hub."),
    ] = None,
    data: Annotated[str, typer.Option(help="What it was trained on, for the lists.")] = "",
    note: Annotated[str, typer.Option(help="A few words to find it again.")] = "",
) -> None:
    """Add a checkpoint from outside, so that runs can start from it. Its files are checked and sent."""
    with errors(), client() as api:
        wanted = files_of_a_checkpoint(
            [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file()]
        )
        if not wanted:
            raise BadInput(
                "not_a_checkpoint", "there are no files", field="FOLDER", value=folder,
                way_out="Name the folder of a checkpoint.",
            )  # fmt: skip
        files = [CheckpointFile(upload=send(api, folder / name, Path(name).name), path=name) for name in wanted]
        name = folder.resolve().name or "checkpoint"
        made = api.add_checkpoint(CheckpointCreate(files=files, name=name, preset=preset, data=data, note=note))
        say(f"checkpoint {made.id}: {', '.join(made.trained)} for {made.preset}, hash {made.content_hash}")


@checkpoint.command()
def delete(
    checkpoint_id: Annotated[int, typer.Argument(help="Number of a checkpoint that came from outside.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a checkpoint that came from outside; runs that started from it stay."""
    with errors(), client() as api:
        preview = api.delete_checkpoint(checkpoint_id)
        say(f"checkpoint {checkpoint_id}: {preview.bytes:,} bytes; runs that started from it: {preview.runs}")
        if yes or typer.confirm("Delete this for good?"):
            api.delete_checkpoint(checkpoint_id, confirm=True)
            say("deleted")
