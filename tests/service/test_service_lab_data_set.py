"""A data set of a lab's own package: installed, launched by form and by API, run, scored and compared."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import dashboard
from backend.api.client import Client
from dashboard.parts import api
from memgen.contract.answers import read_answers
from memgen.contract.status import RunStatus
from tests.conftest import TINY
from tests.lab_environment import lab_environment
from tests.running_stack import RunningStack, wait_until

TOY = '''
"""Which letter of the alphabet comes next: a data set of four choices."""

from memgen.contract.data_sets.record import DataSet

TOY = DataSet(
    name="next_letter",
    word="Next letter",
    help="which letter comes next, of four",
    sizes={"train": 36, "validation": 4, "test": 12},
    longest=(80, 24),
    fullest=(70, 20),
    prompt="Choose the right letter and put it inside \\\\boxed{}. ",
    answer="choice",
    loader="toy_sets.rows:load",
)
'''
ROWS = """
from memgen.data.questions import make_question, split_validation


def _question(number):
    start, right = "abcdefghijklmnopqrstuv"[number % 22], number // 22 + number % 4
    choices = [chr(ord(start) + 1 + (place - right) % 4) for place in range(4)]
    shown = " ".join(f"({letter}) {choice}" for letter, choice in zip("ABCD", choices))
    text = f"Round {number // 22}: which letter comes after {start}? {shown}"
    return make_question("next_letter", text, f"After {start} comes {chr(ord(start) + 1)}.", "ABCD"[right % 4])


def load(split, seed, folder):
    rows = [_question(number) for number in range(52)]
    if split == "test":
        return rows[40:]
    train, validation = split_validation(rows[:40], seed)
    return validation if split == "validation" else train
"""
LOST = "import a_module_that_nobody_has\n"
REASON = "ModuleNotFoundError: No module named 'a_module_that_nobody_has'"
PACKAGES = {
    "toy-sets": {"toy_sets/__init__.py": TOY, "toy_sets/rows.py": ROWS},
    "lost-sets": {"lost_sets.py": LOST},
}
ENTRY_POINTS = {
    "toy-sets": "[memgen.data_sets]\nnext_letter = toy_sets:TOY\n",
    "lost-sets": "[memgen.data_sets]\nlost = lost_sets:LOST\n",
}
BASE = {
    "stage": "evaluate", "preset": TINY, "data": "next_letter", "num_questions": 4, "batch_size": 4,
    "max_completion_length": 8,
}  # fmt: skip


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Interpreter of an environment with the lab's packages, one of which can't be imported."""
    return lab_environment(tmp_path_factory.mktemp("lab") / "env", PACKAGES, ENTRY_POINTS)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, presets_file: Path, python: str) -> Iterator[RunningStack]:
    """MemGen Studio running in that environment."""
    home = tmp_path_factory.mktemp("lab_stack") / "home"
    running = RunningStack(home, presets_file, python=python, MEMGEN_TRAINER=f"{python} -m memgen")
    try:
        running.up()
        yield running
    finally:
        running.close()


@pytest.fixture
def form(lab: RunningStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    """The launch page, which knows of data sets only what this backend says."""
    with lab.client() as client:
        monkeypatch.setattr(api, "client", lambda: client)
        st.cache_data.clear()
        app = AppTest.from_file(str(Path(dashboard.__file__).parent / "main.py"), default_timeout=60).run()
        yield app.switch_page("app_pages/launch.py").run()
    st.cache_data.clear()


def memgen(python: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, "-m", "memgen", *words], capture_output=True, text=True, timeout=60, check=False)


def finished(lab: RunningStack, client: Client, run_id: int) -> None:
    run = lab.run_ended(run_id)
    assert run.status is RunStatus.SUCCEEDED, (run.failure, client.log(run_id).text)


def usable(client: Client, run_id: int) -> bool:
    """Whether the checkpoint of a run can be started from."""
    found = client.checkpoints(stage="evaluate", setting="weaver", preset=TINY).items
    return any(one.id == run_id and one.usable for one in found)


def test_command_line_lists_the_data_set_and_names_the_plugin_that_failed(python: str) -> None:
    listed = memgen(python, "data-sets")
    assert listed.returncode == 0
    assert "next_letter" in listed.stdout
    assert "which letter comes next, of four" in listed.stdout
    assert listed.stderr == f"warning: the data set lost of the package lost-sets can't be used: {REASON}\n"
    assert '"next_letter"' in memgen(python, "schema", "weaver_sft").stdout


def test_run_outside_the_service_says_which_data_sets_there_are_and_why_one_is_not(python: str, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"stage": "evaluate", "data": "lost"}')
    refused = memgen(python, "run", str(config), "--out", str(tmp_path / "out"))
    assert refused.returncode == 2
    assert "Use one of gsm8k, wordproblems, wordproblems_easy, math500, aqua, gpqa, next_letter." in refused.stderr
    assert refused.stderr.count(REASON) == 2  # as it starts, and with the refusal


def test_every_service_names_the_plugin_that_failed_and_goes_on(lab: RunningStack) -> None:
    for service in ("backend", "worker"):
        log = next((lab.home / "services").glob(f"{service}*.log")).read_text()
        assert f"the data set lost of the package lost-sets can't be used: {REASON}" in log, service
    with lab.client() as client:
        reply = client.data_sets()
    assert [(one.package, one.name, one.reason) for one in reply.broken] == [("lost-sets", "lost", REASON)]
    assert {one.name: one.sizes for one in reply.items}["next_letter"] == {"train": 36, "validation": 4, "test": 12}


def test_preflight_looks_at_the_rows_of_the_package(lab: RunningStack) -> None:
    with lab.client() as client:
        good = client.preflight(BASE)
        assert (good.ok, good.num_questions) == (True, 4)
        (problem,) = client.preflight(BASE | {"num_questions": 13}).problems
        assert problem.field == "num_questions"
        assert "12 questions" in problem.message
        long = client.preflight(BASE | {"stage": "weaver_sft", "num_questions": None, "max_completion_length": 2})
        assert any("36 of the 36 training examples are longer" in warning for warning in long.warnings)


@pytest.mark.timeout(400)
def test_evaluations_by_form_and_by_api_run_are_scored_and_compared(lab: RunningStack, form: AppTest) -> None:
    assert any("**lost**" in one.value and "ModuleNotFoundError" in one.value for one in form.warning)
    data = form.selectbox(key="config_data")
    assert data.options == ["GSM8K", "Word problems", "Easy word problems", "MATH-500", "AQuA", "GPQA", "Next letter"]
    data.select("next_letter")
    form.selectbox(key="config_preset").set_value(TINY)
    form.number_input(key="config_num_questions").set_value(4)
    form.number_input(key="config_batch_size").set_value(4)
    form.number_input(key="config_max_completion_length").set_value(8).run()
    form.button(key="launch").click().run()
    assert not form.exception
    with lab.client() as client:
        by_form = client.runs().items[0]
        assert (by_form.data, by_form.status in RunStatus) == ("next_letter", True)
        by_api = client.submit(BASE | {"num_questions": 6}).id
        for run_id in (by_form.id, by_api):
            finished(lab, client, run_id)
        comparison = client.compare([by_form.id, by_api])
        assert comparison.conditions["data"] == "next_letter"
        assert [item.num_questions for item in comparison.items] == [4, 6]
        assert comparison.items[1].change is not None
        assert comparison.items[1].change.num_questions == 4
    answers, summary = read_answers(
        lab.home / "evaluate" / "next_letter" / "qwen2-242k" / str(by_api) / "evaluate" / "answer.json"
    )
    assert summary is not None
    assert len(answers) == 6
    for answer in answers:
        assert answer.id.startswith("next_letter:")
        assert answer.question is not None
        assert "which letter comes after" in answer.question
        assert answer.prompt[0].content.startswith("Choose the right letter")
        assert {"accuracy", "compute_reward", "format_ok"} <= answer.metrics.keys()


@pytest.mark.timeout(400)
def test_weaver_is_trained_on_the_package_and_its_checkpoint_evaluated(lab: RunningStack) -> None:
    training = {"stage": "weaver_sft", "preset": TINY, "data": "next_letter", "max_steps": 1, "batch_size": 2}
    with lab.client() as client:
        trained = client.submit(training | {"num_questions": 4, "eval_questions": 2}).id
        finished(lab, client, trained)
        wait_until(lambda: usable(client, trained), 30, f"checkpoint of run {trained}")
        evaluated = client.submit(BASE | {"setting": "weaver", "checkpoint": str(trained)}).id
        finished(lab, client, evaluated)
        nodes = {node.run_id: node for node in client.lineage(run=evaluated).nodes}
    assert nodes[trained].data == nodes[evaluated].data == "next_letter"
