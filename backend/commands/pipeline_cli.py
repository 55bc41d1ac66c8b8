"""Command line of pipelines: submit, watch, continue, stop; comparisons; the demo."""

from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from pydantic import ValidationError

from backend.api.calls.compare import Format
from backend.api.client import Client
from backend.api.schemas import Shown
from backend.commands.demo import run_demo
from backend.commands.many_runs import Tagged, chosen_numbers, pieces_of, say_of_pipelines
from backend.commands.order_cli import ARCHIVED
from backend.commands.pipeline_text import change_text, follow, show_comparison
from backend.commands.saved_settings import pipeline_of
from backend.launcher.terminal import assignments, client, errors, read_json, say, settings, show_table
from memgen.contract.config import RunConfig, stage_class
from memgen.contract.config_text import field_value, help_of
from memgen.contract.demo import demo_spec, small_spec
from memgen.contract.errors import BadInput
from memgen.contract.pipeline import OPTIONAL, STEPS, USUAL, PipelineSpec
from memgen.contract.rundir import write_whole
from memgen.contract.stage_configs import Evaluation
from memgen.contract.stages import trains
from memgen.contract.status import PipelineStatus, StopMode

pipelines = typer.Typer(help="The whole chain from the base model to LTPO.", no_args_is_help=True)
PipelineIds = Annotated[
    list[int] | None, typer.Argument(metavar="[PIPELINE...]", help="Numbers of the pipelines.", show_default=False)
]
PipelineId = Annotated[int, typer.Argument(help="Number of the pipeline.")]


def install(app: typer.Typer) -> None:
    """Put these commands into the service's command line."""
    app.add_typer(pipelines, name="pipeline")
    app.command()(compare)
    app.command()(baseline)
    app.command()(demo)


@pipelines.command()
def run(
    config: Annotated[Path | None, typer.Option(help="JSON file with a pipeline; the options below win.")] = None,
    saved: Annotated[str | None, typer.Option(help="Settings that are kept under this name.")] = None,
    preset: Annotated[str | None, typer.Option(help="Model; `memgen presets` lists them.")] = None,
    data: Annotated[str | None, typer.Option(help="Data set; `memgen data-sets` lists them.")] = None,
    num_questions: Annotated[
        int | None, typer.Option(help=f"Of each evaluation. {help_of(Evaluation, 'num_questions')}")
    ] = None,
    set_field: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="WHERE.FIELD=VALUE", help="WHERE is shared, evaluations or a step, e.g. weaver_sft."
        ),
    ] = None,
    reuse: Annotated[
        list[str] | None, typer.Option(metavar="STEP=RUN", help="A finished run that stands for a step.")
    ] = None,
    add: Annotated[
        list[str] | None, typer.Option(metavar="STEP", help=f"Run an optional step, too: {', '.join(OPTIONAL)}.")
    ] = None,
    leave_out: Annotated[
        list[str] | None, typer.Option(metavar="STEP", help="Do without this step, e.g. weaver_sft.")
    ] = None,
    note: Annotated[str | None, typer.Option(help="A few words to find the pipeline again.")] = None,
    fixes: Annotated[int | None, typer.Option(help="Failed pipeline that this one mends; see `fix`.")] = None,
    site: Annotated[
        str | None, typer.Option(help="Where its runs are to go; `memgen-studio sites` lists them.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="A word to find the pipeline and its runs by; may be repeated.")
    ] = None,
    group: Annotated[str | None, typer.Option(help="The tag that its runs are listed and drawn with.")] = None,
    is_demo: Annotated[
        bool, typer.Option("--demo", help="What the checkpoints that come with MemGen Studio change.")
    ] = False,
    is_small: Annotated[
        bool, typer.Option("--small", help="The smallest model, a few steps of each training: minutes on a CPU.")
    ] = False,
    wait: Annotated[bool, typer.Option(help="Show progress until the pipeline has ended.")] = False,
) -> None:
    """Submit a pipeline: runs that are chained by their checkpoints."""
    with errors(), client() as api:
        fields: dict[str, Any] = {"shared": {}, "evaluations": {}, "steps": {}}
        if is_demo or is_small:
            start = demo_spec(api.shipped_checkpoints().model_dump()) if is_demo else small_spec()
            fields = start.model_dump(mode="json")
        fields |= pipeline_of(api, saved) if saved is not None else {}
        fields |= read_json(config) if config else {}
        given = {"shared.preset": preset, "shared.data": data, "evaluations.num_questions": num_questions}
        for name, value in given.items():
            if value is not None:
                _put(fields, name, value)
        for name, text in assignments(set_field or [], example="weaver_sft.learning_rate=1e-5").items():
            _put(fields, name, field_value(_classes(name), name.partition(".")[2], text))
        _part(fields, "reuse").update(assignments(reuse or [], "--reuse", "base_eval=1"))
        if add or leave_out:
            fields["include"] = _included(fields, add or [], leave_out or [])
        if note is not None:
            fields["note"] = note
        if fixes is not None:
            fields["fixes"] = fixes
        if site is not None:
            fields["site"] = site
        out = api.submit_pipeline(pipeline_spec(fields), tags=tag or [], group=group)
        say(f"pipeline {out.id}: " + ", ".join(f"{step.step} run {step.run.id}" for step in out.steps if step.run))
        if wait:
            raise typer.Exit(0 if follow(api, out.id).status is PipelineStatus.SUCCEEDED else 1)


@pipelines.command("list")
def list_(
    tag: Annotated[
        str | None, typer.Option(help="A tag, or several with commas: pipelines that have them all.")
    ] = None,
    archived: Annotated[Shown, typer.Option(help=ARCHIVED)] = "no",
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
) -> None:
    """List pipelines, newest first."""
    with errors(), client() as api:
        rows = []
        for one in api.pipelines(tag=tag, archived=archived, limit=limit).items:
            done = sum(step.is_done for step in one.steps)
            rows.append(
                [
                    str(one.id),
                    one.status,
                    one.preset,
                    one.data,
                    f"{done}/{len(one.steps)}",
                    ", ".join(one.tags),
                    one.note,
                ]
            )
        show_table(["pipeline", "status", "model", "data", "steps", "tags", "note"], rows)


@pipelines.command("tag")
def tag_(
    pipeline_ids: PipelineIds = None,
    tagged: Tagged = None,
    add: Annotated[list[str] | None, typer.Option(metavar="TAG", help="A tag that they get; may be repeated.")] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="A tag that they lose; may be repeated.")
    ] = None,
) -> None:
    """Give tags to pipelines, or take some from them."""
    with errors(), client() as api:
        for piece in pieces_of(_numbers(api, pipeline_ids, tagged)):
            say_of_pipelines(api.tag_pipelines(piece, add=add or [], remove=remove or [], confirm=True))


@pipelines.command()
def archive(
    pipeline_ids: PipelineIds = None,
    tagged: Tagged = None,
    take_out: Annotated[bool, typer.Option("--take-out", help="Take them out of the archive.")] = False,
) -> None:
    """Put ended pipelines with the runs that they submitted into the archive, which lists leave out."""
    with errors(), client() as api:
        for piece in pieces_of(_numbers(api, pipeline_ids, tagged)):
            say_of_pipelines(api.archive_pipelines(piece, archived=not take_out, confirm=True))


def _numbers(api: Client, pipeline_ids: list[int] | None, tagged: str | None) -> list[int]:
    return chosen_numbers(
        "pipeline", pipeline_ids, tagged, lambda tag: api.pipeline_numbers(tag=tag, archived="also").pipelines
    )


@pipelines.command()
def show(pipeline_id: PipelineId) -> None:
    """Show the steps of a pipeline."""
    with errors(), client() as api:
        out = api.pipeline(pipeline_id)
        rows = []
        for step in out.steps:
            run = step.run
            accuracy = run.summary.get("accuracy") if run is not None and not trains(run.stage) else None
            rows.append(
                [
                    step.label + (" (reused)" if step.reused else ""),
                    str(run.id) if run else "",
                    run.status if run else "deleted",
                    str(run.num_attempts) if run else "",
                    "" if run is None or accuracy is None else f"{100 * accuracy:.1f} %{run.scorer_mark}",
                    "" if step.gain is None else change_text(step.gain),
                    step.reason,
                ]
            )
        say(f"pipeline {out.id} {out.status}: {out.preset}, {out.data}")
        show_table(["step", "run", "status", "attempts", "accuracy", "change", ""], rows)
        for step in out.steps:
            for warning in step.warnings:
                say(f"warning of {step.label}: {warning}")
        if out.can_continue:
            say(out.continue_reason)


@pipelines.command()
def watch(pipeline_id: PipelineId) -> None:
    """Show a pipeline's progress until it has ended; exit code 0 only if every step succeeded."""
    with errors(), client() as api:
        raise typer.Exit(0 if follow(api, pipeline_id).status is PipelineStatus.SUCCEEDED else 1)


@pipelines.command("continue")
def continue_(pipeline_id: PipelineId) -> None:
    """Go on from what failed, was stopped or was skipped; finished steps stay."""
    with errors(), client() as api:
        out = api.continue_pipeline(pipeline_id)
        say(f"pipeline {out.id} is {out.status}")


@pipelines.command()
def stop(
    pipeline_id: PipelineId,
    mode: Annotated[StopMode, typer.Option(help="How to treat what was computed.")] = StopMode.SAVE,
) -> None:
    """Stop every step that has not ended."""
    with errors(), client() as api:
        out = api.stop_pipeline(pipeline_id, mode)
        say(f"pipeline {out.id} is {out.status}")


def compare(
    runs: Annotated[list[int], typer.Argument(help="Evaluations, by their numbers.")],
    base: Annotated[
        int | None,
        typer.Option(help="What the others are compared with; else the pinned baseline, or the one that is a base."),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the table to FILE, which ends in .csv or .jsonl.")
    ] = None,
) -> None:
    """Compare evaluations on the same questions, each against the base."""
    with errors(), client() as api:
        form = None if save is None else _form(save)
        show_comparison(api.compare(runs, base=base))
        if save is not None and form is not None:
            write_whole(save, b"".join(api.export_comparison(runs, base=base, form=form)).decode())
            say(f"written to {save}")


def baseline(
    run_id: Annotated[
        int | None, typer.Argument(help="An evaluation to pin; without it the pinned one is shown.")
    ] = None,
    unpin: Annotated[bool, typer.Option("--unpin", help="Pin none any more.")] = False,
) -> None:
    """Pin the evaluation that others are measured against, show it, or unpin it."""
    if unpin and run_id is not None:
        raise typer.BadParameter("it pins none; name no evaluation beside it", param_hint="--unpin")
    with errors(), client() as api:
        pinned = api.pin_baseline(None if unpin else run_id) if unpin or run_id is not None else api.baseline()
        if pinned.run_id is None:
            say("no baseline is pinned")
        elif pinned.run is None:
            say(f"the pinned baseline, run {pinned.run_id}, was deleted")
        else:
            say(f"the pinned baseline is run {pinned.run_id}, {pinned.run.label}")


def _form(path: Path) -> Format:
    """The form of a file by the end of its name.

    Raises:
        BadInput: `bad_option`.
    """
    form = next((form for form in get_args(Format) if path.suffix == f".{form}"), None)
    if form is None:
        raise BadInput(
            "bad_option", "this is no name of such a file", field="--save", value=path,
            way_out="End it in .csv or .jsonl.",
        )  # fmt: skip
    chosen: Format = form
    return chosen


def demo() -> None:
    """Show on word problems what a trained weaver, trigger and LTPO change; starts the services if they do not run."""
    with errors():
        raise typer.Exit(0 if run_demo(settings(), say) else 1)


def _put(fields: dict[str, Any], name: str, value: object) -> None:
    where, dot, field = name.partition(".")
    if not dot or where not in ("shared", "evaluations", *STEPS):
        raise BadInput(
            "bad_option",
            "this does not say where the field belongs",
            field="--set",
            value=name,
            way_out=f"Write WHERE.FIELD=VALUE; WHERE is shared, evaluations, {', '.join(STEPS)}.",
        )
    part = _part(fields, "steps" if where in STEPS else where)
    if where in STEPS:
        part = _part(part, where)
    part[field] = value


def _included(fields: dict[str, Any], add: list[str], leave_out: list[str]) -> list[str]:
    """The steps to run, in their order.

    Raises:
        BadInput: `bad_option`, if one of these is none.
    """
    unknown = [step for step in (*add, *leave_out) if step not in STEPS]
    if unknown:
        raise BadInput(
            "bad_option",
            "there is no such step",
            field="--add" if unknown[0] in add else "--leave-out",
            value=unknown[0],
            way_out=f"Steps: {', '.join(STEPS)}.",
        )
    named = fields.get("include") or USUAL
    return [step for step in STEPS if (step in named or step in add) and step not in leave_out]


def _part(fields: dict[str, Any], name: str) -> dict[str, Any]:
    """An object in the pipeline, made if it is missing.

    Raises:
        BadInput: `config_unreadable`, if the file has something else there.
    """
    part = fields.setdefault(name, {})
    if not isinstance(part, dict):
        raise BadInput(
            "config_unreadable",
            "this part of the config is no object",
            field=name,
            value=part,
            way_out="Mend the file.",
        )
    return part


def _classes(name: str) -> list[type[RunConfig]]:
    """The configs that a `WHERE.FIELD` may belong to."""
    where = name.partition(".")[0]
    return [stage_class(STEPS[step].stage) for step in STEPS if where in ("shared", "evaluations", step)]


def pipeline_spec(fields: dict[str, Any]) -> PipelineSpec:
    """A pipeline from what a file or options say.

    Raises:
        BadInput: `invalid_config`.
    """
    try:
        return PipelineSpec.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(
            "invalid_config",
            first["msg"],
            field=".".join(map(str, first["loc"])),
            value=first["input"],
            way_out="`memgen-studio pipeline run --help` tells what can be set.",
        ) from None
