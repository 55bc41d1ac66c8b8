"""The rollouts of a run as pages read them: its steps in short, and the groups of one of them in full."""

from sqlalchemy import ColumnElement, case, func, select
from sqlmodel import Session, col

from backend.api import schemas as s
from backend.errors import LARGEST_INTEGER
from backend.services.cursors import cursor_number
from backend.services.lifecycle import start_of
from backend.services.rollouts import stored_group
from backend.store.models import Rollout, Run

MOST_GROUPS = 64  # of a step that one reply holds

_CONDITIONS: dict[str, ColumnElement[bool] | None] = {
    "all": None,
    "without_variance": col(Rollout.without_variance).is_(True),
    "truncated": col(Rollout.truncated) > 0,
    "boxed_wrong": col(Rollout.boxed_wrong) > 0,
}


def rollouts(
    session: Session,
    run: Run,
    *,
    show: s.RolloutFilter,
    step: int | None,
    cursor: str | None,
    limit: int,
    newest: bool = False,
) -> s.RolloutsOut:
    """A page of the steps that have groups of a kind, and those groups of one step.

    Args:
        session: a view of the database.
        run: whose.
        show: which groups.
        step: whose groups are wanted; None takes those of the page's first step.
        cursor: of the page.
        limit: most steps.
        newest: whether steps go from the last one back.

    Raises:
        ServiceError: `bad_cursor`.
        OverflowError: `step` is larger than the database's numbers.
    """
    if step is not None and abs(step) > LARGEST_INTEGER:
        raise OverflowError(f"step={step}")
    # of attempts before the last start from nothing nothing is part of the run's result
    mine = (col(Rollout.run_id) == run.id, col(Rollout.attempt) >= start_of(session, run.id))
    numbers = {
        name: func.count() if one is None else func.sum(case((one, 1), else_=0)) for name, one in _CONDITIONS.items()
    }
    counts = session.execute(select(*numbers.values()).where(*mine)).one()
    matches = numbers[show]
    columns = (
        col(Rollout.step), func.count(), matches, func.avg(col(Rollout.reward)), numbers["without_variance"],
        func.sum(col(Rollout.completions)), func.sum(col(Rollout.truncated)), func.sum(col(Rollout.boxed_wrong)),
    )  # fmt: skip
    of_steps = select(*columns).where(*mine).group_by(col(Rollout.step)).having(matches > 0)
    total = session.execute(select(func.count()).select_from(of_steps.subquery())).scalar_one()
    if cursor:
        place = cursor_number(cursor)
        of_steps = of_steps.where(col(Rollout.step) < place if newest else col(Rollout.step) > place)
    order = col(Rollout.step).desc() if newest else col(Rollout.step)
    rows = session.execute(of_steps.order_by(order).limit(limit + 1)).all()
    steps = [_step(*row) for row in rows[:limit]]
    shown = step if step is not None else next((one.step for one in steps), None)
    condition = _CONDITIONS[show]
    groups = (
        select(col(Rollout.record))
        .where(*mine, col(Rollout.step) == shown, *(() if condition is None else (condition,)))
        .order_by(col(Rollout.place))
        .limit(MOST_GROUPS)
    )
    records = list(session.execute(groups).scalars()) if shown is not None else []
    return s.RolloutsOut(
        steps=steps,
        next_cursor=str(steps[-1].step) if len(rows) > limit else None,
        total=total,
        counts={name: number or 0 for name, number in zip(numbers, counts, strict=True)},
        step=shown,
        groups=[group for record in records if (group := stored_group(record)) is not None],
    )


def _step(
    step: int,
    groups: int,
    matching: int,
    reward: float,
    without_variance: int,
    completions: int,
    truncated: int,
    boxed_wrong: int,
) -> s.RolloutStep:
    return s.RolloutStep(
        step=step,
        groups=groups,
        matching=matching,
        reward=reward,
        without_variance=without_variance / groups,
        truncated=truncated / completions,
        boxed_wrong=boxed_wrong / completions,
    )
