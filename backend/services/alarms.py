"""Alarms as they are stored: those that trainers say, and that no step comes any more, which the clock here says."""

from collections.abc import Mapping, Sequence

from sqlalchemy.dialects.sqlite import insert
from sqlmodel import Session, col, select

from backend.services import lifecycle, notices
from backend.store.models import Alarm, Attempt, Metric, Run
from memgen.contract import alarms as fired
from memgen.contract.alarms import NEWEST, SECONDS, STALLED, find_rule, stall_fact, stalled_after
from memgen.contract.status import ATTEMPT_ENDED, AttemptStatus

MOST_POINTS = 100_000  # of an attempt that are looked at after its end


def raise_alarm(
    session: Session, attempt: Attempt, code: str, step: int, fact: str, *, at: float, actor: str, is_news: bool = True
) -> None:
    """Store an alarm of an attempt, say it in the run's history, and tell of it where it is news.

    One that is there already changes nothing.
    """
    values = {"run_id": attempt.run_id, "attempt": attempt.number, "code": code, "step": step, "fact": fact, "time": at}
    done = session.execute(insert(Alarm).values(**values).on_conflict_do_nothing())
    if not done.rowcount:  # type: ignore[attr-defined]
        return
    rule, run = find_rule(code), session.get_one(Run, attempt.run_id)
    detail = f"{rule.title if rule is not None else code}: {fact}"
    lifecycle.note(session, run, "alarm", None, None, actor=actor, at=at, detail=detail, attempt=attempt.number)
    if is_news:
        notices.alarm_raised(session, run, code, step, fact, at=at)


def alarms_of(session: Session, run_ids: Sequence[int]) -> Mapping[int, list[Alarm]]:
    """The alarms of runs since they last started from nothing, by run, each rule once and the first to fire first."""
    query = select(Alarm).where(col(Alarm.run_id).in_(run_ids)).order_by(col(Alarm.attempt), col(Alarm.time))
    found: dict[int, dict[str, Alarm]] = {}
    starts: dict[int, int] = {}
    for alarm in session.exec(query):
        start = starts.setdefault(alarm.run_id, lifecycle.start_of(session, alarm.run_id))
        if alarm.attempt >= start:
            found.setdefault(alarm.run_id, {}).setdefault(alarm.code, alarm)
    return {run_id: list(of_run.values()) for run_id, of_run in found.items()}


def unwatched(session: Session, limit: int) -> list[int]:
    """Ids of ended attempts of versions before, whose numbers nobody has looked at."""
    query = select(Attempt.id).where(col(Attempt.watched).is_(False), col(Attempt.status).in_(ATTEMPT_ENDED))
    return list(session.exec(query.order_by(col(Attempt.id).desc()).limit(limit)))


def look_back(session: Session, attempt_id: int) -> list[tuple[float, fired.Alarm]]:
    """The alarms that an ended attempt would have raised, each with the time of its step; of many points the first."""
    attempt = session.get_one(Attempt, attempt_id)
    watch = fired.Watch(session.get_one(Run, attempt.run_id).config)
    numbers = (
        select(Metric.name, Metric.step, Metric.value, Metric.time)
        .where(col(Metric.run_id) == attempt.run_id, col(Metric.name).in_(fired.WATCHED))
        .where(col(Metric.attempt) == attempt.number)
        .order_by(col(Metric.step))
        .limit(MOST_POINTS)
    )
    return [
        (time, alarm) for name, step, value, time in session.exec(numbers) for alarm in watch.see(name, step, value)
    ]


def store_found(session: Session, attempt_id: int, found: Sequence[tuple[float, fired.Alarm]]) -> None:
    """Store what `look_back` has found; the attempt is not looked at again."""
    attempt = session.get(Attempt, attempt_id)
    if attempt is None:  # deleted meanwhile
        return
    for time, alarm in found:
        raise_alarm(
            session, attempt, alarm.rule.code, alarm.step, alarm.fact, at=time, actor="reconciler", is_news=False
        )
    attempt.watched = True
    session.add(attempt)


def notice_stalled(session: Session, *, at: float) -> None:
    """Raise the alarm of trainings whose last step is longer ago than their steps take, many times over."""
    training = col(Attempt.status) == AttemptStatus.RUNNING, col(Attempt.phase) == "train"
    for attempt in session.exec(select(Attempt).where(*training)):
        of_steps = (
            select(Metric.value, Metric.time)
            .where(col(Metric.run_id) == attempt.run_id, Metric.name == SECONDS)
            .where(col(Metric.attempt) == attempt.number)
            .order_by(col(Metric.step).desc())
            .limit(NEWEST)
        )
        steps = list(session.exec(of_steps))
        seconds = [value for value, _ in steps]
        limit = stalled_after(seconds)
        if limit is None or (quiet := at - steps[0][1]) <= limit:
            continue
        step = int(attempt.progress_done or 0)
        raise_alarm(session, attempt, STALLED.code, step, stall_fact(quiet, seconds), at=at, actor="reconciler")
