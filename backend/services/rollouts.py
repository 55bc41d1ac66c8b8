"""The completions that trainings from rewards keep, as supervisors report them and as they are stored."""

import logging
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from sqlalchemy.dialects.sqlite import insert
from sqlmodel import Session

from backend.store.models import Attempt, Rollout
from memgen.contract.errors import first_error
from memgen.contract.rollouts import RolloutGroup

log = logging.getLogger(__name__)
_KEY = ("run_id", "step", "place")


def store_groups(session: Session, attempt: Attempt, lines: Sequence[bytes]) -> list[str]:
    """Store groups; of one that an earlier attempt has reported, too, the last one stays.

    Returns:
        Why lines were skipped.
    """
    skipped: list[str] = []
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    for line in lines:
        try:
            group = RolloutGroup.model_validate_json(line)
            rows[group.step, group.place] = _row(attempt, group)
        except (ValueError, RecursionError) as error:
            skipped.append(first_error(error) if isinstance(error, ValidationError) else str(error))
    if rows:
        statement = insert(Rollout)
        columns = [name for name in Rollout.model_fields if name not in _KEY]
        update = {name: statement.excluded[name] for name in columns}
        session.execute(statement.on_conflict_do_update(index_elements=list(_KEY), set_=update), list(rows.values()))
    return skipped


def stored_group(record: str) -> RolloutGroup | None:
    """A group as it was stored; None, with a word in the log, where today's rules refuse it."""
    try:
        return RolloutGroup.model_validate_json(record)
    except ValidationError as error:
        log.warning("a stored rollout can't be shown: %s", first_error(error))
        return None


def _row(attempt: Attempt, group: RolloutGroup) -> dict[str, Any]:
    return {
        "run_id": attempt.run_id,
        "step": group.step,
        "place": group.place,
        "attempt": attempt.number,
        "reward": group.mean_reward,
        "without_variance": group.without_variance,
        "completions": len(group.completions),
        "truncated": sum(one.truncated for one in group.completions),
        "boxed_wrong": sum(one.boxed_but_wrong for one in group.completions),
        "record": group.model_dump_json(),
    }
