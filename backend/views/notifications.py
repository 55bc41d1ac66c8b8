"""Channels and messages as the API shows them: of an address only its host and its last characters."""

from sqlmodel import Session

from backend.api import schemas as s
from backend.services import channels, outbox
from backend.services.channel_addresses import ChannelAddresses
from backend.services.cursors import cursor_number
from backend.serving.notification_variables import NotificationVariables
from backend.store.models import Channel, Delivery, Notice
from backend.views.times import when

SHOWN = 50  # of the newest messages


def notifications(session: Session, settings: NotificationVariables, addresses: ChannelAddresses) -> s.NotificationsOut:
    """All channels, the newest messages, and what is allowed."""
    return s.NotificationsOut(
        channels=[channel_out(session, channel, addresses) for channel in channels.all_channels(session)],
        deliveries=[delivery_out(*row) for row in outbox.newest(session, limit=SHOWN)],
        limits=limits(settings),
    )


def channel_out(session: Session, channel: Channel, addresses: ChannelAddresses) -> s.ChannelOut:
    """A channel with its newest message."""
    newest = outbox.newest(session, channel_id=channel.id, limit=1)
    is_webhook = channel.kind != s.ChannelKind.EMAIL
    return s.ChannelOut(
        id=channel.id,
        name=channel.name,
        kind=s.ChannelKind(channel.kind),
        events=[s.NoticeEvent(event) for event in channel.events],
        enabled=channel.enabled,
        host=channel.host,
        ending=channel.ending,
        address_missing=is_webhook and not addresses.has(channel.address_key),
        recipients=list(channel.recipients),
        created_at=when(channel.created_at),
        newest=delivery_out(*newest[0]) if newest else None,
    )


def delivery_list(session: Session, *, channel_id: int | None, cursor: str | None, limit: int) -> s.DeliveryList:
    """A page of messages, newest first."""
    before = cursor_number(cursor) if cursor else None
    rows = outbox.newest(session, channel_id=channel_id, before=before, limit=limit + 1)
    items = [delivery_out(*row) for row in rows[:limit]]
    return s.DeliveryList(items=items, next_cursor=str(items[-1].id) if len(rows) > limit else None)


def delivery_out(delivery: Delivery, notice: Notice, channel: Channel) -> s.DeliveryOut:
    """A message with where it is."""
    waits = delivery.status == s.DeliveryStatus.WAITING
    return s.DeliveryOut(
        id=delivery.id,
        channel_id=channel.id,
        channel=channel.name,
        message_id=delivery.message_id,
        event=s.NoticeEvent(notice.event),
        title=notice.title,
        text=notice.text,
        run_id=notice.run_id,
        pipeline_id=notice.pipeline_id,
        status=s.DeliveryStatus(delivery.status),
        tries=delivery.tries,
        error=delivery.error,
        created_at=when(delivery.created_at),
        tried_at=when(delivery.tried_at),
        next_try_at=when(delivery.not_before) if waits else None,
    )


def limits(settings: NotificationVariables) -> s.NotificationLimits:
    """What the operator's settings allow."""

    def hosts(kind: s.ChannelKind) -> list[str]:
        return [origin.shown for origin in channels.origins_for(kind, settings)]

    return s.NotificationLimits(
        webhook_hosts=hosts(s.ChannelKind.WEBHOOK),
        slack_hosts=hosts(s.ChannelKind.SLACK),
        discord_hosts=hosts(s.ChannelKind.DISCORD),
        mail=settings.sends_mail,
        mail_to=settings.mail_entries,
        dashboard_url=settings.dashboard_url,
    )
