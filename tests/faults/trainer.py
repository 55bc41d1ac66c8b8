"""A trainer that imports no torch and writes the same files: an evaluation whose answers come by the clock.

How it behaves is the config's seed, by place in `MANNERS`. With another seed the real trainer takes its place.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from memgen.contract.answers import AnswerRecord, read_answers, summarize
from memgen.contract.rundir import EXIT_STOPPED, RunDir, write_json
from memgen.contract.status import StopMode
from memgen.contract.trying import Answered, Loaded, SessionDir
from memgen.monitor import Monitor
from memgen.stop import Stopped, StopRequest, die_with_parent

MANNERS = ("steady", "deaf", "fertile", "flooding", "broken", "slow")
"""steady; deaf to stops and TERM; with children; one line of 100 MB; ends in an error; a tenth as fast."""
REAL, REAL_IN_TWO_RANKS, ON_A_CARD = 100, 200, 300  # seeds
ANSWER_SECONDS = 0.1
CHILD = "import signal; signal.alarm(600); signal.pause()"
"""A process that does nothing until it is killed; it ends by itself where a test could not end it."""
FLOOD = 100 * 2**20  # bytes


def answer(index: int) -> AnswerRecord:
    """What it says to question `index`: always right."""
    return AnswerRecord(
        id=f"wordproblems:{index}",
        index=index,
        prompt=[],
        solution="\\boxed{1}",
        completion="é \\boxed{1}",
        metrics={"accuracy": 1.0, "format_ok": 1.0},
        completion_tokens=3,
        truncated=False,
        seconds=ANSWER_SECONDS,
    )


def work(folder: RunDir, earlier: RunDir | None, manner: str, questions: int) -> None:
    """Answer all questions.

    Raises:
        Stopped: a stop was asked for.
    """
    monitor, stop = Monitor(folder.events), StopRequest(folder.stop)
    if manner == "deaf":
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
    else:
        stop.listen()
    if manner == "fertile":
        for own_session in (False, True):
            subprocess.Popen([sys.executable, "-c", CHILD, str(folder.path)], start_new_session=own_session)
    folder.output.mkdir(parents=True)
    write_json(folder.environment, {"software": "none"})
    done = read_answers(earlier.answers)[0] if earlier is not None and earlier.answers.exists() else []
    with folder.answers.open("a", encoding="utf-8") as file:
        for one in done:
            file.write(one.model_dump_json() + "\n")
        file.flush()
        monitor.phase("generate", f"{questions} questions, {len(done)} of them answered before")
        for index in range(len(done), questions):
            time.sleep(ANSWER_SECONDS * (10 if manner == "slow" else 1))
            if manner != "deaf":
                stop.check()
            if manner == "broken" and index == 3:
                raise RuntimeError("this trainer breaks at its fourth question")
            if manner == "flooding" and index == 3:
                os.write(1, b"=" * FLOOD)
            done.append(answer(index))
            file.write(done[-1].model_dump_json() + "\n")
            file.flush()
            monitor.metric("eval/accuracy", index + 1, 1.0)
            monitor.progress(index + 1, questions, "questions")
            monitor.say(f"[{index + 1}/{questions}] right")
        summary = summarize(done, 1.0)
        file.write(summary.model_dump_json() + "\n")
    write_json(folder.result, summary.summary_metrics)


def hold(place: SessionDir) -> int:
    """Answer every question of a session alike until a stop is asked for; returns the exit code."""
    monitor, stop = Monitor(place.run_dir.events), StopRequest(place.run_dir.stop)
    stop.listen()
    monitor.tell(Loaded(time=time.time()))
    number = 0
    while stop.requested() is None:
        if place.next_question(number) is not None:
            number += 1
            monitor.tell(Answered(time=time.time(), question=number, column=0, record=answer(number)))
        time.sleep(ANSWER_SECONDS)
    return EXIT_STOPPED


def main() -> int:
    """`trainer run CONFIG --out DIR [--resume DIR]` and `trainer try DIR`, as the real one; returns the exit code."""
    die_with_parent()
    if sys.argv[1] == "try":
        return hold(SessionDir(Path(sys.argv[2])))
    words = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    config = json.loads(Path(words["run"]).read_text())
    if config["seed"] >= REAL:
        ranks = ["--num-processes", "2"] if config["seed"] == REAL_IN_TWO_RANKS else []
        module = "tests.faults.card_trainer" if config["seed"] == ON_A_CARD else "tests.slow_trainer"
        os.execv(sys.executable, [sys.executable, "-m", module, *sys.argv[1:], *ranks])
    earlier = RunDir(Path(words["--resume"])) if "--resume" in words else None
    try:
        work(RunDir(Path(words["--out"])), earlier, MANNERS[config["seed"]], config["num_questions"])
    except Stopped as stopped:
        return EXIT_STOPPED if stopped.mode in StopMode else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
