"""Pipelines: runs submitted together, and what becomes of them."""

from collections.abc import Callable, Mapping
from pathlib import Path

from sqlmodel import Session, col, select

from backend.errors import LARGEST_INTEGER, Conflict, NotFound
from backend.services import checkpoints, lifecycle, runs
from backend.services.checkpoints import Source
from backend.store.models import AddedCheckpoint, Checkpoint, Pipeline, PipelineStep, Run
from memgen.contract.config import InvalidConfig, RunConfig, stored_config
from memgen.contract.errors import BadInput
from memgen.contract.pipeline import SAME_QUESTIONS, SHARED, STEPS, PipelineSpec, StepName, planned_config
from memgen.contract.stages import stage_of, trains
from memgen.contract.status import RUN_ENDED, RUN_FELL, RunStatus, StopMode

Act = Callable[[Session, Pipeline], None]


def get(session: Session, pipeline_id: int) -> Pipeline:
    """The pipeline of this id.

    Raises:
        NotFound: `pipeline_not_found`.
    """
    found = session.get(Pipeline, pipeline_id) if abs(pipeline_id) <= LARGEST_INTEGER else None
    if found is None:
        raise NotFound(
            "pipeline_not_found",
            "there is no such pipeline",
            field="pipeline_id",
            value=pipeline_id,
            way_out="GET /api/v1/pipelines lists them.",
        )
    return found


def check_reuse(session: Session, spec: PipelineSpec, home: Path) -> dict[StepName, Source]:
    """What stands for steps: runs, and checkpoints from outside.

    Raises:
        InvalidConfig: one is not there, has not succeeded, or does not fit the pipeline.
    """
    problems: list[BadInput] = []
    reused: dict[StepName, Source] = {}
    for name, number in spec.reuse.items():
        source = _reusable(session, number)
        problem = "there is no such run" if source is None else _why_not_reused(session, spec, name, source, home)
        if problem or source is None:
            problems.append(_not_reusable(name, number, problem))
        else:
            reused[name] = source
    if problems:
        raise InvalidConfig(problems)
    return reused


def _reusable(session: Session, number: int) -> Source | None:
    if abs(number) > LARGEST_INTEGER:
        return None
    return session.get(Run, number) or session.get(AddedCheckpoint, number)


def reused_checkpoints(
    session: Session, spec: PipelineSpec, reused: Mapping[StepName, Source]
) -> dict[StepName, Checkpoint]:
    """Checkpoints that were there before and that new runs of the pipeline start from."""
    parents = {spec.parent_of(name) for name in spec.to_run}
    return {name: session.get_one(Checkpoint, source.id) for name, source in reused.items() if name in parents}


def check_files(parents: Mapping[StepName, Checkpoint], home: Path) -> None:
    """Read all files of `reused_checkpoints`; in no transaction.

    Raises:
        InvalidConfig: files of one are not what they were.
    """
    problems: list[BadInput] = []
    for name, checkpoint in parents.items():
        try:
            checkpoints.check_files(checkpoint, home)
        except BadInput as error:
            problems.append(_not_reusable(name, checkpoint.id, error.message))
    if problems:
        raise InvalidConfig(problems)


def _not_reusable(name: StepName, run_id: int, reason: str) -> BadInput:
    way_out = "Choose another finished run, or let the step run anew."
    return BadInput("not_reusable", reason, field=f"reuse.{name}", value=run_id, way_out=way_out)


def _why_not_reused(session: Session, spec: PipelineSpec, name: StepName, source: Source, home: Path) -> str:
    problem = (
        _why_not_this_run(session, spec, name, source)
        if isinstance(source, Run)
        else _why_not_this_checkpoint(session, spec, name, source)
    )
    return problem or _unlike_the_others(session, spec) or _why_no_start(session, spec, name, source, home)


def _why_not_this_run(session: Session, spec: PipelineSpec, name: StepName, run: Run) -> str:
    step = STEPS[name]
    if run.stage != step.stage or (step.setting is not None and run.setting != step.setting):
        return f"run {run.id} is {f'{run.stage} {run.setting}'.strip()} and can't stand for {step.label}"
    if run.status != RunStatus.SUCCEEDED:
        return f"run {run.id} is {run.status}"
    parent = _parent_of_reused(spec, name)
    if parent is not None and run.parent_id != spec.reuse.get(parent):
        return _of_another_parent(session, run, parent)
    config = stored_config(run.config)
    fields: tuple[str, ...] = ("preset",)
    wanted: Mapping[str, object] = {"preset": spec.shared.get("preset")}
    if not stage_of(config).trains:
        fields = tuple(field for field in SHARED if field != "revision") + SAME_QUESTIONS
        wanted = planned_config(spec, name).model_dump()
    for field in fields:
        if getattr(config, field) != wanted[field]:
            return f"run {run.id} has {field} {getattr(config, field)}, and the pipeline {wanted[field]}"
    return ""


def _why_not_this_checkpoint(session: Session, spec: PipelineSpec, name: StepName, added: AddedCheckpoint) -> str:
    """One from outside stands for a training that leaves such a checkpoint, and for those before it."""
    this, step = f"checkpoint {added.id}, which came from outside,", STEPS[name]
    if not trains(step.stage):
        return f"{this} has no answers that could stand for {step.label}"
    if added.preset != spec.shared.get("preset"):
        return f"{this} was made for {added.preset}, and the pipeline is for {spec.shared.get('preset')}"
    if not checkpoints.stands_for(session.get_one(Checkpoint, added.id), step.stage):
        return f"{this} does not hold what {step.label} would leave"
    parent = _parent_of_reused(spec, name)
    if parent is not None and spec.reuse.get(parent) != added.id:
        return f"{this} holds what {STEPS[parent].label} leaves, too; reuse it for {parent}, or leave that step out"
    return ""


def _parent_of_reused(spec: PipelineSpec, name: StepName) -> StepName | None:
    """The step that a reused run must have started from; None for any, or none."""
    step = STEPS[name]
    return spec.parent_of(name) or next((one for one in step.parents if not step.starts_anew), None)


def _unlike_the_others(session: Session, spec: PipelineSpec) -> str:
    """All that is reused was made with the same weights of the model, which the new runs will have."""
    sources = [source for number in spec.reuse.values() if (source := _reusable(session, number)) is not None]
    revisions = {spec.shared.get("revision"), *map(checkpoints.revision_of, sources)} - {None}
    if len(revisions) > 1:
        return f"the model's revisions differ: {', '.join(sorted(str(one) for one in revisions))}"
    weights = {name for source in sources if (name := checkpoints.weights_of(session, source))}
    return f"the model's weights differ: {', '.join(sorted(weights))}" if len(weights) > 1 else ""


def _why_no_start(session: Session, spec: PipelineSpec, name: StepName, source: Source, home: Path) -> str:
    """Whether the new runs whose parent step it stands for can start from it."""
    for child in spec.to_run:
        if spec.parent_of(child) == name:
            wanted = planned_config(spec, child).model_dump(exclude_none=True)
            problem = checkpoints.why_not(session, source, home, wanted)
            if problem is not None:
                return f"{STEPS[child].label} can't start from it: {problem.message}"
    return ""


def _of_another_parent(session: Session, run: Run, parent: StepName) -> str:
    origin = session.get(Run, run.parent_id) if run.parent_id is not None else None
    said = f"run {run.id} was made from {f'checkpoint {run.parent_id}' if run.parent_id else 'no checkpoint'}"
    if origin is not None and origin.stage == STEPS[parent].stage:
        return f"{said}; reuse that run for {parent}, too"
    return f"{said}, and in this pipeline the step starts from {STEPS[parent].label}"


def submit(
    session: Session,
    spec: PipelineSpec,
    configs: Mapping[StepName, RunConfig],
    reused: Mapping[StepName, Source],
    *,
    at: float,
    retries: int,
    fixes: Mapping[str, int] | None = None,
) -> Pipeline:
    """Store all runs of a pipeline; those that start from no checkpoint of it are queued, the others wait.

    Args:
        session: the transaction.
        spec: what was asked for.
        configs: of the steps to run, parents first.
        reused: what stands for the other steps.
        at: seconds since 1970.
        retries: how often a lost attempt is tried again.
        fixes: by step the failed run that the new one mends.
    """
    pipeline = Pipeline(
        note=spec.note,
        preset=str(spec.shared["preset"]),
        data=next(iter(configs.values())).data,
        spec=spec.model_dump(mode="json"),
        created_at=at,
    )
    session.add(pipeline)
    session.flush()
    made: dict[StepName, Source] = dict(reused)
    for name, config in configs.items():
        parent_name = spec.parent_of(name)
        parent = made[parent_name] if parent_name is not None else None
        if parent is not None:
            config = config.model_copy(update={"checkpoint": str(parent.id)})
        made[name] = runs.submit(
            session, config, spec.note, at=at, retries=retries, parent_id=parent.id if parent is not None else None,
            pipeline=pipeline.id, step=name, fixes=(fixes or {}).get(name), site=spec.site,
        )  # fmt: skip
    for name, source in made.items():
        row = PipelineStep(pipeline_id=pipeline.id, step=name, run_id=source.id, reused=name in reused)
        session.add(row)
    session.flush()
    return pipeline


def steps_of(session: Session, pipeline: Pipeline) -> list[tuple[PipelineStep, Run | None]]:
    """Steps in their order, with their runs as far as they are there."""
    rows = session.exec(select(PipelineStep).where(col(PipelineStep.pipeline_id) == pipeline.id))
    order = list(STEPS)
    return [(row, session.get(Run, row.run_id)) for row in sorted(rows, key=lambda row: order.index(row.step))]  # type: ignore[arg-type]


def continue_(session: Session, pipeline: Pipeline, *, at: float, retries: int, actor: str = "user") -> None:
    """Start what failed or was stopped again, and let what was skipped wait again; what succeeded stays.

    Raises:
        Conflict: `nothing_to_continue`.
    """
    rows = steps_of(session, pipeline)
    ending = [run for row, run in rows if run is not None and not row.reused and run.status == RunStatus.STOPPING]
    if ending:
        raise Conflict(
            "still_stopping",
            f"run {ending[0].id} is still stopping",
            field="pipeline_id",
            value=pipeline.id,
            way_out="Continue once it has ended.",
        )
    fallen = fallen_of(session, rows)
    if not fallen:
        raise Conflict(
            "nothing_to_continue",
            f"pipeline {pipeline.id} has no step that failed, was stopped or was skipped",
            field="pipeline_id",
            value=pipeline.id,
            way_out="Submit a new pipeline; finished steps can be reused.",
        )
    for run in fallen:  # parents first
        ready = run.parent_id is None or session.get(Checkpoint, run.parent_id) is not None
        started = bool(lifecycle.attempts_of(session, run.id))
        if run.status == RunStatus.SKIPPED or (not started and not ready):
            detail = "the pipeline continues"
            lifecycle.change_run(session, run, RunStatus.WAITING, actor=actor, at=at, detail=detail)
            continue
        source, _ = runs.resume_source(lifecycle.attempts_of(session, run.id))
        # resuming once more would fail once more
        in_vain = run.failure is not None and run.failure.code == "resume_mismatch"
        resume = source is not None and not in_vain
        runs.start_again(session, run, resume=resume, at=at, retries=retries, actor=actor)


def stop(session: Session, pipeline: Pipeline, mode: StopMode, *, at: float) -> None:
    """Stop every step that has not ended; reused runs are not touched.

    Raises:
        Conflict: `pipeline_ended`.
    """
    live = [
        run
        for row, run in steps_of(session, pipeline)
        if run is not None and not row.reused and run.status not in RUN_ENDED
    ]
    if not live:
        raise Conflict(
            "pipeline_ended",
            f"pipeline {pipeline.id} has ended already",
            field="pipeline_id",
            value=pipeline.id,
            way_out="Nothing is left to stop.",
        )
    for run in live:
        runs.stop(session, run, mode, at=at)


def fallen_of(session: Session, rows: list[tuple[PipelineStep, Run | None]]) -> list[Run]:
    """Runs that *continue* starts again or lets wait, parents first; not those that nothing can come to any more."""
    found: list[Run] = []
    for row, run in rows:
        if run is not None and not row.reused and run.status in RUN_FELL and _comes_to_a_parent(session, run, found):
            found.append(run)
    return found


def _comes_to_a_parent(session: Session, run: Run, again: list[Run]) -> bool:
    """Whether the run needs no checkpoint, or its parent has one or may yet have: it goes on, or is run again."""
    if run.parent_id is None:
        return True
    parent = session.get(Run, run.parent_id)
    if parent is None:
        return session.get(AddedCheckpoint, run.parent_id) is not None
    return parent.status not in RUN_FELL or parent in again
