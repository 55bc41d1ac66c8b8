"""Command line of notifications: channels, a test of each, what became of the messages."""

import sys
from typing import Annotated, Any

import typer
from pydantic import SecretStr, ValidationError

from backend.api.schemas import (
    CHOOSABLE,
    STATUS_WORDS,
    ChannelKind,
    ChannelOut,
    ChannelPut,
    NoticeEvent,
    NotificationsOut,
)
from backend.launcher.terminal import client, errors, say, show_table
from memgen.contract.errors import BadInput, first_error

notifications = typer.Typer(help="Messages about runs: by webhook, Slack, Discord or mail.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Name of the channel.")]
Events = Annotated[
    list[str] | None, typer.Option("--event", help=f"What it tells of, once for each: {', '.join(CHOOSABLE)}.")
]
Recipients = Annotated[list[str] | None, typer.Option("--to", help="Who gets mail, once for each.")]
READ_ADDRESS = "Read a new address from standard input, so that it stands in no history of a shell."


def install(app: typer.Typer) -> None:
    """Put these commands into the service's command line."""
    app.add_typer(notifications, name="notifications")


@notifications.command("list")
def list_() -> None:
    """List the channels with their newest message."""
    with errors(), client() as api:
        rows = [
            [
                one.name, one.kind, "on" if one.enabled else "off", _where(one), ", ".join(one.events),
                f"{STATUS_WORDS[one.newest.status]} {one.newest.error}".strip() if one.newest else "",
            ]
            for one in api.notifications().channels
        ]  # fmt: skip
        show_table(["name", "kind", "", "where", "events", "newest"], rows)


@notifications.command()
def add(
    name: Name,
    kind: Annotated[ChannelKind, typer.Option(help="How messages travel.")] = ChannelKind.WEBHOOK,
    event: Events = None,
    to: Recipients = None,
) -> None:
    """Add a channel; the address of a webhook is read from standard input. Without --event it tells of everything."""
    with errors(), client() as api:
        body = _wanted(
            name=name,
            kind=kind,
            events=_events(event) or list(CHOOSABLE),
            address=None if kind is ChannelKind.EMAIL else _read_address(),
            recipients=to or [],
        )
        made = api.create_channel(body)
        say(f"added {made.name}: {_where(made)}")


@notifications.command()
def change(
    name: Name,
    rename: Annotated[str | None, typer.Option(help="Another name.")] = None,
    event: Events = None,
    to: Recipients = None,
    enabled: Annotated[bool | None, typer.Option("--on/--off", help="Whether it tells anything.")] = None,
    address: Annotated[bool, typer.Option("--address", help=READ_ADDRESS)] = False,
) -> None:
    """Change what is named; the rest stays."""
    with errors(), client() as api:
        there = _channel(api.notifications(), name)
        body = _wanted(
            name=rename or there.name,
            kind=there.kind,
            events=_events(event) or there.events,
            enabled=there.enabled if enabled is None else enabled,
            address=_read_address() if address else None,
            recipients=there.recipients if to is None else to,
        )
        made = api.change_channel(there.id, body)
        say(f"{made.name} is {'on' if made.enabled else 'off'}: {_where(made)}; {', '.join(made.events)}")


@notifications.command()
def delete(name: Name) -> None:
    """Delete a channel with its address and its messages."""
    with errors(), client() as api:
        say(f"deleted {api.delete_channel(_channel(api.notifications(), name).id).name}")


@notifications.command()
def test(name: Name) -> None:
    """Send a test; `memgen-studio notifications log` says what became of it."""
    with errors(), client() as api:
        sent = api.test_channel(_channel(api.notifications(), name).id)
        say(f"message {sent.id} is on its way to {sent.channel}")


@notifications.command()
def log(
    name: Annotated[str | None, typer.Argument(help="Name of a channel; all without it.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="Most messages.")] = 20,
) -> None:
    """List messages and where they are, newest first."""
    with errors(), client() as api:
        channel = None if name is None else _channel(api.notifications(), name).id
        rows = [
            [
                str(one.id), one.created_at.strftime("%Y-%m-%d %H:%M:%S"), one.channel, one.title,
                STATUS_WORDS[one.status], str(one.tries), one.error,
            ]
            for one in api.deliveries(channel=channel, limit=limit).items
        ]  # fmt: skip
        show_table(["id", "time (UTC)", "channel", "message", "", "tries", "error"], rows)


@notifications.command()
def again(message: Annotated[int, typer.Argument(help="Id of a message that has not arrived.")]) -> None:
    """Send a message now that has not arrived."""
    with errors(), client() as api:
        say(f"message {api.send_again(message).id} is on its way again")


def _wanted(**fields: Any) -> ChannelPut:
    """A channel as it is to be.

    Raises:
        BadInput: `bad_channel`.
    """
    try:
        return ChannelPut(**fields)
    except ValidationError as error:
        raise BadInput("bad_channel", first_error(error), field="channel", way_out="Change that.") from None


def _where(channel: ChannelOut) -> str:
    if channel.kind is ChannelKind.EMAIL:
        return ", ".join(channel.recipients)
    missing = " (its address is missing: enter it again)" if channel.address_missing else ""
    return f"{channel.host}/…{channel.ending}{missing}"


def _channel(state: NotificationsOut, name: str) -> ChannelOut:
    found = next((one for one in state.channels if one.name == name), None)
    if found is None:
        raise BadInput(
            "channel_not_found", "there is no such channel", field="NAME", value=name,
            way_out="`memgen-studio notifications list` names them.",
        )  # fmt: skip
    return found


def _events(words: list[str] | None) -> list[NoticeEvent]:
    unknown = [word for word in words or [] if word not in CHOOSABLE]
    if unknown:
        raise BadInput(
            "bad_events", "a channel can't choose this", field="--event", value=", ".join(unknown),
            way_out=f"Choose among {', '.join(CHOOSABLE)}.",
        )  # fmt: skip
    return [NoticeEvent(word) for word in words or []]


def _read_address() -> SecretStr:
    """An address from a terminal, which does not show it, or from a pipe."""
    if sys.stdin.isatty():
        return SecretStr(str(typer.prompt("Address", hide_input=True)).strip())
    address = sys.stdin.readline().strip()
    if not address:
        raise BadInput(
            "no_address", "this channel needs an address", field="standard input",
            way_out="Pipe the webhook's address in, or start the command in a terminal, which asks for it.",
        )  # fmt: skip
    return SecretStr(address)
