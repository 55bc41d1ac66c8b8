"""Messages as webhooks, Slack and Discord want them. Text of users stays text: no mention, no link, no format."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from backend.api.schemas import ChannelKind
from backend.notifying.connection import Resolve, post
from backend.notifying.failure import NotTaken
from backend.services.channels import origins_for
from backend.services.outbox import Parcel
from backend.serving.notification_variables import NotificationVariables
from backend.serving.webhook_hosts import check_address, read_address
from memgen.contract.errors import BadInput

ID_HEADER = "X-MemGen-Message"
"""Carries a message's id, the same in every try."""
_DISCORD_LONGEST = 2000
_MARKDOWN = re.compile(r"([\\`*_~|>#\[\]()<:@-])")


def send(
    parcel: Parcel,
    address: str | None,
    link: str | None,
    settings: NotificationVariables,
    *,
    resolve: Resolve | None = None,
) -> None:
    """Send a message to the address of its channel.

    Args:
        parcel: the message.
        address: of the channel; None where it is not there.
        link: to what the message is about.
        settings: of the operator, as they are now.
        resolve: finds the addresses of a name.

    Raises:
        NotTaken: it was not taken, or the address may not be used any more.
    """
    if address is None:
        raise NotTaken("The channel's address is not here, as backups hold none. Enter it again.")
    try:
        where = read_address(address)
        origin = check_address(where, origins_for(parcel.kind, settings))
    except BadInput as error:
        raise NotTaken(str(error)) from None
    body = json.dumps(BODIES[ChannelKind(parcel.kind)](parcel, link), ensure_ascii=False).encode()
    headers = {ID_HEADER: parcel.message_id, "Idempotency-Key": parcel.message_id}
    post(where, origin, body, headers, patience=settings.notification_patience_seconds, resolve=resolve)


def plain_body(parcel: Parcel, link: str | None) -> Mapping[str, Any]:
    """The message as data, for programs."""
    return {
        "id": parcel.message_id,
        "event": parcel.event,
        "time": datetime.fromtimestamp(parcel.created_at, UTC).isoformat(),
        "title": parcel.title,
        "text": parcel.text,
        "link": link,
        "run_id": parcel.run_id,
        "pipeline_id": parcel.pipeline_id,
    }


def slack_body(parcel: Parcel, link: str | None) -> Mapping[str, Any]:
    """Title, text and link. Of Slack's markup only `&`, `<` and `>` begin anything that mentions or leads somewhere."""
    lines = [parcel.title, parcel.text, *([link] if link else [])]
    return {"text": _slack_text("\n".join(lines)), "mrkdwn": False, "unfurl_links": False, "unfurl_media": False}


def discord_body(parcel: Parcel, link: str | None) -> Mapping[str, Any]:
    """A title in bold, the text, the link; nobody is mentioned, whatever it says, and nothing is embedded."""
    ending = f"\n<{link}>" if link else ""
    content = f"**{_discord_text(parcel.title)}**\n{_discord_text(parcel.text)}"
    room = _DISCORD_LONGEST - len(ending)
    content = content if len(content) <= room else content[: room - 2].rstrip("\\") + " …"
    return {"content": content + ending, "allowed_mentions": {"parse": []}, "flags": 4}


BODIES: dict[ChannelKind, Callable[[Parcel, str | None], Mapping[str, Any]]] = {
    ChannelKind.WEBHOOK: plain_body,
    ChannelKind.SLACK: slack_body,
    ChannelKind.DISCORD: discord_body,
}


def _slack_text(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _discord_text(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)
