"""Notifications: channels, a test of each, and what became of the messages."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, status
from sqlmodel import Session

from backend.api import schemas as s
from backend.http.auth import require_user
from backend.http.context import Context, ContextDep
from backend.http.routes.parameters import Cursor, Key
from backend.http.routes.route import Route
from backend.services import channels, notice_words, outbox
from backend.services.idempotency import once, replayed
from backend.services.notices import tell
from backend.store.models import Delivery
from backend.views import notifications as views

router = APIRouter(
    route_class=Route, prefix="/notifications", dependencies=[Depends(require_user)], tags=["notifications"]
)


@router.get("")
def show(context: ContextDep) -> s.NotificationsOut:
    """All channels, the newest messages, and what the operator's settings allow."""
    with context.database.read() as session:
        return views.notifications(session, context.settings, context.addresses)


@router.post("/channels", status_code=status.HTTP_201_CREATED)
def create(body: s.ChannelPut, context: ContextDep, key: Key = None) -> s.ChannelOut:
    """Make a channel. Its address is kept, and never shown again."""
    route = "POST /notifications/channels"
    sent = body.model_dump(mode="json") | {"address": body.address.get_secret_value() if body.address else None}
    with context.database.read() as session:
        known = replayed(session, key, route, sent, s.ChannelOut)
    if known is not None:
        return known
    wanted = channels.checked(body, context.settings)
    with context.addresses.changing:
        address_key = _keep(context, wanted)
        with context.database.write() as session:

            def make() -> s.ChannelOut:
                channel = channels.create(session, wanted, address_key, at=context.clock())
                return views.channel_out(session, channel, context.addresses)

            reply = once(session, key, route, sent, s.ChannelOut, make, at=context.clock())
    return reply


@router.put("/channels/{channel_id}")
def change(channel_id: int, body: s.ChannelPut, context: ContextDep) -> s.ChannelOut:
    """Give a channel other settings. Without an address it keeps the one that it has."""
    wanted = channels.checked(body, context.settings)
    with context.addresses.changing:
        address_key = _keep(context, wanted)
        with context.database.write() as session:
            channel = channels.change(session, channel_id, wanted, address_key)
            reply = views.channel_out(session, channel, context.addresses)
            keys = channels.address_keys(session)
        context.addresses.forget_all_but(keys)
    return reply


@router.delete("/channels/{channel_id}")
def delete(channel_id: int, context: ContextDep) -> s.ChannelDeletion:
    """Delete a channel with its address and its messages, those on their way included."""
    with context.addresses.changing:
        with context.database.write() as session:
            channel = channels.delete(session, channel_id)
            keys = channels.address_keys(session)
        context.addresses.forget_all_but(keys)
    return s.ChannelDeletion(id=channel_id, name=channel.name)


@router.post("/channels/{channel_id}/test", status_code=status.HTTP_202_ACCEPTED)
def test(channel_id: int, context: ContextDep) -> s.DeliveryOut:
    """Send a test. It goes out beside this request; the list of messages says what becomes of it."""
    with context.database.write() as session:
        channel = channels.get(session, channel_id)
        words = notice_words.test_words(channel.name)
        (delivery,) = tell(session, [channel], s.NoticeEvent.TEST, words, at=context.clock())
        reply = _shown(session, delivery)
    context.notifier.look_now()
    return reply


@router.get("/deliveries")
def deliveries(
    context: ContextDep,
    channel: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="Only those of this channel.")] = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> s.DeliveryList:
    """Messages and where they are, newest first."""
    with context.database.read() as session:
        return views.delivery_list(session, channel_id=channel, cursor=cursor, limit=limit)


@router.post("/deliveries/{delivery_id}/again", status_code=status.HTTP_202_ACCEPTED)
def again(delivery_id: int, context: ContextDep) -> s.DeliveryOut:
    """Send a message now that has not arrived."""
    with context.database.write() as session:
        reply = _shown(session, outbox.again(session, delivery_id, at=context.clock()))
    context.notifier.look_now()
    return reply


def _keep(context: Context, wanted: channels.Checked) -> str:
    """Keep the address of a channel before its row names it; empty where none was given."""
    address = wanted.body.address
    return "" if address is None else context.addresses.keep(address.get_secret_value().strip())


def _shown(session: Session, delivery: Delivery) -> s.DeliveryOut:
    return views.delivery_out(*outbox.get(session, delivery.id))
