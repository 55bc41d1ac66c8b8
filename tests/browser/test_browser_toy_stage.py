"""Stages that only their two modules and one line of the tuple know, in every room of a running MemGen Studio."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from backend.api.client import Client
from memgen.contract.answers import read_answers
from memgen.contract.status import RunStatus
from tests.browser.studio import Studio
from tests.conftest import TINY
from tests.running_stack import RunningStack, wait_until
from tests.warm_python import warm_python

ROOT = Path(__file__).parents[2]
PATH = os.pathsep.join([str(ROOT / "tests" / "toy_stage"), str(ROOT)])
GUESS = {"stage": "guess", "preset": TINY, "data": "wordproblems", "num_questions": 6, "max_completion_length": 32}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, presets_file: Path) -> Iterator[RunningStack]:
    running = RunningStack(
        tmp_path_factory.mktemp("toy") / "home",
        presets_file,
        python=warm_python(PATH),
        PYTHONPATH=PATH,
        MEMGEN_TRAINER=f"{warm_python(PATH)} -m memgen",
    )
    running.up()
    yield running
    running.close()


@pytest.fixture(scope="module")
def client(stack: RunningStack) -> Iterator[Client]:
    with stack.client() as connected:
        yield connected


@pytest.fixture(scope="module")
def guessed(stack: RunningStack, client: Client) -> int:
    """A run of the stage that was submitted over HTTP and has succeeded."""
    run_id = client.submit(GUESS, note="over HTTP").id
    run = stack.run_ended(run_id)
    assert run.status is RunStatus.SUCCEEDED, run.failure
    return run_id


@pytest.fixture(scope="module")
def drifted(stack: RunningStack, client: Client) -> int:
    """A training of the other stage that has succeeded."""
    run_id = client.submit(GUESS | {"stage": "drift", "num_questions": 8, "max_steps": 2, "learning_rate": 1e-3}).id
    run = stack.run_ended(run_id)
    assert run.status is RunStatus.SUCCEEDED, run.failure
    return run_id


def core(stack: RunningStack, *words: str) -> str:
    """What `python -m memgen` prints, with the stage in its tuple."""
    done = subprocess.run(
        [sys.executable, "-m", "memgen", *words], env=stack.environment, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_command_line_knows_its_schema_and_its_memory(stack: RunningStack) -> None:
    schema = json.loads(core(stack, "schema", "guess"))
    assert schema["properties"]["answer"]["default"] == 7
    assert {"ltpo_evaluate", "guess", "drift"} <= set(re.findall(r"\w+", core(stack, "schema", "--help")))
    memory = core(stack, "memory", "--stage", "guess", "--preset", TINY, "--set", "answer=9")
    assert f"guess guess of {TINY}" in memory
    assert "at its widest moment: thinking of a number" in memory
    launched = stack.command("launch", "--preset", TINY, "--set", "stage=guess", "--set", "answer=many")
    assert "The number that answers every question" in launched.stderr


def test_preflight_counts_its_memory_and_refuses_what_its_config_refuses(client: Client) -> None:
    reply = client.preflight(GUESS)
    assert (reply.ok, reply.num_questions, reply.fits) == (True, 6, True)
    plain = client.preflight(GUESS | {"stage": "evaluate"})
    assert reply.memory_bytes != plain.memory_bytes
    problems = client.preflight(GUESS | {"answer": 1001}).problems
    assert [(one.code, one.field) for one in problems] == [("invalid_config", "answer")]
    unused = client.preflight(GUESS | {"checkpoint": "1"}).problems
    assert "the setting `guess` uses no checkpoint" in unused[0].message.lower()
    assert client.schema("guess")["title"] == "GuessConfig"


def test_run_publishes_its_answers_and_its_metrics(stack: RunningStack, client: Client, guessed: int) -> None:
    run = client.run(guessed)
    assert (run.stage, run.setting, run.summary["num_questions"]) == ("guess", "guess", 6)
    published = stack.home / "guesses" / "wordproblems" / "qwen2-242k" / str(guessed) / "guess" / "guesses.json"
    wait_until(published.exists, 20, "published answers")
    answers, summary = read_answers(published)
    assert ({answer.completion for answer in answers}, summary is None) == ({r"It is \boxed{7}."}, False)
    wait_until((published.parents[2] / "guess").exists, 10, "the link to the newest run")
    (luck,) = client.metrics(guessed, name="eval/luck").series
    assert luck.steps == [1, 2, 3, 4, 5, 6]
    assert [one.id for one in client.runs(stage="guess").items] == [guessed]


def test_lineage_and_comparison_have_it(stack: RunningStack, client: Client, guessed: int) -> None:
    (node,) = client.lineage(run=guessed).nodes
    assert (node.stage, node.setting, node.num_questions) == ("guess", "guess", 6)
    base = client.submit(GUESS | {"stage": "evaluate", "batch_size": 6}).id
    assert stack.run_ended(base).status is RunStatus.SUCCEEDED
    compared = client.compare([guessed, base])
    assert [(one.run_id, one.is_base) for one in compared.items] == [(base, True), (guessed, False)]


def test_form_launches_it_and_its_page_shows_it(stack: RunningStack, client: Client, page: Page) -> None:
    studio = Studio(page, stack.dashboard_url)
    studio.log_in(stack.token)
    page.get_by_role("link", name="Launch", exact=True).first.click()
    studio.press("what", "Guess")
    expect(page.get_by_text("Answer every question with the same number.")).to_be_visible()
    expect(page.get_by_placeholder("all", exact=True)).to_have_count(0)  # the form that was shown before is gone
    expect(page.get_by_placeholder("each and every one")).to_be_visible()
    expect(studio.key("config_checkpoint")).to_have_count(0)
    studio.choose("config_preset", TINY)
    studio.choose("config_data", "Word problems")
    studio.type("config_num_questions", "3")
    studio.type("config_answer", "12")
    expect(studio.key("preflight")).to_contain_text("Fits on 1 of 1 slot")
    studio.submit("launch", re.compile(r"[?&]run=\d+"))
    run_id = int(re.search(r"run=(\d+)", page.url).group(1))  # type: ignore[union-attr]
    run = stack.run_ended(run_id)
    assert (run.status, run.stage, run.config["answer"]) == (RunStatus.SUCCEEDED, "guess", 12)
    page.reload()
    expect(page.get_by_text("Luck so far")).to_be_visible()
    expect(page.get_by_text("Luck", exact=True).first).to_be_visible()
    page.get_by_role("tab", name="Answers").click()
    expect(page.get_by_text("It is").first).to_be_visible()
    studio.no_trace_of_an_error()


def test_checkpoint_of_a_training_has_children_and_a_next_step(
    stack: RunningStack, client: Client, drifted: int, page: Page
) -> None:
    checkpoint = client.checkpoint(drifted)
    assert (checkpoint.stage, checkpoint.usable, checkpoint.trained) == ("drift", True, ["weaver"])
    assert (stack.home / "train" / "wordproblems" / "qwen2-242k" / "drift" / "manifest.json").exists()
    child = client.submit(GUESS | {"stage": "evaluate", "setting": "weaver", "checkpoint": str(drifted)})
    assert stack.run_ended(child.id).status is RunStatus.SUCCEEDED
    nodes = {node.run_id: (node.stage, node.parent_id) for node in client.lineage(run=child.id).nodes}
    assert nodes == {drifted: ("drift", None), child.id: ("evaluate", drifted)}
    studio = Studio(page, stack.dashboard_url)
    studio.log_in(stack.token)
    page.goto(f"{stack.dashboard_url}/run?run={drifted}&tab=Checkpoint")
    page.get_by_role("link", name="See where it went").click()
    expect(studio.key("config_checkpoint").get_by_role("combobox")).to_have_value(re.compile(rf"^{drifted} · drift"))
    studio.no_trace_of_an_error()
