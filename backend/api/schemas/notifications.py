"""Notifications: channels, what they tell of, and what became of each message."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field, SecretStr, StrictBool

from backend.api.schemas.base import ApiReply, ApiRequest


class ChannelKind(StrEnum):
    """How a message travels."""

    WEBHOOK = "webhook"
    SLACK = "slack"
    DISCORD = "discord"
    EMAIL = "email"


class NoticeEvent(StrEnum):
    """What a message is about; the last two are no channel's choice."""

    RUN_FINISHED = "run_finished"
    RUN_FAILED = "run_failed"
    ALARM = "alarm"
    PIPELINE_FINISHED = "pipeline_finished"
    QUEUE_EMPTY = "queue_empty"
    TEST = "test"
    DIGEST = "digest"


class DeliveryStatus(StrEnum):
    """Where a message is on its way to one channel."""

    WAITING = "waiting"  # for its first try, or for the next
    SENDING = "sending"
    SENT = "sent"
    MERGED = "merged"  # told by a digest
    GAVE_UP = "gave_up"


CHOOSABLE = tuple(event for event in NoticeEvent if event not in {NoticeEvent.TEST, NoticeEvent.DIGEST})
"""Events that a channel may want."""
KIND_WORDS = {
    ChannelKind.WEBHOOK: "Webhook",
    ChannelKind.SLACK: "Slack",
    ChannelKind.DISCORD: "Discord",
    ChannelKind.EMAIL: "E-mail",
}
EVENT_WORDS = {
    NoticeEvent.RUN_FINISHED: "a run finished",
    NoticeEvent.RUN_FAILED: "a run failed",
    NoticeEvent.ALARM: "an alarm fired",
    NoticeEvent.PIPELINE_FINISHED: "a pipeline finished or failed as a whole",
    NoticeEvent.QUEUE_EMPTY: "nothing runs or waits any more",
    NoticeEvent.TEST: "a test",
    NoticeEvent.DIGEST: "several at once",
}
STATUS_WORDS = {
    DeliveryStatus.WAITING: "waiting",
    DeliveryStatus.SENDING: "on its way",
    DeliveryStatus.SENT: "sent",
    DeliveryStatus.MERGED: "in a digest",
    DeliveryStatus.GAVE_UP: "gave up",
}
NAME_LENGTH, MOST_RECIPIENTS = 60, 20


class ChannelPut(ApiRequest):
    """A channel as it is to be."""

    name: str = Field(min_length=1, max_length=NAME_LENGTH)
    kind: ChannelKind
    events: list[NoticeEvent] = Field(min_length=1, max_length=len(NoticeEvent))
    """What it tells of."""
    enabled: StrictBool = True
    """Whether it tells anything; a test is sent all the same."""
    address: SecretStr | None = Field(default=None, max_length=2000)
    """Address of a webhook, of Slack or of Discord: kept, and never shown again. None keeps the one that is there."""
    recipients: list[str] = Field(default_factory=list, max_length=MOST_RECIPIENTS)
    """Who gets mail."""


class ChannelOut(ApiReply):
    """A channel."""

    id: int
    name: str
    kind: ChannelKind
    events: list[NoticeEvent]
    enabled: bool
    host: str
    """Where its address leads; of a mail channel empty."""
    ending: str
    """The last characters of its address, so that it can be told from others."""
    address_missing: bool
    """Whether its address has to be entered again: a restored backup has none."""
    recipients: list[str]
    created_at: datetime
    newest: "DeliveryOut | None"
    """Its newest message."""


class DeliveryOut(ApiReply):
    """A message to one channel."""

    id: int
    channel_id: int
    channel: str
    message_id: str
    """The same in every try: who takes a message twice knows it by this."""
    event: NoticeEvent
    title: str
    text: str
    run_id: int | None
    pipeline_id: int | None
    status: DeliveryStatus
    tries: int
    error: str
    """What the newest try ended with, where it failed."""
    created_at: datetime
    tried_at: datetime | None
    """When it was last tried."""
    next_try_at: datetime | None
    """When it is tried again."""


class DeliveryList(ApiReply):
    """Messages, newest first."""

    items: list[DeliveryOut]
    next_cursor: str | None = None


class NotificationLimits(ApiReply):
    """What the operator's settings allow."""

    webhook_hosts: list[str]
    """Hosts that webhooks may lead to."""
    slack_hosts: list[str]
    discord_hosts: list[str]
    mail: bool
    """Whether mail can be sent."""
    mail_to: list[str]
    """Domains and addresses that may get it."""
    dashboard_url: str | None
    """Where messages link to."""


class NotificationsOut(ApiReply):
    """All channels, the newest messages, and what is allowed."""

    channels: list[ChannelOut]
    deliveries: list[DeliveryOut]
    limits: NotificationLimits


class ChannelDeletion(ApiReply):
    """A channel that is gone, with its messages."""

    id: int
    name: str
