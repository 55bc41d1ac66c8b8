"""Command line of sites: which there are, and how they are."""

import typer

from backend.api.schemas import SiteOut
from backend.launcher.terminal import client, errors, say, show_table


def install(app: typer.Typer) -> None:
    """Put these commands into the service's command line."""
    app.command()(sites)


def sites() -> None:
    """List the sites that runs may go to with `launch --site`, what their jobs may be given, and what gives trouble."""
    with errors(), client() as api:
        listed = api.sites()
        if not listed:
            say("There is no site: runs go to the workers of this service. docs/cluster.md says how to add one.")
            return
        rows = []
        for site in listed:
            sizes = [
                f"{size.name} ({f'{size.gpus} x ' if size.gpus else ''}{size.memory_bytes / 2**30:g} GiB)"
                for size in site.sizes
            ]
            rows.append([site.name, site.title, ", ".join(sizes), f"{site.jobs}/{site.most_jobs}", _state(site)])
        show_table(["site", "kind", "sizes", "jobs", "state"], rows)


def _state(site: SiteOut) -> str:
    drained = "drained: nothing more is handed in" if site.drained else ""
    return "; ".join(filter(None, [drained, site.trouble or ""]))
