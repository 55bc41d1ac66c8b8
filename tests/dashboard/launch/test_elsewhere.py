"""The same launch as words of the command line, for curl, and in Python: each makes what the button makes."""

import json
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest
from typer.testing import CliRunner

from backend.api.schemas import PipelineCreate
from backend.commands import cli, pipeline_cli, run_cli
from dashboard.launch.elsewhere import (
    curl_text,
    pipeline_python,
    pipeline_words,
    run_python,
    run_words,
    short_config,
)
from dashboard.launch.labels import Labels
from memgen.contract.config import parse_config
from memgen.contract.demo import small_spec
from memgen.contract.pipeline import PipelineSpec, plan_pipeline
from tests.dashboard.pages import open_page
from tests.dashboard.studio import Studio

URL, TOKEN = "http://127.0.0.1:8000", "a token that nobody sees"
NOTE = 'it\'s "quoted" $HOME `a` \\ 한국어'
CONFIGS: list[dict[str, Any]] = [
    {"stage": "evaluate", "num_questions": 8, "nll": True, "revision": "77950e8"},
    {
        "stage": "weaver_sft",
        "learning_rate": 1e-3,
        "micro_batch_size": None,
        "max_steps": 3,
        "gradient_checkpointing": True,
    },
    {"stage": "ltpo_evaluate", "checkpoint": "3", "update": "reinforce", "sigma": 0.1, "threshold": 0.5},
    {"stage": "evaluate", "setting": "weaver", "checkpoint": "3", "batch_size": 4, "causal_check": "mean"},
]
SPECS = [
    small_spec(),
    PipelineSpec(
        note=NOTE,
        shared={"preset": "HuggingFaceTB/SmolLM2-135M-Instruct"},
        steps={"weaver_sft": {"micro_batch_size": None}, "weaver_grpo": {"max_steps": 2}},
        include=["weaver_sft", "weaver_grpo", "weaver_eval"],
        fixes=3,
        reuse={"base_eval": 1},
    ),
]


class Sent:
    """Stands for the client: what it was asked to submit."""

    def __init__(self, *_: object) -> None:
        self.id, self.status, self.waits_for, self.steps = 1, "queued", "", []

    def __enter__(self) -> "Sent":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(
        self,
        config: dict[str, Any],
        note: str = "",
        fixes: int | None = None,
        tags: Sequence[str] = (),
        group: str | None = None,
        site: str | None = None,
    ) -> "Sent":
        assert fixes in (None, 12)
        assert Labels(tuple(tags), group) == LABELS
        assert site in (None, "lab 1")
        SENT.append((config, note))
        return self

    def submit_pipeline(self, spec: PipelineSpec, tags: Sequence[str] = (), group: str | None = None) -> "Sent":
        assert Labels(tuple(tags), group) == LABELS
        SENT.append((spec, spec.note))
        return self


SENT: list[tuple[Any, str]] = []
LABELS = Labels(("7B", "lr 1e-5"), "a sweep")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, str]]:
    SENT.clear()
    monkeypatch.setattr("backend.api.client.Client", Sent)
    for module in (run_cli, pipeline_cli):
        monkeypatch.setattr(module, "client", Sent)
    monkeypatch.setenv("MEMGEN_TOKEN", TOKEN)
    return SENT


def words_of(command: str) -> list[str]:
    """What a shell gives to the program that a command names."""
    prints = """{ printf '%s\\0' "$@"; }"""
    script = f"memgen-studio() {prints}; curl() {prints}; {command}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, timeout=20)
    return done.stdout.split("\0")[:-1]


def run_command(text: str) -> None:
    done = CliRunner().invoke(cli.app, words_of(text))
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("config", CONFIGS)
def test_texts_of_a_run_make_the_same_run(config: dict[str, Any], sent: list[tuple[Any, str]]) -> None:
    whole = parse_config(config)
    short = short_config(whole.model_dump(mode="json"))
    body = {"config": short, "note": NOTE, "fixes": 12, "site": "lab 1"} | LABELS.named
    run_command(run_words(short, NOTE, 12, LABELS, "lab 1"))
    exec(run_python(URL, body), {})
    words = words_of(curl_text(URL, "/runs", body))
    assert words[1] == f"{URL}/api/v1/runs"
    assert f"Authorization: Bearer {TOKEN}" in words
    posted = json.loads(words[words.index("-d") + 1])
    for made, note in [*sent, (posted["config"], posted["note"])]:
        assert (parse_config(made), note) == (whole, NOTE)
    assert len(short) < len(whole.model_dump())


@pytest.mark.parametrize("spec", SPECS)
def test_texts_of_a_pipeline_make_the_same_pipeline(spec: PipelineSpec, sent: list[tuple[Any, str]]) -> None:
    body = {name: value for name, value in spec.model_dump(mode="json").items() if value}
    run_command(pipeline_words(spec, LABELS))
    exec(pipeline_python(URL, body, LABELS), {})
    words = words_of(curl_text(URL, "/pipelines", body | LABELS.named))
    posted = PipelineCreate.model_validate_json(words[words.index("-d") + 1])
    assert Labels(tuple(posted.tags), posted.group) == LABELS
    for made in (sent[0][0], sent[1][0], posted.spec):
        assert plan_pipeline(made) == plan_pipeline(spec)
        assert (made.reuse, made.note, made.to_run, made.fixes) == (spec.reuse, spec.note, spec.to_run, spec.fixes)


def test_token_is_in_none_of_them_and_its_place_is_said(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    for what in ("base_eval", "all"):
        app = open_page("launch", what=what)
        texts = [code.value for code in app.code]
        assert [text.split()[0] for text in texts] == ["memgen-studio", "curl", "import"]
        assert studio.context.user_token not in "".join(texts)
        assert "MEMGEN_HOME/backend/token" in "".join(caption.value for caption in app.caption)


def test_settings_that_can_not_be_launched_have_no_command(studio: Studio) -> None:
    app = open_page("launch", what="trigger_eval")
    assert "The settings can't be launched yet" in "".join(caption.value for caption in app.caption)
    assert not app.code
