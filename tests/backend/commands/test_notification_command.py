"""Channels from the command line: added with an address that is piped in, changed, tested, deleted."""

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from backend.commands.cli import app
from backend.settings import Settings
from tests.backend.conftest import Backend
from tests.ports import free_port
from tests.running_stack import wait_until
from tests.serving import serving

NOBODY = "http://127.0.0.1:9"  # where no receiver listens
SLACK = f"{NOBODY}/services/T0000/B0000/of-nobody-else"


@pytest.fixture
def run(start: Callable[..., Backend], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs words of the command line against a backend that listens."""
    backend = start(webhook_hosts=NOBODY)
    with serving(backend.http.app, free_port()) as url:
        monkeypatch.setenv("MEMGEN_BACKEND_URL", url)
        monkeypatch.setenv("MEMGEN_TOKEN", Settings(home=backend.home).user_token())
        yield lambda *words, typed=None: CliRunner().invoke(app, ["notifications", *words], input=typed)


def test_channel_is_added_changed_tested_and_deleted(run: Callable[..., Result]) -> None:
    added = run("add", "team", "--kind", "slack", "--event", "run_failed", typed=SLACK + "\n")
    assert (added.exit_code, added.stdout.strip()) == (0, "added team: 127.0.0.1:9/…else"), added.output
    changed = run("change", "team", "--rename", "lab", "--event", "alarm", "--event", "queue_empty", "--off")
    assert changed.stdout.strip() == "lab is off: 127.0.0.1:9/…else; alarm, queue_empty"
    assert run("test", "lab").stdout.strip() == "message 1 is on its way to lab"
    wait_until(lambda: "nothing listens there" in run("log", "lab").stdout.replace("\n", " "), 20, "the test")
    assert run("again", "1").stdout.strip() == "message 1 is on its way again"
    listed = run("list").stdout
    assert "alarm, queue_empty" in listed
    assert "of-nobody" not in listed
    assert run("delete", "lab").stdout.strip() == "deleted lab"
    assert "lab" not in run("list").stdout


@pytest.mark.parametrize(
    ("words", "typed", "reason"),
    [
        (["add", "team", "--event", "test"], SLACK, "a channel can't choose this"),
        (["add", "team"], "https://evil.example/of-nobody-else", "this host is not one that messages may go to"),
        (["add", "x" * 61, "--kind", "slack"], SLACK, "name"),
        (["add", "team", "--kind", "slack"], "", "needs an address"),
        (["add", "team", "--kind", "email", "--to", "a@b.example"], None, "MEMGEN_SMTP_HOST"),
        (["test", "nobody"], None, "`memgen-studio notifications list` names them"),
    ],
)
def test_what_can_not_be_is_refused_with_the_way_out(
    run: Callable[..., Result], words: list[str], typed: str | None, reason: str
) -> None:
    refused = run(*words, typed=typed)
    assert refused.exit_code == 2, refused.output
    assert reason.lower() in refused.stderr.lower()
    assert "of-nobody" not in refused.output
