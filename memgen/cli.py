"""The command line of the core: run a stage, list models, print a config's schema. Needs no service.

Exit codes: 0 done, 2 bad input, 3 stopped, anything else an error.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from memgen.contract.config import RunConfig, config_hash, parse_config, stage_class
from memgen.contract.data_sets.registry import data_sets, say_broken_plugins
from memgen.contract.errors import BadInput
from memgen.contract.home import home_of_environment
from memgen.contract.json_file import Unreadable, read_json
from memgen.contract.planner.memory import weights_bytes
from memgen.contract.presets import DEMO_PRESET, load_presets
from memgen.contract.process import begin_process
from memgen.contract.rundir import EXIT_BAD_INPUT, EXIT_ERROR, RunDir, write_json
from memgen.contract.stages import STAGES, stage_names
from memgen.contract.threads import threads_setting
from memgen.data_set_cli import commands
from memgen.doctor.command import Gpu, JsonFile, Minutes, check_json_file, tell

if TYPE_CHECKING:
    from memgen.contract.trying import SessionDir
    from memgen.data.registered.registering import Registering

app = typer.Typer(
    help="MemGen: run one stage from a config file, without a service.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="JSON file with the run's config; see `memgen schema`.")],
    out: Annotated[Path, typer.Option(help="Folder for everything that the run leaves; new or empty.")],
    resume: Annotated[
        Path | None, typer.Option(help="Folder of an earlier attempt to go on from; may be the same as --out.")
    ] = None,
    num_processes: Annotated[int, typer.Option(help="Processes that share the run, each on a GPU of its own.")] = 1,
) -> None:
    """Run one stage, e.g. `python -m memgen run config.json --out runs/first`."""
    from memgen.stop import die_with_parent

    die_with_parent()
    try:
        home_of_environment()  # a bad one is refused before anything is written
        parsed = parse_config(_read_json(config))
        _check_num_processes(parsed, num_processes)
        run_dir, earlier = _folders(parsed, out, resume)
    except BadInput as error:
        _refuse(error)
    if run_dir.result.exists():
        typer.echo(f"this run has finished already: {run_dir.result}")
        return
    _prepare(parsed, run_dir, earlier)
    alone = num_processes == 1
    raise typer.Exit(_run(parsed, run_dir, earlier) if alone else _launch(run_dir, earlier, num_processes))


@app.command()
def fetch(
    config: Annotated[Path, typer.Argument(help="JSON file with the run's config.")],
    out: Annotated[Path, typer.Option(help="Folder of the run, in which word is left of the weights.")],
) -> None:
    """Get the weights that a run needs, so that the run itself needs no token of the model hub."""
    from memgen.stop import die_with_parent

    die_with_parent()
    try:
        parsed = parse_config(_read_json(config))
    except BadInput as error:
        _refuse(error)
    raise typer.Exit(_fetch(parsed, RunDir(out, parsed.stage)))


@app.command("try")
def try_out(
    folder: Annotated[Path, typer.Argument(help="Folder of the session, with session.json; questions appear in it.")],
) -> None:
    """Load the columns of a session and answer its questions; started by the service, which writes the folder."""
    from memgen.contract.trying import SessionDir
    from memgen.stop import die_with_parent

    die_with_parent()
    raise typer.Exit(_hold(SessionDir(folder)))


@app.command()
def probe() -> None:
    """Ask whether the GPUs that CUDA_VISIBLE_DEVICES names work: their driver, and one small product on each.

    Prints a JSON object with the reason and ends with 1 where one does not.
    """
    from memgen.probe import trouble
    from memgen.stop import die_with_parent

    die_with_parent()
    problem = trouble()
    if problem is not None:
        typer.echo(problem.model_dump_json())
        raise typer.Exit(EXIT_ERROR)


@app.command()
def presets() -> None:
    """List the models that can be launched, with the memory of one copy of their weights."""
    try:
        for preset in load_presets().values():
            size = weights_bytes(preset) / 1e9
            typer.echo(f"{preset.name:45} {size:6.1f} GB in bfloat16   {preset.note}".rstrip())
    except BadInput as error:
        _refuse(error)


@app.command("data-sets")
def list_data_sets() -> None:
    """List the data sets that can be used, and the plug-ins that can't."""
    for one in data_sets().values():
        typer.echo(f"{one.name:24} {one.word}: {one.help}")


@app.command()
def memory(
    stage: Annotated[str, typer.Option(help=f"One of {stage_names()}.")] = STAGES[0].name,
    preset: Annotated[str, typer.Option(help="The model; see `memgen presets`.")] = DEMO_PRESET,
    setting: Annotated[str | None, typer.Option(help="What an evaluation measures, e.g. weaver+trigger.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows at a time; empty takes the stage's default.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32 or bfloat16; empty takes the device's.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cuda",
    gpus: Annotated[int, typer.Option(help="GPUs that the run may have.")] = 1,
    gpu_memory: Annotated[float | None, typer.Option(help="GiB of each GPU: does it hold the run?")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Any other config field, as key=value.")] = None,
) -> None:
    """Print what a run needs, part by part, e.g. `memgen memory --stage weaver_sft --gpu-memory 24`."""
    from memgen.planner_cli import config_of, report

    try:
        given = {"preset": preset, "setting": setting, "batch_size": batch_size, "dtype": dtype}
        for line in report(config_of(stage, given, set_ or []), device, gpus, gpu_memory):
            typer.echo(line)
    except BadInput as error:
        _refuse(error)


@app.command()
def schema(stage: Annotated[str, typer.Argument(help=f"One of {stage_names()}.")] = STAGES[0].name) -> None:
    """Print the JSON schema of a stage's config: every field with its default and help."""
    try:
        typer.echo(json.dumps(stage_class(stage).model_json_schema(), indent=2))
    except BadInput as error:
        _refuse(error)


@app.command()
def doctor(
    gpu: Gpu = False,
    minutes: Minutes = 8.0,
    json_file: JsonFile = None,
    device: Annotated[str, typer.Option(hidden=True, help="cpu measures a reduced form there.")] = "cuda",
    serves_only: Annotated[bool, typer.Option("--serves-only", hidden=True)] = False,
) -> None:
    """Look at this machine: what runs need, what is missing, and what to do.

    Exit codes: 0 all is well, 1 something does not work, 3 all is well but something, e.g. a card that is not here,
    could not be looked at.
    """
    from memgen.doctor.visit import visit

    try:
        check_json_file(json_file)
    except BadInput as error:
        _refuse(error)
    made = visit(gpu=gpu, minutes=minutes, device=device, serves_only=serves_only)
    tell(made, json_file)
    raise typer.Exit(made.exit_code)


@app.command()
def inspect(checkpoint: Annotated[Path, typer.Argument(help="Folder of a checkpoint.")]) -> None:
    """Check a checkpoint's files and print what it is, what is trained, its norms, and what it was made from."""
    from memgen.model.checkpoint_files import summary

    try:
        for line in summary(checkpoint):
            typer.echo(line)
    except BadInput as error:
        _refuse(error)


@app.command("import-checkpoint")
def import_checkpoint(
    source: Annotated[
        Path,
        typer.Argument(help="Folder of a checkpoint in the authors' layout, or the older one with `projections.pt`."),
    ],
    preset: Annotated[str, typer.Option(help="The model that it was trained on; see `memgen presets`.")],
    out: Annotated[Path, typer.Option(help="Folder for the checkpoint in our layout; must not exist.")],
) -> None:
    """Turn a checkpoint of the authors' layouts into ours, every tensor accounted for."""
    from memgen.contract.presets import get_preset

    try:
        chosen = get_preset(preset)
        from memgen.model.authors_layout import import_authors
        from memgen.monitor import Monitor

        loaded, expected = import_authors(source, chosen, out, home_of_environment(), Monitor(None))
        typer.echo(f"{loaded} of {expected} tensors loaded; the checkpoint is {out}")
    except BadInput as error:
        _refuse(error)


@app.command("export-checkpoint")
def export_checkpoint(
    source: Annotated[Path, typer.Argument(help="Folder of a checkpoint of ours.")],
    preset: Annotated[str, typer.Option(help="The model that it was trained on; see `memgen presets`.")],
    out: Annotated[Path, typer.Option(help="Folder for the checkpoint in the authors' layout; must not exist.")],
) -> None:
    """Write a checkpoint in the authors' layout."""
    from memgen.contract.presets import get_preset

    try:
        chosen = get_preset(preset)
        from memgen.model.authors_layout import export_authors
        from memgen.monitor import Monitor

        written = export_authors(source, chosen, out, home_of_environment(), Monitor(None))
        typer.echo(f"{written} tensors written; the checkpoint is {out}")
    except BadInput as error:
        _refuse(error)


def _say(text: str) -> None:
    """Print a line of a file that anybody may have written: signs that would steer a terminal become escapes."""
    shown = (one if one.isprintable() or one in "\n\t" else one.encode("unicode_escape").decode() for one in text)
    typer.echo("".join(shown))


@contextmanager
def _registering() -> "Iterator[Registering]":
    from memgen.data.registered.registering import Registering

    try:
        yield Registering(home_of_environment(), time.time)
    except BadInput as error:
        _refuse(error)


app.add_typer(commands(_registering, _say), name="data-set")


def _check_num_processes(config: RunConfig, num_processes: int) -> None:
    if num_processes < 1:
        raise BadInput(
            "too_few_processes",
            "a run needs a process",
            field="--num-processes",
            value=num_processes,
            way_out="Choose 1, or as many as there are GPUs.",
        )
    if num_processes > 1:
        from memgen.parallel.launch import check_num_processes

        threads_setting()  # refuses what the launcher could not divide
        check_num_processes(config, num_processes)


def _prepare(config: RunConfig, run_dir: RunDir, earlier: RunDir | None) -> None:
    run_dir.path.mkdir(parents=True, exist_ok=True)
    if earlier is not None and earlier.path.resolve() == run_dir.path.resolve():
        run_dir.stop.unlink(missing_ok=True)  # it was for the attempt that it stopped
    if not run_dir.config.exists():
        write_json(run_dir.config, config.model_dump(mode="json"))


def _run(config: RunConfig, run_dir: RunDir, earlier: RunDir | None) -> int:
    from memgen.attempt import tell, work
    from memgen.machine_readings import machine_readings
    from memgen.monitor import Monitor
    from memgen.parallel.team import Team
    from memgen.stop import StopRequest

    stop = StopRequest(run_dir.stop)
    stop.listen()
    with closing(Monitor(run_dir.events, machine=machine_readings)) as monitor:
        ending = work(config, run_dir, earlier, monitor, stop, Team())
        tell(ending, monitor)
    return ending.exit_code


def _fetch(config: RunConfig, run_dir: RunDir) -> int:
    from memgen.attempt import fetch, tell
    from memgen.monitor import Monitor

    run_dir.path.mkdir(parents=True, exist_ok=True)
    with closing(Monitor(run_dir.events)) as monitor:
        ending = fetch(config, run_dir, monitor)
        tell(ending, monitor)
    return ending.exit_code


def _hold(folder: "SessionDir") -> int:
    from memgen.attempt import hold, tell
    from memgen.monitor import Monitor
    from memgen.stop import StopRequest

    run_dir = folder.run_dir
    stop = StopRequest(run_dir.stop)
    stop.listen()
    with closing(Monitor(run_dir.events)) as monitor:
        ending = hold(folder, monitor, stop)
        tell(ending, monitor)
    return ending.exit_code


def _launch(run_dir: RunDir, earlier: RunDir | None, num_processes: int) -> int:
    from memgen.attempt import tell
    from memgen.monitor import Monitor
    from memgen.parallel.launch import launch

    ending = launch(run_dir, earlier, num_processes)
    with closing(Monitor(run_dir.events)) as monitor:
        tell(ending, monitor)
    return ending.exit_code


def _folders(config: RunConfig, out: Path, resume: Path | None) -> tuple[RunDir, RunDir | None]:
    run_dir = RunDir(out, config.stage)
    if resume is not None and not (resume / "config.json").exists():
        raise BadInput(
            "no_such_run",
            "there is no run to resume in this folder",
            field="--resume",
            value=resume,
            way_out="Name a folder that `memgen run` has written.",
        )
    for known in (run_dir, RunDir(resume, config.stage) if resume else run_dir):
        if known.config.exists() and config_hash(parse_config(_read_json(known.config))) != config_hash(config):
            raise BadInput(
                "resume_mismatch",
                "the folder holds a run with another config",
                field="CONFIG",
                value=known.path,
                way_out=f"Run {known.config}, or choose another --out.",
            )
    in_place = resume is not None and out.exists() and out.resolve() == resume.resolve()
    if run_dir.holds_work() and not in_place:
        raise BadInput(
            "folder_in_use",
            "this folder already holds a run, and nothing is ever overwritten",
            field="--out",
            value=out,
            way_out=f"Choose another folder, or go on with --resume {out}.",
        )
    if out.exists() and not out.is_dir():
        raise BadInput("not_a_folder", "--out is a file", field="--out", value=out, way_out="Name a folder.")
    return run_dir, RunDir(resume, config.stage) if resume is not None else None


def _read_json(path: Path) -> object:
    try:
        return read_json(path)
    except Unreadable as error:
        raise BadInput(
            "config_unreadable",
            f"the config can't be used: {error}",
            field="CONFIG",
            value=path,
            way_out="Name a JSON file; `python -m memgen schema` lists the fields.",
        ) from error


def _refuse(error: BadInput) -> NoReturn:
    problems = getattr(error, "problems", [error])
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    raise typer.Exit(EXIT_BAD_INPUT)


def main() -> None:
    """Entry point of `python -m memgen`."""
    begin_process()
    say_broken_plugins(lambda text: print(f"warning: {text}", file=sys.stderr))
    try:
        app()
    except OSError as error:
        print(f"error: {error.filename or 'a file'} can't be used: {error.strerror or error}.", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
