"""One metric of several runs on one chart: each as its page shows it, thinned at the same steps."""

from collections.abc import Sequence

from sqlmodel import Session, col, select

from backend.api import schemas as s
from backend.errors import LARGEST_INTEGER
from backend.services.origin import origins_of
from backend.services.settings_apart import apart, config_of
from backend.services.tags import group_of, tags_of_runs
from backend.store.models import Run
from backend.views import series
from backend.views.times import when
from memgen.contract.errors import BadInput
from memgen.contract.status import RunStatus

MOST_RUNS = 24
EPOCHS = "train/epoch"


def curves(
    session: Session,
    run_ids: Sequence[int],
    *,
    name: str | None,
    since: int | None,
    until: int | None,
    max_points: int,
    with_epochs: bool,
) -> s.CurvesOut:
    """A metric of several runs.

    Args:
        session: a transaction.
        run_ids: runs, 1 to `MOST_RUNS`.
        name: of the metric; None takes the one that says most about the first run that has any.
        since: only steps after this one.
        until: only steps up to this one.
        max_points: most points of a curve, apart from its last.
        with_epochs: whether the passes over the rows at those steps are wanted, too.

    Raises:
        BadInput: `bad_selection`.
        OverflowError: a step is larger than the database's numbers.
    """
    series.check_steps(since, until)
    wanted = list(dict.fromkeys(run_ids))
    if not 1 <= len(wanted) <= MOST_RUNS:
        raise BadInput(
            "bad_selection",
            f"{len(wanted)} runs were named",
            field="runs",
            value=",".join(map(str, wanted))[:200],
            way_out=f"Name 1 to {MOST_RUNS} runs, e.g. runs=3,5,6.",
        )
    stored = {run.id: run for run in session.exec(select(Run).where(col(Run.id).in_(_storable(wanted))))}
    runs = [stored[one] for one in wanted if one in stored]
    names = {run.id: list(series.names(session, run.id)) for run in runs}
    shown = name or next((told for run in runs if (told := series.telling(run, names[run.id])) is not None), None)
    grid = _grid(session, [run.id for run in runs], shown, since, until) if shown else None

    def points(run: Run, metric: str | None) -> s.MetricSeries | None:
        if metric is None or metric not in names[run.id]:
            return None
        found = series.metrics(
            session, run.id, name=metric, since=since, until=until, max_points=max_points, grid=grid
        )  # fmt: skip
        return found[0] if found else None

    tags = tags_of_runs(session, list(stored))
    origins, settings = origins_of(session, runs), apart([config_of(run) for run in runs])
    return s.CurvesOut(
        name=shown,
        names=sorted({one for of_run in names.values() for one in of_run}),
        runs=[
            s.CurveRun(
                **vars(origins[run.id]),
                id=run.id,
                stage=run.stage,
                setting=run.setting,
                preset=run.preset,
                data=run.data,
                note=run.note,
                group=group_of(tags.get(run.id, [])),
                status=RunStatus(run.status),
                started_at=when(run.started_at),
                settings=differing,
                series=points(run, shown),
                epochs=points(run, EPOCHS) if with_epochs else None,
            )
            for run, differing in zip(runs, settings, strict=True)
        ],
        missing=[one for one in wanted if one not in stored],
    )


def _storable(numbers: Sequence[int]) -> list[int]:
    return [one for one in numbers if abs(one) <= LARGEST_INTEGER]


def _grid(
    session: Session, run_ids: Sequence[int], name: str, since: int | None, until: int | None
) -> tuple[int, int] | None:
    """First and last step of all runs together: points at even distances between them are at the same steps in all."""
    ends = [end for one in run_ids if (end := series.bounds(session, one, name, since, until)) is not None]
    return (min(first for first, _ in ends), max(last for _, last in ends)) if ends else None
