"""`python -m memgen doctor` on this machine, with settings that are wrong."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from memgen.cli import app
from memgen.doctor.core import examine
from memgen.doctor.finding import Finding, Verdict
from memgen.doctor.graphics import Graphics, Torch

SETTING = "MEMGEN_GSM8K_DIR"
HERE = Graphics(Torch("2.13.0+cpu"))


def by_subject(environment: dict[str, str], *, serves_only: bool = False) -> dict[str, Finding]:
    return {one.subject: one for one in examine(environment, HERE, serves_only=serves_only)}


def test_folder_without_its_files_ends_with_1_and_stands_on_the_page_and_in_the_json(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING, str(tmp_path))
    file = tmp_path / "doctor.json"
    done = CliRunner().invoke(app, ["doctor", "--json", str(file)])
    assert done.exit_code == 1, done.output
    assert "train.jsonl" in done.output
    told = json.loads(file.read_text())
    assert told["exit_code"] == 1
    assert [one["subject"] for one in told["findings"] if one["verdict"] == "error"] == ["data: gsm8k"]
    assert file.stat().st_mode & 0o077 == 0


def test_well_machine_without_a_card_ends_with_3(home: Path) -> None:
    found = examine(dict(os.environ), HERE)
    assert {one.subject for one in found if one.verdict is Verdict.NOT_LOOKED_AT} == {"card"}
    assert [one for one in found if one.verdict is Verdict.ERROR] == []


def test_presets_that_can_not_be_read_are_said_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMGEN_PRESETS", str(home / "missing.json"))
    found = examine(dict(os.environ), HERE)
    assert [one.subject for one in found if one.verdict is Verdict.ERROR] == ["models"]
    assert {one.subject for one in found if one.verdict is Verdict.NOT_LOOKED_AT} == {"card", "memory, disk"}


def test_machine_that_serves_only_is_warned_that_it_trains_nothing(home: Path) -> None:
    found = by_subject(dict(os.environ), serves_only=True)
    assert found["torch"].verdict is Verdict.WARNING
    assert "card" not in found
