"""Weights that a process of their own has fetched, as a supervisor has it done."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from memgen.cli import app
from memgen.contract.errors import BadInput
from memgen.contract.events import EVENT_ADAPTER, Failed
from memgen.contract.presets import get_preset
from memgen.contract.rundir import RunDir, write_init_from, write_json
from memgen.model.authors_layout import import_authors
from memgen.model.fetch import fetched
from memgen.monitor import Monitor
from tests.checkpoints import write_checkpoint
from tests.conftest import GOLDEN, TINY
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
    assert model.folder == (GOLDEN / "tiny_base").resolve()
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


def test_checkpoint_is_taken_from_where_the_supervisor_was_told_it_lies(home: Path, tmp_path: Path) -> None:
    lies = home / "runs" / "2" / "attempts" / "1" / "weaver_sft"
    import_authors(GOLDEN / "a" / "checkpoint", get_preset(TINY), lies, home, Monitor(None))
    folder = RunDir(tmp_path / "run")
    write_init_from(folder, "runs/2/attempts/1/weaver_sft")
    config = config_of(stage="evaluate", setting="weaver", checkpoint="2", num_questions=1, max_completion_length=4)
    assert run(home, folder.path, config)["num_questions"] == 1


@pytest.mark.parametrize("said", [None, '{"folder": "runs/3"}', "{}", "no JSON"])
def test_id_alone_is_looked_for_nowhere(home: Path, tmp_path: Path, said: str | None) -> None:
    write_checkpoint(home / "train" / "wordproblems" / "qwen2-242k" / "2" / "weaver_sft")
    folder = RunDir(tmp_path / "run")
    folder.path.mkdir()
    if said is not None:
        folder.init_from.write_text(said)
    with pytest.raises(BadInput) as refusal:
        run(home, folder.path, config_of(stage="evaluate", setting="weaver", checkpoint="2", num_questions=1))
    assert refusal.value.code == "no_such_checkpoint"
