"""Weights that a process of their own has fetched, as a supervisor has it done."""

import json
from pathlib import Path

from typer.testing import CliRunner

from memgen.cli import app
from memgen.contract.events import EVENT_ADAPTER, Failed
from memgen.contract.rundir import RunDir, write_json
from memgen.model.fetch import fetched
from tests.conftest import GOLDEN
from tests.memgen.stages.running import config_of, run

LARGE = "Qwen/Qwen3-14B"  # nowhere on this machine


def test_fetched_weights_are_used_and_no_hub_is_asked(home: Path, tmp_path: Path) -> None:
    folder = RunDir(tmp_path / "run")
    write_json(folder.weights, {"folder": str(GOLDEN / "tiny_base"), "identity": f"hub:{LARGE}@abc"})
    run(home, folder.path, config_of(stage="evaluate", preset=LARGE, num_questions=1, max_completion_length=4))
    assert json.loads(folder.environment.read_text())["model"] == f"hub:{LARGE}@abc"


def test_fetching_leaves_word_of_the_weights(home: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    write_json(config, config_of(stage="evaluate").model_dump(mode="json"))
    done = CliRunner().invoke(app, ["fetch", str(config), "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    model = fetched(RunDir(tmp_path / "run"))
    assert model is not None
    assert model.folder == GOLDEN / "tiny_base"
    assert model.identity.startswith("folder:")
    write_json(RunDir(tmp_path / "run").weights, {"folder": str(tmp_path / "gone"), "identity": "x"})
    assert fetched(RunDir(tmp_path / "run")) is None


def test_fetching_that_fails_says_why_as_an_event_and_on_the_terminal(home: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    write_json(config, config_of(stage="evaluate", preset=LARGE).model_dump(mode="json"))
    done = CliRunner().invoke(app, ["fetch", str(config), "--out", str(tmp_path / "run")])
    assert done.exit_code == 2
    assert LARGE in done.output
    last = EVENT_ADAPTER.validate_json(RunDir(tmp_path / "run").events.read_text().splitlines()[-1])
    assert isinstance(last, Failed)
    assert last.code == "model_unavailable"
    assert fetched(RunDir(tmp_path / "run")) is None
