"""How channels and messages are spoken of. Pure functions, plain text."""

from backend.api.schemas import (
    EVENT_WORDS,
    KIND_WORDS,
    ChannelKind,
    ChannelOut,
    DeliveryOut,
    DeliveryStatus,
    NotificationLimits,
)
from dashboard.parts.components import Colour
from dashboard.parts.language import plural, t

LOOK: dict[DeliveryStatus, tuple[Colour, str]] = {
    DeliveryStatus.WAITING: ("yellow", "schedule"),
    DeliveryStatus.SENDING: ("blue", "outgoing_mail"),
    DeliveryStatus.SENT: ("green", "check_circle"),
    DeliveryStatus.MERGED: ("gray", "merge"),
    DeliveryStatus.GAVE_UP: ("red", "error"),
}
"""Colour and icon of each status of a message."""
NOT_ARRIVED = (DeliveryStatus.WAITING, DeliveryStatus.GAVE_UP)


def where(channel: ChannelOut) -> str:
    """`Slack, hooks.slack.com/…x7Qa`; of a mail channel its recipients."""
    place = ", ".join(channel.recipients)
    if channel.kind is not ChannelKind.EMAIL:
        place = f"{channel.host}/…{channel.ending}"
    return f"{t(KIND_WORDS[channel.kind])}, {place}"


def wants(channel: ChannelOut) -> str:
    """`Tells when a run failed, an alarm fired.`"""
    return t("Tells when {events}.", events=", ".join(t(EVENT_WORDS[event]) for event in channel.events))


def allowed(kind: ChannelKind, limits: NotificationLimits) -> str:
    """Where a channel of this kind may lead, in a sentence."""
    if kind is ChannelKind.EMAIL:
        if not limits.mail:
            return t("The operator has not set up mail: MEMGEN_SMTP_HOST, MEMGEN_SMTP_FROM and MEMGEN_MAIL_TO say how.")
        return t("Mail may go to: {addresses}.", addresses=", ".join(limits.mail_to))
    hosts = {
        ChannelKind.WEBHOOK: limits.webhook_hosts,
        ChannelKind.SLACK: limits.slack_hosts,
        ChannelKind.DISCORD: limits.discord_hosts,
    }[kind]
    if not hosts:
        return t("The operator has named no host yet: MEMGEN_WEBHOOK_HOSTS lists those that webhooks may lead to.")
    return t("The address may lead to: {hosts}.", hosts=", ".join(hosts))


def tries_words(delivery: DeliveryOut) -> str:
    """`Tried 3 times: it answered 503.`; empty for a message that arrived at once."""
    if not delivery.error:
        return ""
    if not delivery.tries:
        return delivery.error
    return plural("Tried {n} time: {error}", "Tried {n} times: {error}", delivery.tries, error=delivery.error)
