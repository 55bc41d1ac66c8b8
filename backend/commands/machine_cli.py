"""Command line of machines: which work for this service, and which are to take nothing new."""

from collections.abc import Sequence
from typing import Annotated

import typer

from backend.api.client import Client
from backend.api.schemas import WorkerOut
from backend.launcher.terminal import client, errors, say, show_table
from memgen.contract.errors import BadInput

Host = Annotated[
    str | None, typer.Argument(help="Name of the machine; `memgen-studio machines` lists them.", show_default=False)
]
Slot = Annotated[str | None, typer.Option(help="One of its slots, else all of it.")]
SiteName = Annotated[
    str | None, typer.Option(help="A site in the place of a machine; `memgen-studio sites` lists them.")
]


def install(app: typer.Typer) -> None:
    """Put these commands into the service's command line."""
    for command in (machines, drain, undrain):
        app.command()(command)


def machines() -> None:
    """List the machines that work for this service: version, slots, limits, clock, and why one takes no work."""
    with errors(), client() as api:
        listed = [one for one in api.workers().items if one.alive]
        if not listed:
            say("no worker is alive: `make up` starts one here, `python -m worker` one on another machine")
            return
        names = ["machine", "version", "torch", "transformers", "slots", "at once", "memory", "clock"]
        show_table(names, map(_row, listed))
        for line in reasons(listed):
            say(line)


def drain(host: Host = None, slot: Slot = None, site: SiteName = None) -> None:
    """Let a machine, one of its slots, or a site finish what it has and take nothing new."""
    with errors(), client() as api:
        _set(api, host, slot, site, drained=True)
        say(f"{_named(host, slot, site)} finishes what it has and takes nothing new")


def undrain(host: Host = None, slot: Slot = None, site: SiteName = None) -> None:
    """Let a machine with all of its slots, one slot, or a site take work again."""
    with errors(), client() as api:
        _set(api, host, slot, site, drained=False)
        say(f"{_named(host, slot, site)} takes work again")


def _set(api: Client, host: str | None, slot: str | None, site: str | None, *, drained: bool) -> None:
    if (host is None) == (site is None) or (site is not None and slot is not None):
        raise BadInput(
            "bad_selection",
            "name either a machine, with or without one of its slots, or a site",
            field="HOST",
            value=host,
            way_out="E.g. `memgen-studio drain lab2`, `drain lab2 --slot 0` or `drain --site cluster`.",
        )
    if site is not None:
        api.drain_site(site, drained=drained)
    elif host is not None:
        (api.drain if drained else api.undrain)(host, slot)


def _named(host: str | None, slot: str | None, site: str | None) -> str:
    if site is not None:
        return f"site {site}"
    return f"{host}" if slot is None else f"slot {slot} of {host}"


def _row(one: WorkerOut) -> list[str]:
    versions = one.versions
    at_once = one.limits.most_runs
    share = "" if one.limits.memory_share == 1 else f"{100 * one.limits.memory_share:g} %"
    return [
        one.host,
        versions.memgen if versions is not None else "earlier",
        versions.torch if versions is not None else "",
        versions.transformers if versions is not None else "",
        ", ".join(slot.name for slot in one.slots),
        "" if at_once is None else str(at_once),
        share,
        "" if not one.clock_ahead else f"{one.clock_ahead:+.0f} s",
    ]


def reasons(workers: Sequence[WorkerOut]) -> list[str]:
    """Why machines that are alive, or slots of theirs, are given no work; a line each."""
    alive = [one for one in workers if one.alive]
    refused = [one.refusal for one in alive if one.refusal is not None]
    closed = [slot.closed for one in alive for slot in one.slots if slot.closed is not None]
    return list(dict.fromkeys(str(one) for one in [*refused, *closed]))
