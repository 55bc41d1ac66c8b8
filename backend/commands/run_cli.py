"""Command line of runs: launch, list, watch, stop, start again, score anew, delete, and the queue."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from backend.api.client import Client
from backend.api.schemas import Shown
from backend.api.schemas.bulk import MOST_AT_ONCE
from backend.commands.machine_cli import reasons
from backend.commands.many_runs import delete_many, say_of_many
from backend.commands.order_cli import ARCHIVED
from backend.commands.run_text import follow_run
from backend.commands.saved_settings import config_of
from backend.launcher.terminal import assignments, client, errors, local_time, read_json, say, show_table, shown
from memgen.contract.config_text import field_value, help_of
from memgen.contract.stage_configs import Evaluation
from memgen.contract.stages import STAGES, find_stage
from memgen.contract.status import RUN_ENDED, RunStatus, StopMode

RunId = Annotated[int, typer.Argument(help="Number of the run.")]
RunIds = Annotated[list[int], typer.Argument(metavar="RUN...", help=f"Numbers of up to {MOST_AT_ONCE} runs.")]


def install(app: typer.Typer) -> None:
    """Put these commands into the service's command line."""
    for command in (
        launch, runs, show, log, watch, stop, resume, retry, rescore, delete, queue, prioritize, note,
    ):  # fmt: skip
        app.command()(command)


def launch(
    preset: Annotated[str | None, typer.Option(help="Model; `memgen presets` lists them.")] = None,
    data: Annotated[str | None, typer.Option(help="Data set; `memgen data-sets` lists them.")] = None,
    num_questions: Annotated[int | None, typer.Option(help=help_of(Evaluation, "num_questions"))] = None,
    config: Annotated[Path | None, typer.Option(help="JSON file with a config; the options above win.")] = None,
    saved: Annotated[str | None, typer.Option(help="Settings that are kept under this name; the others win.")] = None,
    set_field: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Any other field; may be repeated.")
    ] = None,
    note: Annotated[str, typer.Option(help="A few words to find the run again.")] = "",
    fixes: Annotated[int | None, typer.Option(help="Failed run that this one mends; see `fix`.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A word to find the run by; may be repeated.")] = None,
    group: Annotated[str | None, typer.Option(help="The tag that it is listed and drawn with.")] = None,
    site: Annotated[str | None, typer.Option(help="Where it is to run; `memgen-studio sites` lists them.")] = None,
    wait: Annotated[bool, typer.Option(help="Show progress until the run has ended.")] = False,
) -> None:
    """Submit a run; without a config a base evaluation."""
    with errors(), client() as api:
        changes = assignments(set_field or [])
        fields = {"stage": STAGES[0].name, **(config_of(api, saved) if saved is not None else {})}
        fields |= read_json(config) if config else {}
        stage = find_stage(str(changes.get("stage", fields["stage"])))
        classes = [stage.config] if stage is not None else []  # the backend refuses others
        fields |= {name: field_value(classes, name, text) for name, text in changes.items()}
        given = {"preset": preset, "data": data, "num_questions": num_questions}
        fields |= {name: value for name, value in given.items() if value is not None}
        run = api.submit(fields, note=note, fixes=fixes, tags=tag or [], group=group, site=site)
        say(f"run {run.id} is {run.status}" + (f": {run.waits_for}" if run.waits_for else ""))
        if wait:
            _follow(api, run.id)


def runs(
    status: Annotated[str | None, typer.Option(help=f"One of {', '.join(RunStatus)}, or several with commas.")] = None,
    tag: Annotated[str | None, typer.Option(help="A tag, or several with commas: runs that have all of them.")] = None,
    group: Annotated[str | None, typer.Option(help="Runs of this group.")] = None,
    archived: Annotated[Shown, typer.Option(help=ARCHIVED)] = "no",
    sort: Annotated[
        str | None,
        typer.Option(help="Column, e.g. `accuracy`; `--sort=-accuracy` shows the highest first."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
) -> None:
    """List runs, newest first or in the order of a column."""
    with errors(), client() as api:
        rows = []
        for run in api.runs(status=status, tag=tag, group=group, archived=archived, sort=sort, limit=limit).items:
            n, accuracy = run.summary.get("num_questions"), run.summary.get("accuracy")
            rows.append(
                [
                    str(run.id),
                    run.status,
                    run.title,
                    run.preset,
                    run.data,
                    "" if n is None else f"{n:.0f}",
                    "" if accuracy is None else f"{100 * accuracy:.1f} %{run.scorer_mark}",
                    local_time(run.started_at),
                    ", ".join(run.tags),
                    run.note,
                ]
            )
        show_table(
            ["run", "status", "stage", "model", "data", "questions", "accuracy", "started", "tags", "note"], rows
        )


def show(run_id: RunId) -> None:
    """Print everything about a run as JSON."""
    with errors(), client() as api:
        say(api.run(run_id).model_dump_json(indent=2))


def log(
    run_id: RunId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
) -> None:
    """Print a run's log."""
    with errors(), client() as api:
        offset, attempt = 0, 0
        while True:
            ended = api.run(run_id).status in RUN_ENDED  # asked first: what is written meanwhile is still shown
            piece = api.log(run_id, offset=offset, limit=2**20)
            if piece.attempt != attempt and attempt:
                offset, attempt = 0, piece.attempt
                continue
            sys.stdout.write(shown(piece.text.replace("\r\n", "\n")) if sys.stdout.isatty() else piece.text)
            sys.stdout.flush()
            moved = piece.next_offset > offset
            offset, attempt = piece.next_offset, piece.attempt
            if moved and offset < piece.size:
                continue
            if not follow or ended:
                return
            time.sleep(1)


def watch(run_id: RunId) -> None:
    """Show a run's progress until it has ended; exit code 0 only if it succeeded."""
    with errors(), client() as api:
        _follow(api, run_id)


def stop(
    run_ids: RunIds, mode: Annotated[StopMode, typer.Option(help="How to treat what was computed.")] = StopMode.SAVE
) -> None:
    """Stop runs."""
    with errors(), client() as api:
        if len(run_ids) == 1:
            run = api.stop(run_ids[0], mode)
            say(f"run {run.id} is {run.status}")
            return
        say_of_many(api.stop_runs(run_ids, mode, confirm=True))


def resume(run_id: RunId) -> None:
    """Go on with a failed or cancelled run from where it got."""
    with errors(), client() as api:
        run = api.resume(run_id)
        say(f"run {run.id} is {run.status}")


def retry(run_id: RunId) -> None:
    """Start a failed or cancelled run again from the beginning."""
    with errors(), client() as api:
        run = api.retry(run_id)
        say(f"run {run.id} is {run.status}")


def rescore(run_ids: Annotated[list[int], typer.Argument(metavar="RUN...", help="Finished evaluations.")]) -> None:
    """Score the stored answers of evaluations with the newest version of the scorer, beside the scores they have."""
    with errors(), client() as api:
        for run_id in run_ids:
            run = api.rescore(run_id)
            figures = [
                f"{100 * one.summary['accuracy']:.1f} % by version {one.version}"
                for one in run.scorings
                if "accuracy" in one.summary
            ]
            say(f"run {run_id}: " + ", ".join(figures))


def delete(run_ids: RunIds, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Delete ended runs with their files, after a preview."""
    with errors(), client() as api:
        if len(run_ids) > 1:
            delete_many(api, run_ids, ask=not yes)
            return
        (run_id,) = run_ids
        preview = api.delete(run_id)
        say(f"run {run_id}: {preview.size_bytes / 1e6:.1f} MB in")
        for path in preview.paths:
            say(f"  {path}")
        if yes or typer.confirm("Delete this for good?"):
            left = api.delete(run_id, confirm=True).left
            say("deleted" + (f", but {len(left)} files or folders could not be removed:" if left else ""))
            for line in left:
                say(f"  {line}")


def queue(
    pause: Annotated[
        bool | None, typer.Option("--pause/--go-on", help="Hand out nothing; running runs go on.", show_default=False)
    ] = None,
) -> None:
    """Show the queued runs in the order in which they start, and pause the queue or let it go on."""
    with errors(), client() as api:
        found = api.queue() if pause is None else api.pause_queue(pause)
        if found.paused:
            say("the queue is paused")
        for one in found.sick_slots:
            say(f"slot {one.slot} of {one.host} takes no work: {one.reason}")
            say(f"  asked again in {one.asked_again_in:.0f} s")
        for line in reasons(api.workers().items):
            say(line)
        if not found.items:
            say("no run is queued")
            return
        rows = [
            [str(place), str(run.id), str(run.priority), run.title, run.preset, run.waits_for or ""]
            for place, run in enumerate(found.items, start=1)
        ]
        show_table(["place", "run", "priority", "stage", "model", "waits for"], rows)


def prioritize(
    run_id: RunId,
    priority: Annotated[int, typer.Argument(help="The highest starts first; 0 is usual. Negative: `-- 5 -1`.")],
) -> None:
    """Change the place of a run that has not started."""
    with errors(), client() as api:
        run = api.set_priority(run_id, priority)
        say(f"run {run.id} has priority {run.priority}" + (f": {run.waits_for}" if run.waits_for else ""))


def note(
    run_id: RunId,
    text: Annotated[str, typer.Argument(help="A few words to find the run again; empty takes the note away.")],
) -> None:
    """Change the note of a run."""
    with errors(), client() as api:
        run = api.set_note(run_id, text)
        say(f"run {run.id}: {run.note}" if run.note else f"run {run.id} has no note")


def _follow(api: Client, run_id: int) -> None:
    """Show a run until it has ended, and end with 0 only if it succeeded."""
    raise typer.Exit(0 if follow_run(api, run_id).status is RunStatus.SUCCEEDED else 1)
