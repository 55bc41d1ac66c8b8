"""`compare` and `baseline` of the command line, against the real application."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backend.api.client import Client
from backend.commands import pipeline_cli
from backend.commands.cli import app
from tests.backend.conftest import Backend
from tests.backend.views.test_exports import evaluation
from tests.dashboard.studio import Wire


@pytest.fixture
def pair(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Two evaluations that the command line reaches."""
    monkeypatch.setattr(
        pipeline_cli, "client",
        lambda: Client("http://127.0.0.1", backend.context.user_token, transport=Wire(backend.http)),
    )  # fmt: skip
    return evaluation(backend, "a", "b"), evaluation(backend, "c", "d")


def run(*words: object) -> tuple[int, str]:
    """Exit code and all output."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, done.output


def test_comparison_is_saved_in_the_form_that_the_name_ends_in(pair: tuple[int, int], tmp_path: Path) -> None:
    for name in ("table.csv", "table.jsonl"):
        code, output = run("compare", *pair, "--save", tmp_path / name)
        assert (code, f"written to {tmp_path / name}" in output.replace("\n", "")) == (0, True), output
    rows = [json.loads(line) for line in (tmp_path / "table.jsonl").read_text().splitlines()]
    assert [row["run_id"] for row in rows] == list(pair)
    assert (tmp_path / "table.csv").read_text().splitlines()[0].split(",") == list(rows[0])
    code, output = run("compare", *pair, "--save", tmp_path / "table.xlsx")
    assert (code, ".csv or .jsonl" in output) == (2, True)
    assert not (tmp_path / "table.xlsx").exists()


def test_baseline_is_pinned_shown_and_unpinned(backend: Backend, pair: tuple[int, int]) -> None:
    base, other = pair
    assert run("baseline") == (0, "no baseline is pinned\n")
    assert run("baseline", other) == (0, f"the pinned baseline is run {other}, base\n")
    assert run("baseline") == (0, f"the pinned baseline is run {other}, base\n")
    backend.user("DELETE", f"/runs/{other}", params={"confirm": "true"})
    assert run("baseline") == (0, f"the pinned baseline, run {other}, was deleted\n")
    assert run("baseline", "--unpin") == (0, "no baseline is pinned\n")
    code, output = run("baseline", 99)
    assert (code, "no run with this id" in output) == (2, True)
    assert run("baseline", base, "--unpin")[0] == 2
