"""A session's trainer as its supervisor starts it: questions go in as files, what it says comes out as events."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from memgen.contract.rundir import EXIT_BAD_INPUT, EXIT_STOPPED, write_json
from memgen.contract.status import StopMode
from memgen.contract.trying import Answered, Grown, Loaded, SessionDir, SessionEvent, Unanswered, read_session_event
from memgen.stop import StopRequest
from memgen.trying.session import LastAnswer
from tests.memgen.stages.running import TINY_RUN
from tests.running_stack import is_alive, wait_until

COLUMN = TINY_RUN | {"stage": "evaluate", "max_completion_length": 16}


@contextmanager
def session(folder: Path, *columns: dict[str, Any]) -> Iterator[tuple[SessionDir, subprocess.Popen[bytes]]]:
    """A trainer on these columns; killed at the end if it still lives."""
    place = SessionDir(folder)
    write_json(place.config, {"columns": list(columns)})
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "memgen", "try", str(folder)], stdout=log, stderr=log)
    try:
        yield place, process
    finally:
        process.kill()
        process.wait()


def said(place: SessionDir) -> list[SessionEvent]:
    path = place.run_dir.events
    return [read_session_event(line) for line in path.read_text().splitlines()] if path.exists() else []


def of(kind: type[Any], place: SessionDir) -> list[Any]:
    return [one for one in said(place) if isinstance(one, kind)]


def ask(place: SessionDir, number: int, question: str, solution: str | None = None) -> None:
    write_json(place.question(number), {"number": number, "question": question, "solution": solution})


def test_session_loads_once_answers_what_comes_and_ends_when_it_is_told(home: Path, tmp_path: Path, woven: str) -> None:
    weaver = COLUMN | {"setting": "weaver+trigger", "checkpoint": woven}
    with session(tmp_path / "session", COLUMN, weaver) as (place, process):
        ask(place, 1, "What is 2 + 3?", "\\boxed{5}")
        wait_until(lambda: len(of(Answered, place)) == 2, 120, "the first answers")
        ask(place, 2, "What is 4 + 4?")
        wait_until(lambda: len(of(Answered, place)) == 4, 60, "the second answers")
        write_json(place.run_dir.stop, {"mode": StopMode.SAVE})
        assert process.wait(30) == EXIT_STOPPED
    assert len(of(Loaded, place)) == 1
    first, second = of(Answered, place)[:2], of(Answered, place)[2:]
    assert [(one.question, one.column) for one in [*first, *second]] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert all("accuracy" in one.record.metrics for one in first)
    assert all(one.record.metrics == {} for one in second)
    for answer in [*first, *second]:
        grown = [one for one in of(Grown, place) if (one.question, one.column) == (answer.question, answer.column)]
        text = ""
        for one in grown:
            text = text[: one.start] + one.text
        assert answer.record.completion.startswith(text)
        assert grown[0].tokens == 0
        assert answer.first_token_seconds is not None


def test_question_that_a_column_can_not_take_is_said_and_the_next_is_answered(home: Path, tmp_path: Path) -> None:
    with session(tmp_path / "session", COLUMN | {"max_prompt_length": 256}) as (place, _):
        ask(place, 1, "What is " + "2 + " * 300 + "2?")
        ask(place, 2, "What is 4 + 4?")
        wait_until(lambda: of(Answered, place), 120, "an answer")
    (refused,) = of(Unanswered, place)
    assert (refused.question, refused.problem.code) == (1, "prompt_too_long")


def test_session_whose_checkpoint_is_gone_fails_with_the_reason(home: Path, tmp_path: Path) -> None:
    lost = COLUMN | {"setting": "weaver", "checkpoint": str(tmp_path / "nowhere")}
    with session(tmp_path / "session", lost) as (place, process):
        assert process.wait(60) == EXIT_BAD_INPUT
    assert said(place)[-1].event == "failed"


class Asked(StopRequest):
    """A stop that the test asks for."""

    mode: StopMode | None = None

    def requested(self) -> StopMode | None:
        return self.mode


def test_answer_under_way_may_end_within_its_time_unless_it_is_to_be_thrown_away() -> None:
    stop, now = Asked(), [0.0]
    last = LastAnswer(stop, patience=45.0, clock=lambda: now[0])
    assert last.requested() is None
    stop.mode = StopMode.SAVE
    assert last.requested() is None
    now[0] = 45.0
    assert last.requested() is None
    now[0] = 46.0
    assert last.requested() is StopMode.SAVE
    stop.mode = StopMode.DISCARD
    assert LastAnswer(stop).requested() is StopMode.DISCARD


def test_trainer_of_a_session_dies_with_its_supervisor(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "session"
    write_json(SessionDir(folder).config, {"columns": [COLUMN]})
    script = (
        "import os, subprocess, sys\n"
        "os.environ['MEMGEN_SUPERVISOR_PID'] = str(os.getpid())\n"
        f"child = subprocess.Popen([sys.executable, '-m', 'memgen', 'try', {str(folder)!r}])\n"
        "print(child.pid, flush=True)\nchild.wait()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    wait_until(lambda: of(Loaded, SessionDir(folder)), 120, "the session")
    parent.kill()
    parent.wait()
    wait_until(lambda: not is_alive(pid), 10, "the trainer's end")
