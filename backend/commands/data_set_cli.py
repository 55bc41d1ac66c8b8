"""Command line of data sets of users, through the backend: list, look at rows, register, delete."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from backend.api.client import Client
from backend.api.schemas import DataSetCheck, DataSetCreate, GivenFile
from backend.commands.sending import send
from backend.launcher.terminal import client, errors, say, show_table
from memgen.contract.data_sets.hub_rows import HubRows
from memgen.contract.data_sets.record import Split
from memgen.contract.data_sets.registered import Registration
from memgen.contract.data_sets.report import Report
from memgen.data.registered.files import given_files
from memgen.data_set_cli import Named, commands

Name = Annotated[str, typer.Argument(help="Name with its version; `data-set list` shows them.")]


class _ByBackend:
    """What the commands do: files of this machine are sent; the backend reads paths after `backend:`, and the hub."""

    def __init__(self, api: Client) -> None:
        self._api = api
        self._given: dict[Named, list[GivenFile]] = {}

    def peek(self, files: Sequence[Named]) -> Report:
        return self._api.preview_data_set(DataSetCheck(files=self._sent(files)))

    def preview(self, files: Sequence[Named], said: Registration) -> Report:
        return self._api.preview_data_set(DataSetCheck(files=self._sent(files), registration=said))

    def add(self, files: Sequence[Named], said: Registration) -> Report:
        return self._api.register_data_set(DataSetCreate(files=self._sent(files), registration=said))

    def _sent(self, files: Sequence[Named]) -> list[GivenFile]:
        for named in files:
            if named not in self._given:
                self._given[named] = list(self._send(*named))
        return [one for named in files for one in self._given[named]]

    def _send(self, text: str, split: Split | None) -> Iterator[GivenFile]:
        if text.startswith("backend:"):
            yield GivenFile(path=text.removeprefix("backend:"), split=split)
            return
        rows = HubRows.parse(text)
        if rows is not None:
            yield GivenFile(hub=rows, split=split)
            return
        for file in given_files(Path(text), split):
            yield GivenFile(upload=send(self._api, file.path, file.name), split=file.split)


@contextmanager
def _by_backend() -> Iterator[_ByBackend]:
    with errors(), client() as api:
        yield _ByBackend(api)


def install(app: typer.Typer) -> None:
    """Put these commands into the service's command line."""
    data_sets = commands(_by_backend, say)
    data_sets.command("list")(list_)
    data_sets.command()(files)
    data_sets.command()(delete)
    app.add_typer(data_sets, name="data-set")


def list_() -> None:
    """List data sets that runs can use."""
    with errors(), client() as api:
        known = api.data_sets()
        rows = [
            [one.name, one.word, one.answer, _sizes(one.sizes), "registered" if one.registered else "", one.help]
            for one in known.items
        ]
        show_table(["data set", "called", "answer", "rows", "", "about"], rows)
        for broken in known.broken:
            say(f"{broken.name} can't be used: {broken.reason}")


def files() -> None:
    """List what the backend may read: files as backend:PATH, data sets of the hub as hub:OWNER/NAME#CONFIG@REVISION."""
    with errors(), client() as api:
        known = api.data_files()
        for path in known.paths:
            say(f"backend:{path}")
        for repository in known.hub:
            say(f"hub:{repository}")


def delete(name: Name, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Delete a registered data set; runs that used it stay, but can't be scored anew or started again."""
    with errors(), client() as api:
        preview = api.delete_data_set(name)
        say(f"{name}: {preview.bytes:,} bytes; runs that have used it: {preview.runs}")
        if yes or typer.confirm("Delete this for good?"):
            api.delete_data_set(name, confirm=True)
            say("deleted")


def _sizes(sizes: dict[str, int] | None) -> str:
    return "?" if sizes is None else ", ".join(f"{size:,} {split}" for split, size in sizes.items())
