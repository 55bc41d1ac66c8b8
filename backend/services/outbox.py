"""The outbox: messages on their way, each a row; what is tried next, what a burst becomes, and when it is given up.

A message is marked as being sent before it is, so it is never merged into another afterwards. Where the backend dies
between a receiver's yes and the row that says so, the message goes out once more with the same id: at least once, and
once wherever the receiver looks at the id.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, update
from sqlalchemy import delete as sql_delete
from sqlmodel import Session, col, func, select

from backend.api.schemas import EVENT_WORDS, DeliveryStatus, NoticeEvent
from backend.errors import LARGEST_INTEGER, Conflict, NotFound
from backend.services import notice_words
from backend.services.channels import forget_untold
from backend.services.gains import Gains
from backend.services.notices import tell
from backend.store.models import Channel, Delivery, Notice, Run
from memgen.contract.status import RunStatus

MOST_TRIES = 8
PAUSE_FACTOR, LONGEST_PAUSE = 3.0, 3600.0
"""By how much each pause is longer than the one before, and the longest, in seconds."""
BURST = 5
"""More new messages than these for one channel become a single one."""
WINDOW, MOST_IN_WINDOW, DIGEST_PAUSE = 600.0, 10, 60.0
"""In so many seconds a channel gets so many messages one by one; then a digest after each pause at most."""
STUCK_SECONDS = 600.0  # longer than what became of a message takes to be stored
KEPT_SECONDS, MOST_KEPT = 30 * 86_400.0, 2000
"""How long, and how many of, the messages that have ended are remembered."""
_ENDED = (DeliveryStatus.SENT, DeliveryStatus.MERGED, DeliveryStatus.GAVE_UP)


@dataclass(frozen=True)
class Parcel:
    """A message that is to be sent now, with all that its sender needs; no row of the database is held meanwhile."""

    delivery_id: int
    message_id: str
    event: str
    title: str
    text: str
    run_id: int | None
    pipeline_id: int | None
    created_at: float
    channel_id: int
    kind: str
    address_key: str
    recipients: tuple[str, ...]


def begin_anew(session: Session) -> None:
    """At the start: what was being sent when the backend ended may not have arrived, so it is sent again."""
    being_sent = col(Delivery.status) == DeliveryStatus.SENDING
    session.execute(update(Delivery).where(being_sent).values(status=DeliveryStatus.WAITING))


def is_due(session: Session, *, at: float) -> bool:
    """Whether something is to be sent now."""
    query = select(Delivery.id).where(*_waiting(at)).limit(1)
    return session.exec(query).first() is not None


def unmeasured(session: Session) -> list[int]:
    """Ids of notices that wait for the change of their run."""
    return list(session.exec(select(Notice.id).where(col(Notice.to_measure).is_(True))))


def measure(session: Session, notice_id: int, gains: Gains) -> str:
    """The change of a notice's run against its base in a line; empty where there is none."""
    notice = session.get(Notice, notice_id)
    run = session.get(Run, notice.run_id) if notice is not None and notice.run_id is not None else None
    if run is None or run.status != RunStatus.SUCCEEDED:
        return ""
    found = gains.of(session, [run]).get(run.id)
    return "" if found is None else notice_words.change_line(*found)


def add_change(session: Session, notice_id: int, line: str) -> None:
    """Complete a notice with what `measure` has found."""
    notice = session.get(Notice, notice_id)
    if notice is not None:
        notice.text = "\n".join([notice.text, line]) if line else notice.text
        notice.to_measure = False
        session.add(notice)


def take(session: Session, *, at: float, busy: Collection[int], most: int) -> list[Parcel]:
    """Mark the messages that are sent now, one of each channel; a burst becomes one message.

    Args:
        session: a transaction.
        at: seconds since 1970.
        busy: ids of channels that a message is on its way to.
        most: how many may be sent.
    """
    parcels: list[Parcel] = []
    channels = session.exec(select(Delivery.channel_id).where(*_waiting(at)).distinct()).all()
    for channel_id in channels:
        if channel_id in busy or len(parcels) >= most:
            continue
        delivery = _next_of(session, session.get_one(Channel, channel_id), at)
        if delivery is not None:
            delivery.status, delivery.tried_at = DeliveryStatus.SENDING, at
            delivery.tries += 1
            session.add(delivery)
            parcels.append(_parcel(session, delivery))
    return parcels


def was_sent(session: Session, delivery_id: int, *, remark: str = "") -> None:
    """A receiver has taken a message; the remark says what of it it has not."""
    delivery = session.get(Delivery, delivery_id)
    if delivery is not None:  # else its channel was deleted meanwhile
        delivery.status, delivery.error = DeliveryStatus.SENT, remark
        session.add(delivery)


def was_refused(
    session: Session, delivery_id: int, error: str, *, at: float, first_pause: float, retry_after: float | None
) -> None:
    """A try has failed: the next comes after a pause that grows, until the message is given up.

    Args:
        session: a transaction.
        delivery_id: of the message.
        error: what the try ended with.
        at: seconds since 1970.
        first_pause: seconds before the second try.
        retry_after: seconds that the receiver has asked for.
    """
    delivery = session.get(Delivery, delivery_id)
    if delivery is None:
        return
    delivery.error = error[:500]
    if delivery.tries >= MOST_TRIES:
        delivery.status = DeliveryStatus.GAVE_UP
    else:
        pause = max(first_pause * PAUSE_FACTOR ** (delivery.tries - 1), retry_after or 0.0)
        delivery.status, delivery.not_before = DeliveryStatus.WAITING, at + min(pause, LONGEST_PAUSE)
    session.add(delivery)


def again(session: Session, delivery_id: int, *, at: float) -> Delivery:
    """Send a message now that has not arrived, and try it as often as a new one.

    Raises:
        NotFound: `delivery_not_found`.
        Conflict: `already_sent`.
    """
    delivery = session.get(Delivery, delivery_id) if abs(delivery_id) <= LARGEST_INTEGER else None
    if delivery is None:
        raise NotFound(
            "delivery_not_found", "there is no such message", field="delivery_id", value=delivery_id,
            way_out="GET /api/v1/notifications/deliveries lists them.",
        )  # fmt: skip
    if delivery.status not in {DeliveryStatus.WAITING, DeliveryStatus.GAVE_UP}:
        raise Conflict(
            "already_sent", f"this message is {delivery.status}", field="delivery_id", value=delivery_id,
            way_out="Only a message that has not arrived is sent again.",
        )  # fmt: skip
    # one that was tried stays so: it may have arrived, and is merged into no other
    delivery.status, delivery.tries, delivery.not_before = DeliveryStatus.WAITING, min(delivery.tries, 1), at
    session.add(delivery)
    session.flush()
    return delivery


Row = tuple[Delivery, Notice, Channel]
"""A message, what it says, and where it goes."""


def get(session: Session, delivery_id: int) -> Row:
    """A message that is there."""
    delivery = session.get_one(Delivery, delivery_id)
    return delivery, session.get_one(Notice, delivery.notice_id), session.get_one(Channel, delivery.channel_id)


def newest(session: Session, *, channel_id: int | None = None, before: int | None = None, limit: int) -> list[Row]:
    """Messages, newest first."""
    query = (
        select(Delivery, Notice, Channel)
        .join(Notice, col(Notice.id) == col(Delivery.notice_id))
        .join(Channel, col(Channel.id) == col(Delivery.channel_id))
    )
    if channel_id is not None:
        query = query.where(col(Delivery.channel_id) == channel_id)
    if before is not None:
        query = query.where(col(Delivery.id) < before)
    return list(session.exec(query.order_by(col(Delivery.id).desc()).limit(limit)))


def limit_times(session: Session, *, at: float, patience: float) -> None:
    """Cut pauses that lie further ahead than we ever set them, as the clock may have been put back; and send anew what
    has been on its way for longer than its receiver was given, as its end could not be stored."""
    too_late = col(Delivery.status) == DeliveryStatus.WAITING, col(Delivery.not_before) > at + LONGEST_PAUSE
    session.execute(update(Delivery).where(*too_late).values(not_before=at))
    stuck = col(Delivery.status) == DeliveryStatus.SENDING, col(Delivery.tried_at) < at - patience - STUCK_SECONDS
    session.execute(update(Delivery).where(*stuck).values(status=DeliveryStatus.WAITING))


def forget_old(session: Session, *, at: float) -> None:
    """Remove messages that ended long ago, and all but the newest."""
    ended = col(Delivery.status).in_(_ENDED)
    kept = select(Delivery.id).where(ended).order_by(col(Delivery.id).desc()).limit(MOST_KEPT)
    beyond = session.exec(select(func.min(Delivery.id)).where(col(Delivery.id).in_(kept))).one() or 0
    old = (col(Delivery.created_at) < at - KEPT_SECONDS) | (col(Delivery.id) < beyond)
    session.execute(sql_delete(Delivery).where(ended, old))
    forget_untold(session)


def _waiting(at: float) -> tuple[ColumnElement[bool], ...]:
    return col(Delivery.status) == DeliveryStatus.WAITING, col(Delivery.not_before) <= at


def _next_of(session: Session, channel: Channel, at: float) -> Delivery | None:
    """The message that a channel gets now; None where it has had enough for a while."""
    query = select(Delivery).where(*_waiting(at), col(Delivery.channel_id) == channel.id)
    due = list(session.exec(query.order_by(col(Delivery.id))))
    tried = [delivery for delivery in due if delivery.tries]
    if tried:
        return tried[0]
    tests = select(Notice.id).where(Notice.event == NoticeEvent.TEST)
    test = session.exec(query.where(col(Delivery.notice_id).in_(tests)).order_by(col(Delivery.id))).first()
    if test is not None:  # somebody waits for it
        return test
    begun = select(Delivery.tried_at).where(
        col(Delivery.channel_id) == channel.id, col(Delivery.tried_at) > at - WINDOW, col(Delivery.tried_at) <= at
    )
    times = [time for time in session.exec(begun) if time is not None]
    has_had_enough = len(times) >= MOST_IN_WINDOW
    if has_had_enough and at - max(times) < DIGEST_PAUSE:
        _hold(session, due, until=max(times) + DIGEST_PAUSE)
        return None
    if len(due) > BURST or (has_had_enough and len(due) > 1):
        return _merge(session, channel, due, at)
    return due[0]


def _hold(session: Session, due: Sequence[Delivery], *, until: float) -> None:
    for delivery in due:
        delivery.not_before = until
        session.add(delivery)


def _merge(session: Session, channel: Channel, due: Sequence[Delivery], at: float) -> Delivery:
    """One message in the place of many that nobody has got yet."""
    notices = [session.get_one(Notice, delivery.notice_id) for delivery in due]
    counts = Counter(EVENT_WORDS[NoticeEvent(notice.event)] for notice in notices)
    words = notice_words.digest_words([notice.title for notice in notices], counts)
    (digest,) = tell(session, [channel], NoticeEvent.DIGEST, words, at=at)
    for delivery in due:
        delivery.status, delivery.error = DeliveryStatus.MERGED, f"told by message {digest.id}"
        session.add(delivery)
    return digest


def _parcel(session: Session, delivery: Delivery) -> Parcel:
    _, notice, channel = get(session, delivery.id)
    return Parcel(
        delivery_id=delivery.id,
        message_id=delivery.message_id,
        event=notice.event,
        title=notice.title,
        text=notice.text,
        run_id=notice.run_id,
        pipeline_id=notice.pipeline_id,
        created_at=notice.created_at,
        channel_id=channel.id,
        kind=channel.kind,
        address_key=channel.address_key,
        recipients=tuple(channel.recipients),
    )
