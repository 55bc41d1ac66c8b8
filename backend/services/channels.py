"""Channels of notifications: what may be one, and how they are kept."""

from dataclasses import dataclass

from sqlalchemy import delete as sql_delete
from sqlalchemy import update
from sqlmodel import Session, col, func, select

from backend.api.schemas import CHOOSABLE, ChannelKind, ChannelPut, DeliveryStatus
from backend.errors import LARGEST_INTEGER, Conflict, NotFound
from backend.serving.notification_variables import NotificationVariables, check_mail_address
from backend.serving.webhook_hosts import DISCORD, SLACK, Address, Origin, check_address, read_address
from backend.store.models import Channel, Delivery, Notice
from memgen.contract.errors import BadInput

MOST = 50
ENDING, LONG = 4, 16
"""Characters of an address that are shown, and how many come after its host where some are shown at all."""
_OF_SERVICES: dict[str, tuple[Origin, ...]] = {ChannelKind.SLACK: SLACK, ChannelKind.DISCORD: DISCORD}


@dataclass(frozen=True)
class Checked:
    """A channel that can be kept."""

    body: ChannelPut
    address: Address | None
    """Of a webhook; None for mail, and where the one that is there stays."""


def origins_for(kind: str, settings: NotificationVariables) -> tuple[Origin, ...]:
    """Where a channel of this kind may lead: to its own service, and to what the operator has named."""
    return (*_OF_SERVICES.get(kind, ()), *settings.origins)


def checked(body: ChannelPut, settings: NotificationVariables) -> Checked:
    """A channel that the operator's settings allow.

    Raises:
        BadInput: `bad_name`, `bad_events`, `bad_address`, `webhook_host`, `webhook_not_https`, `no_mail`,
            `bad_recipients`.
    """
    if not body.name.strip() or not body.name.isprintable():
        raise BadInput(
            "bad_name", "a channel has a name on one line", field="name", value=body.name,
            way_out="Choose another name.",
        )  # fmt: skip
    if not set(body.events) <= set(CHOOSABLE):
        raise BadInput(
            "bad_events", "a channel can't choose this", field="events", value=", ".join(body.events),
            way_out=f"Choose among {', '.join(CHOOSABLE)}.",
        )  # fmt: skip
    if body.kind is ChannelKind.EMAIL:
        _check_mail(body, settings)
        return Checked(body, None)
    if body.recipients:
        raise BadInput(
            "bad_recipients", "only mail has recipients", field="recipients", value=", ".join(body.recipients),
            way_out="Leave them out.",
        )  # fmt: skip
    if body.address is None:
        return Checked(body, None)
    try:
        address = read_address(body.address.get_secret_value().strip())
    except ValueError as error:
        raise BadInput(
            "bad_address", str(error), field="address", way_out="Copy the address whole from where it was made."
        ) from None
    check_address(address, origins_for(body.kind, settings))
    return Checked(body, address)


def create(session: Session, wanted: Checked, address_key: str, *, at: float) -> Channel:
    """Keep a new channel, whose address is kept under a key.

    Raises:
        BadInput: `no_address`.
        Conflict: `name_taken`, `too_many_channels`.
    """
    body = wanted.body
    if body.kind is not ChannelKind.EMAIL and wanted.address is None:
        raise BadInput(
            "no_address", "this channel needs an address", field="address", way_out="Paste the webhook's address."
        )
    if session.exec(select(func.count()).select_from(Channel)).one() >= MOST:
        raise Conflict(
            "too_many_channels", f"there are {MOST} channels already", field="name", value=body.name,
            way_out="Delete one that nobody needs.",
        )  # fmt: skip
    channel = Channel(name=body.name, kind=body.kind, events=[], recipients=[], enabled=True, created_at=at)
    _fill(session, channel, wanted, address_key)
    return channel


def change(session: Session, channel_id: int, wanted: Checked, address_key: str) -> Channel:
    """Give a channel other settings; without an address it keeps the one that it has.

    Raises:
        NotFound: `channel_not_found`.
        Conflict: `name_taken`, `other_kind`.
    """
    channel = get(session, channel_id)
    if channel.kind != wanted.body.kind:
        raise Conflict(
            "other_kind", f"this channel is {channel.kind} and stays it", field="kind", value=wanted.body.kind,
            way_out="Make another channel, and delete this one.",
        )  # fmt: skip
    _fill(session, channel, wanted, address_key)
    if not channel.enabled:
        waiting = col(Delivery.channel_id) == channel.id, col(Delivery.status) == DeliveryStatus.WAITING
        gone = {"status": DeliveryStatus.GAVE_UP, "error": "The channel was turned off."}
        session.execute(update(Delivery).where(*waiting).values(**gone))
    return channel


def get(session: Session, channel_id: int) -> Channel:
    """The channel of this id.

    Raises:
        NotFound: `channel_not_found`.
    """
    channel = session.get(Channel, channel_id) if abs(channel_id) <= LARGEST_INTEGER else None
    if channel is None:
        raise NotFound(
            "channel_not_found", "there is no such channel", field="channel_id", value=channel_id,
            way_out="GET /api/v1/notifications lists them.",
        )  # fmt: skip
    return channel


def all_channels(session: Session) -> list[Channel]:
    """All channels, by their names."""
    return list(session.exec(select(Channel).order_by(func.lower(Channel.name), col(Channel.id))))


def delete(session: Session, channel_id: int) -> Channel:
    """Take a channel out, with its messages.

    Raises:
        NotFound: `channel_not_found`.
    """
    channel = get(session, channel_id)
    session.execute(sql_delete(Delivery).where(col(Delivery.channel_id) == channel.id))
    forget_untold(session)
    session.delete(channel)
    session.flush()
    return channel


def forget_untold(session: Session) -> None:
    """Remove notices that are on their way to nobody any more."""
    told = select(Delivery.notice_id)
    session.execute(sql_delete(Notice).where(col(Notice.id).not_in(told)))


def address_keys(session: Session) -> set[str]:
    """The keys of all addresses that channels name."""
    return set(session.exec(select(Channel.address_key)))


def _fill(session: Session, channel: Channel, wanted: Checked, address_key: str) -> None:
    body, address = wanted.body, wanted.address
    namesake = session.exec(select(Channel.id).where(Channel.name == body.name)).first()
    if namesake is not None and namesake != channel.id:
        raise Conflict(
            "name_taken", "another channel has this name", field="name", value=body.name,
            way_out="Choose another name.",
        )  # fmt: skip
    channel.name, channel.enabled = body.name, body.enabled
    channel.events = list(dict.fromkeys(body.events))
    channel.recipients = list(dict.fromkeys(body.recipients))
    if address is not None:
        channel.host, channel.address_key = address.shown, address_key
        channel.ending = address.target[-ENDING:] if len(address.target) >= LONG else ""
    session.add(channel)
    session.flush()


def _check_mail(body: ChannelPut, settings: NotificationVariables) -> None:
    if not settings.sends_mail:
        raise BadInput(
            "no_mail", "the operator has not said how mail is sent and who may get it", field="kind", value=body.kind,
            way_out="Set MEMGEN_SMTP_HOST, MEMGEN_SMTP_FROM and MEMGEN_MAIL_TO, and start the backend again.",
        )  # fmt: skip
    if body.address is not None:
        raise BadInput(
            "bad_address", "mail goes to recipients and to no address of a webhook", field="address",
            way_out="Leave it out.",
        )  # fmt: skip
    refused = [one for one in body.recipients if not _may_get_mail(one, settings)]
    if refused or not body.recipients:
        raise BadInput(
            "bad_recipients",
            "mail goes only to addresses that the operator allows" if refused else "mail needs a recipient",
            field="recipients",
            value=", ".join(refused),
            way_out=f"Allowed (MEMGEN_MAIL_TO): {settings.mail_to}.",
        )


def _may_get_mail(address: str, settings: NotificationVariables) -> bool:
    try:
        return settings.may_get_mail(check_mail_address(address))
    except ValueError:
        return False
