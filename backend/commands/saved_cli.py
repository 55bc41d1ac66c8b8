"""Command line of settings that are kept under a name: list, save, delete."""

from pathlib import Path
from typing import Annotated, Any

import typer

from backend.api.schemas import SavedLaunch
from backend.commands.pipeline_cli import pipeline_spec
from backend.launcher.terminal import client, errors, read_json, say, show_table
from memgen.contract.errors import BadInput
from memgen.contract.pipeline import PipelineSpec

saved = typer.Typer(help="Settings of launches that are kept under a name.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Name of the settings.")]


def install(app: typer.Typer) -> None:
    """Put these commands into the service's command line."""
    app.add_typer(saved, name="saved")


@saved.command("list")
def list_() -> None:
    """List the settings that are kept."""
    with errors(), client() as api:
        rows = [
            [one.name, "pipeline" if one.config is None else str(one.config["stage"]), _model(one), one.note]
            for one in api.saved_launches()
        ]
        show_table(["name", "of", "model", "note"], rows)


@saved.command()
def save(
    name: Name,
    run: Annotated[int | None, typer.Option(help="The run whose settings are kept.")] = None,
    pipeline: Annotated[int | None, typer.Option(help="The pipeline whose settings are kept.")] = None,
    config: Annotated[Path | None, typer.Option(help="JSON file with a config, or with a pipeline.")] = None,
    note: Annotated[str, typer.Option(help="A few words on what they are for.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Other settings of this name go.")] = False,
) -> None:
    """Keep the settings of a run, of a pipeline, or of a file under a name."""
    with errors(), client() as api:
        if sum(given is not None for given in (run, pipeline, config)) != 1:
            raise BadInput(
                "bad_option",
                "say whose settings are kept",
                field="--run",
                way_out="Give one of --run, --pipeline and --config.",
            )
        settings: dict[str, Any] | PipelineSpec
        if run is not None:
            settings = api.run(run).config
        elif pipeline is not None:
            settings = pipeline_spec(api.pipeline(pipeline).spec)
        else:
            settings = read_json(config or Path())
            settings = settings if "stage" in settings else pipeline_spec(settings)
        kept = api.save_launch(name, settings, note=note, replace=replace)
        say(f"saved as {kept.name}")


@saved.command()
def delete(name: Name) -> None:
    """Keep these settings no longer."""
    with errors(), client() as api:
        say(f"deleted {api.delete_saved_launch(name).name}")


def _model(one: SavedLaunch) -> str:
    return str((one.config or (one.pipeline.shared if one.pipeline else {})).get("preset", ""))
