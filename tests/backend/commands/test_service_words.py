"""What the command line prints of a service, whatever words users have put into it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backend.commands.cli import app
from tests.backend.conftest import Backend
from tests.ports import free_port
from tests.serving import serving

FOREIGN = "see [/data/x] [red]now[/red] :boom:"


@pytest.mark.parametrize("words", [["runs"], ["queue"], ["pipeline", "list"], ["pipeline", "show", "1"]])
def test_listing_survives_foreign_notes(
    words: list[str], start: Callable[..., Backend], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = start()
    backend.submit(note=FOREIGN)
    backend.submit_pipeline(note=FOREIGN)
    port = free_port()
    monkeypatch.setenv("MEMGEN_PORT", str(port))
    with serving(backend.http.app, port):
        done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert FOREIGN in done.output or words[0] == "queue" or words[1] == "show"
