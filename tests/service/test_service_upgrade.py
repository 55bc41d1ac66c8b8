"""A home of the version before under the whole service: what was stopped goes on, and its checkpoints have children."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.api.schemas import RunDetail
from memgen.contract.answers import read_answers
from memgen.contract.rundir import attempt_dir
from memgen.contract.status import RunStatus, StopMode
from tests.conftest import TINY
from tests.homes.home import ANSWERING, QUEUED, TRAINING, unpack
from tests.running_stack import RunningStack
from tests.warm_python import warm_python


@pytest.fixture
def upgraded(tmp_path: Path, presets_file: Path) -> Iterator[RunningStack]:
    home = tmp_path / "home"
    home.mkdir()
    unpack(home)
    made = RunningStack(home, presets_file, MEMGEN_TRAINER=f"{warm_python()} -m tests.homes.trainer")
    made.up()
    yield made
    made.close()


def test_what_the_version_before_stopped_goes_on_and_its_checkpoints_are_started_from(upgraded: RunningStack) -> None:
    with upgraded.client() as client:
        client.resume(TRAINING)
        child = client.submit(
            {
                "stage": "evaluate", "setting": "weaver", "checkpoint": "4", "preset": TINY, "data": "wordproblems",
                "num_questions": 2, "max_completion_length": 16,
            }
        ).id  # fmt: skip
        client.resume(ANSWERING)
        client.pause_queue(False)

        upgraded.run_when(TRAINING, _is_at(9), 120, "more steps")
        client.stop(TRAINING, StopMode.SAVE)
        for run_id in (QUEUED, child):
            run = upgraded.run_ended(run_id)
            assert run.status is RunStatus.SUCCEEDED, upgraded.how_runs_ended()
        upgraded.run_when(ANSWERING, _is_at(8), 120, "more answers")
        client.stop(ANSWERING, StopMode.SAVE)
        for run_id, took_up in ((TRAINING, "continuing after step"), (ANSWERING, "4 of 60 answers")):
            run = upgraded.run_ended(run_id)
            assert (run.status, run.can_resume) == (RunStatus.CANCELLED, True), upgraded.how_runs_ended()
            assert run.attempts[-1].resumes == 1
            log = client.log(run_id, offset=0, limit=2**20).text
            assert [line for line in log.splitlines() if line.startswith("resumed: ") and took_up in line], log
        before, after = (client.answers(ANSWERING).items, _answers_of_the_first_attempt(upgraded.home))
    assert [one.index for one in before] == list(range(len(before)))
    assert [one.completion for one in before][: len(after)] == after


def _is_at(done: int) -> Callable[[RunDetail], bool]:
    return lambda run: run.progress is not None and (run.progress.done or 0) >= done


def _answers_of_the_first_attempt(home: Path) -> list[str]:
    answers, _ = read_answers(attempt_dir(home, ANSWERING, 1, "evaluate").answers)
    return [one.completion for one in answers]
