"""Command line: mend a run that failed for a reason in its config, and go on."""

from typing import Annotated

import typer

from backend.api.client import Client
from backend.api.schemas import RunDetail
from backend.commands.pipeline_cli import pipeline_spec
from backend.launcher.terminal import assignments, client, errors, say
from memgen.contract.config import stage_class
from memgen.contract.config_text import field_value
from memgen.contract.errors import BadInput
from memgen.contract.fixing import blamed_fields, fixing_spec, place_of
from memgen.contract.pipeline import STEPS, StepName
from memgen.contract.status import RunStatus


def install(app: typer.Typer) -> None:
    """Put this command into the service's command line."""
    app.command()(fix)


def fix(
    run_id: Annotated[int, typer.Argument(metavar="RUN", help="Number of the failed run.")],
    set_field: Annotated[
        list[str], typer.Option("--set", metavar="FIELD=VALUE", help="A field to change; may be repeated.")
    ],
    note: Annotated[str | None, typer.Option(help="A few words instead of the old ones.")] = None,
) -> None:
    """Launch a failed run again with other settings; of a pipeline with all steps that are not finished."""
    with errors(), client() as api:
        run = api.run(run_id)
        if run.status is not RunStatus.FAILED:
            raise BadInput(
                "not_failed",
                f"run {run_id} is {run.status}",
                field="RUN",
                value=run_id,
                way_out="Only what has failed is mended.",
            )
        words = assignments(set_field)
        changes = {name: field_value([stage_class(run.stage)], name, text) for name, text in words.items()}
        if run.pipeline_id is not None and run.step is not None:
            step = next(name for name in STEPS if name == run.step)
            _fix_pipeline(api, run.pipeline_id, step, changes, note)
            return
        made = api.submit(run.config | changes, note=run.note if note is None else note, fixes=run_id, site=run.site)
        say(
            f"run {made.id} is {made.status}: it mends run {run_id}, whose {_blamed(run)} and starts from its beginning"
        )


def _fix_pipeline(api: Client, pipeline_id: int, step: StepName, changes: dict[str, object], note: str | None) -> None:
    pipeline = api.pipeline(pipeline_id)
    finished = {
        one.step: one.run.id for one in pipeline.steps if one.run is not None and one.run.status is RunStatus.SUCCEEDED
    }
    spec = fixing_spec(pipeline_spec(pipeline.spec), pipeline.id, finished)
    fields = spec.model_dump(mode="json") | ({} if note is None else {"note": note})
    for name, value in changes.items():
        place = place_of(step, name)
        part = fields[place] if place in fields else fields["steps"].setdefault(place, {})
        part[name] = value
    made = api.submit_pipeline(pipeline_spec(fields))
    say(
        f"pipeline {made.id} mends pipeline {pipeline.id}: "
        + ", ".join(_step_words(one.step, one.reused) for one in made.steps)
    )


def _step_words(step: str, reused: bool) -> str:
    return f"{step} reused" if reused else step


def _blamed(run: RunDetail) -> str:
    named = blamed_fields(run.config, run.failure)
    return f"failure named {', '.join(named)}," if named else "failure named no field,"
