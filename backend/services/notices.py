"""What is told: written in the transaction of what it tells of, so that both happen or neither does.

A message lies in the outbox from then on (`services/outbox.py`), whatever becomes of the backend. Where no channel
wants to hear of something, nothing is written.
"""

import uuid
from collections.abc import Sequence

from sqlmodel import Session, col, select

from backend.api.schemas import DeliveryStatus, NoticeEvent
from backend.services import notice_words
from backend.services.apart import apart
from backend.services.notice_words import Words
from backend.services.pipeline_status import standing, status_of
from backend.store.models import Channel, Delivery, Notice, Pipeline, PipelineStep, Run
from memgen.contract.pipeline import STEPS
from memgen.contract.stages import trains
from memgen.contract.status import RUN_LIVE, PipelineStatus, RunStatus

_OF_RUN = {RunStatus.SUCCEEDED: NoticeEvent.RUN_FINISHED, RunStatus.FAILED: NoticeEvent.RUN_FAILED}


def run_ended(session: Session, run: Run, *, at: float, detail: str) -> None:
    """Tell of a run that has just ended, of its pipeline where that was its last, and of a queue that is empty now.

    Args:
        session: the transaction that ends it.
        run: with its new status.
        at: seconds since 1970.
        detail: what its history says of the end.
    """
    with apart(session, f"telling of the end of run {run.id}"):  # a run ends, whether or not it can be told
        _tell_of_end(session, run, at, detail)


def alarm_raised(session: Session, run: Run, code: str, step: int, fact: str, *, at: float) -> None:
    """Tell of an alarm that has just been stored."""
    with apart(session, f"telling of an alarm of run {run.id}"):
        if wanted := _wanting(_listening(session), NoticeEvent.ALARM):
            words = notice_words.alarm_words(run, code, step, fact)
            tell(session, wanted, NoticeEvent.ALARM, words, at=at, run_id=run.id)


def tell(
    session: Session,
    channels: Sequence[Channel],
    event: NoticeEvent,
    words: Words,
    *,
    at: float,
    run_id: int | None = None,
    pipeline_id: int | None = None,
    to_measure: bool = False,
) -> list[Delivery]:
    """Put a message into the outbox of each channel.

    Args:
        session: the transaction of what it tells of.
        channels: that are told.
        event: what it is about.
        words: what it says.
        at: seconds since 1970.
        run_id: the run that it leads to.
        pipeline_id: the pipeline that it leads to.
        to_measure: whether the run's change against its base is to be added before it is sent.
    """
    notice = Notice(
        event=event, run_id=run_id, pipeline_id=pipeline_id, title=words.title, text=words.text, to_measure=to_measure,
        created_at=at,
    )  # fmt: skip
    session.add(notice)
    session.flush()
    deliveries = [
        Delivery(
            notice_id=notice.id, channel_id=channel.id, message_id=uuid.uuid4().hex, status=DeliveryStatus.WAITING,
            not_before=at, created_at=at,
        )
        for channel in channels
    ]  # fmt: skip
    session.add_all(deliveries)
    session.flush()
    return deliveries


def _tell_of_end(session: Session, run: Run, at: float, detail: str) -> None:
    channels = _listening(session)
    if not channels:
        return
    event = _OF_RUN.get(RunStatus(run.status))
    if event is not None and (wanted := _wanting(channels, event)):
        measured = event is NoticeEvent.RUN_FINISHED and not trains(run.stage)
        words = notice_words.run_words(run, detail)
        tell(session, wanted, event, words, at=at, run_id=run.id, to_measure=measured)
    if run.pipeline_id is not None and (wanted := _wanting(channels, NoticeEvent.PIPELINE_FINISHED)):
        _tell_of_pipeline(session, wanted, run.pipeline_id, at)
    if (wanted := _wanting(channels, NoticeEvent.QUEUE_EMPTY)) and not _something_lives(session):
        tell(session, wanted, NoticeEvent.QUEUE_EMPTY, notice_words.queue_empty_words(), at=at)


def _listening(session: Session) -> list[Channel]:
    return list(session.exec(select(Channel).where(col(Channel.enabled).is_(True))))


def _wanting(channels: Sequence[Channel], event: NoticeEvent) -> list[Channel]:
    return [channel for channel in channels if event in channel.events]


def _something_lives(session: Session) -> bool:
    return session.exec(select(Run.id).where(col(Run.status).in_(RUN_LIVE)).limit(1)).first() is not None


def _tell_of_pipeline(session: Session, channels: Sequence[Channel], pipeline_id: int, at: float) -> None:
    """Tell of a pipeline whose last run has just ended; of one that was stopped nobody need be told."""
    pipeline = session.get(Pipeline, pipeline_id)
    if pipeline is None:
        return
    rows = session.exec(select(PipelineStep).where(col(PipelineStep.pipeline_id) == pipeline_id)).all()
    order = list(STEPS)
    outside = standing(session, rows)
    rows = sorted((row for row in rows if row.run_id not in outside), key=lambda row: order.index(row.step))  # type: ignore[arg-type]
    runs = {row.step: session.get(Run, row.run_id) for row in rows}
    status = status_of([run for run in runs.values() if run is not None], len(rows))
    if status in {PipelineStatus.SUCCEEDED, PipelineStatus.FAILED}:
        words = notice_words.pipeline_words(pipeline, runs, finished=status is PipelineStatus.SUCCEEDED)
        tell(session, channels, NoticeEvent.PIPELINE_FINISHED, words, at=at, pipeline_id=pipeline_id)
