"""Words of the command line become the fields of a config: what goes over HTTP is looked at, in this process."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from backend.api.client import Client
from backend.commands import cli, pipeline_cli, run_cli
from memgen import cli as core

ROOT = Path(__file__).parents[3]
ROOMS = ("backend", "dashboard", "worker", "memgen", "benchmarks", "docs")
Sent = list[dict[str, Any]]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """Bodies of the requests; each is refused, which ends the command."""
    bodies: Sent = []

    def refuse(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content))
        return httpx.Response(422, json={"title": "refused", "status": 422, "code": "test"})

    def client() -> Client:
        return Client("http://backend.test", "token", transport=httpx.MockTransport(refuse))

    for module in (run_cli, pipeline_cli):
        monkeypatch.setattr(module, "client", client)
    return bodies


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli.app, list(words))
    return done.exit_code, done.output


def test_fields_of_a_run_get_the_type_that_its_stage_says(sent: Sent) -> None:
    settings = ["checkpoint=3", "revision=77950e8", "setting=weaver", "num_questions=null", "batch_size=4", "seed=7"]
    code, _ = run("launch", *(word for setting in settings for word in ("--set", setting)), "--note", "null")
    assert code == 2
    assert sent[0]["note"] == "null"
    assert sent[0]["config"] == {
        "stage": "evaluate", "checkpoint": "3", "revision": "77950e8", "setting": "weaver", "num_questions": None,
        "batch_size": 4, "seed": 7,
    }  # fmt: skip


def test_stage_may_be_named_by_the_same_words(sent: Sent, tmp_path: Path) -> None:
    run("launch", "--set", "learning_rate=1e-5", "--set", "stage=weaver_sft", "--set", "gradient_checkpointing=true")
    config = {"learning_rate": 1e-5, "stage": "weaver_sft", "gradient_checkpointing": True}
    assert sent[0]["config"] == config
    path = tmp_path / "config.json"
    path.write_text('{"stage": ["evaluate"]}')
    run("launch", "--config", str(path), "--set", "batch_size=4")
    assert sent[1]["config"]["stage"] == ["evaluate"], "the backend says what is wrong with it"


def test_fields_of_a_pipeline_get_the_type_that_its_steps_say(sent: Sent) -> None:
    settings = ["shared.revision=77950e8", "evaluations.batch_size=16", "weaver_sft.learning_rate=1e-5"]
    words = [word for setting in settings for word in ("--set", setting)]
    run("pipeline", "run", "--preset", "1", *words, "--reuse", "base_eval=12", "--note", "7")
    assert sent[0]["shared"] == {"preset": "1", "revision": "77950e8"}
    assert sent[0]["evaluations"] == {"batch_size": 16}
    assert sent[0]["steps"] == {"weaver_sft": {"learning_rate": 1e-5}}
    assert (sent[0]["reuse"], sent[0]["note"]) == ({"base_eval": 12}, "7")


def test_optional_step_is_added_and_another_left_out(sent: Sent) -> None:
    words = ["--preset", "1", "--add", "weaver_grpo", "--leave-out", "weaver_sft", "--set", "weaver_grpo.max_steps=2"]
    run("pipeline", "run", *words)
    run("pipeline", "run", "--preset", "1", "--leave-out", "ltpo_eval", "--reuse", "base_eval=12")
    usual = ["base_eval", "weaver_sft", "weaver_eval", "trigger_grpo", "trigger_eval"]
    assert sent[0]["include"] == ["base_eval", "weaver_grpo", *usual[2:], "ltpo_eval"]
    assert sent[0]["steps"] == {"weaver_grpo": {"max_steps": 2}}
    assert sent[1]["include"] == usual


@pytest.mark.parametrize(
    "words",
    [
        ["launch", "--set", "checkpoint"],
        ["launch", "--set", "=3"],
        ["pipeline", "run", "--set", "batch_size=3"],
        ["pipeline", "run", "--set", "nowhere.batch_size=3"],
        ["pipeline", "run", "--set", "=="],
        ["pipeline", "run", "--reuse", "base_eval"],
        ["pipeline", "run", "--reuse", "base_eval=x"],
        ["pipeline", "run", "--reuse", "nothing=3"],
        ["pipeline", "run", "--add", "nothing"],
        ["pipeline", "run", "--leave-out", "nothing"],
    ],
)
def test_word_that_is_no_assignment_is_refused_with_an_example(sent: Sent, words: list[str]) -> None:
    code, said = run(*words)
    assert (code, sent) == (2, [])
    assert said.startswith("error: ")
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "text", ['{"steps": null}', '{"shared": 3}', '{"reuse": []}', "[" * 100_000, "[1]", '{"note": 3}']
)
def test_config_of_another_shape_is_refused(sent: Sent, tmp_path: Path, text: str) -> None:
    path = tmp_path / "pipeline.json"
    path.write_text(text)
    words = ["--set", "weaver_sft.batch_size=4", "--preset", "x", "--reuse", "base_eval=3"]
    code, said = run("pipeline", "run", "--config", str(path), *words)
    assert (code, sent) == (2, [])
    assert said.startswith("error: ")


@pytest.mark.parametrize(("program", "app"), [("memgen-studio", cli.app), ("python -m memgen", core.app)])
def test_commands_that_texts_name_exist(program: str, app: typer.Typer) -> None:
    commands = commands_of(get_command(app))
    texts = [path for room in ROOMS for path in (ROOT / room).rglob("*") if path.suffix in {".py", ".md"}]
    named = {
        (path.relative_to(ROOT), *found.groups())
        for path in (*texts, *ROOT.glob("*.md"))
        for found in re.finditer(rf"{program} ([a-z][a-z-]+)(?: ([a-z][a-z-]+))?", path.read_text(encoding="utf-8"))
    }
    assert len(named) > 10
    for path, name, further in named:
        assert name in commands, f"{path}: {program} {name}"
        below = commands_of(commands[name])
        assert not below or further is None or further in below, f"{path}: {program} {name} {further}"


def commands_of(command: Any) -> dict[str, Any]:
    """Those of a group; none of a command."""
    commands: dict[str, Any] = getattr(command, "commands", {})
    return commands
