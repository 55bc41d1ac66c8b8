"""Memory that runs out in the middle of a run: a real limit on a process of its own."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from memgen.contract.answers import AnswerRecord, read_answers
from memgen.contract.config import RunConfig
from memgen.contract.json_file import read_object
from memgen.contract.peak import PEAK, PLAN
from memgen.contract.planner.memory import PROCESS_BYTES, plan
from memgen.contract.planner.width import rows_that_fit
from memgen.contract.presets import get_preset
from memgen.contract.rundir import RunDir, write_json
from memgen.contract.stages.evaluate import EvaluateConfig
from memgen.contract.stages.weaver_sft import WeaverSftConfig
from memgen.contract.status import StopMode
from memgen.data.questions import Question
from memgen.monitor import Monitor
from memgen.parallel.team import Team
from memgen.stages import rollout, trigger_grpo, weaver_grpo, weaver_sft
from memgen.stages.context import Context
from memgen.stages.evaluate import evaluate
from memgen.stages.lora_sft import lora_sft
from memgen.stages.peak import peak_of
from memgen.stages.weaver_sft import Teacher
from memgen.stages.width import Width, choose_width
from memgen.stop import Stopped, StopRequest
from tests.memgen.stages.running import StopWhen, config_of, events, metric, run

ROOM = {  # bytes from where a phase begins
    "generate": 150 * 2**20,  # masks of six to eight rows of a thousand words exceed them, those of four do not
    "train": 725 * 2**20,  # so does a step of eight rows of four hundred words, and not one of four
}


class Limiting(Monitor):
    """Lets the process have little more memory than it has when its answers or its steps begin."""

    def phase(self, name: str, detail: str = "") -> None:
        super().phase(name, detail)
        if name in ROOM:
            lines = Path("/proc/self/status").read_text().splitlines()
            used = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData"))
            resource.setrlimit(resource.RLIMIT_DATA, (used + ROOM[name], used + ROOM[name]))


def long_questions(words: int, count: int) -> list[Question]:
    """Questions of about so many words, of which no two are of one length."""
    text = ("Ann has 3 apples, and Ben has 4 pears. " * (words // 8 + 5)).split()
    return [Question(f"q{row}", " ".join(text[: words - 7 * row]), "7", "7") for row in range(count)]


def answer_long_questions(home: Path, folder: Path, width: int | str, monitor: type[Monitor] = Monitor) -> None:
    """Two tokens for each of 16 questions, of which no two are of one length."""
    config = config_of(stage="evaluate", max_prompt_length=8192, max_completion_length=2, batch_size=width)
    with told(home, folder, config, monitor) as context:
        evaluate(config, context, long_questions(1000, 16))


def learn_from_long_questions(
    home: Path, folder: Path, width: int | str | None, monitor: type[Monitor] = Monitor
) -> None:
    """A step of a plain LoRA on eight questions, of which no two are of one length."""
    config = config_of(
        stage="lora_sft", max_prompt_length=8192, num_questions=8, max_steps=1, batch_size=8, micro_batch_size=width
    )
    with told(home, folder, config, monitor) as context:
        lora_sft(config, context, long_questions(400, 8), [])


@contextmanager
def told(home: Path, folder: Path, config: RunConfig, monitor: type[Monitor]) -> Iterator[Context]:
    """Inside the block a run in this folder tells a monitor of this kind."""
    folder.mkdir()
    run_dir = RunDir(folder, config.stage)
    telling = monitor(run_dir.events)
    yield Context(run_dir, None, home, None, telling, StopRequest(), Team())
    telling.close()


def limited(
    work: Callable[[Path, Path, int | str], None], home: Path, folder: Path, width: int | str
) -> "subprocess.CompletedProcess[str]":
    """One of these in a process of its own, with a limit."""
    words = "import sys; from pathlib import Path; from tests.memgen.stages.test_width import Limiting, "
    words += f"{work.__name__} as do; do(Path(sys.argv[1]), Path(sys.argv[2]), {width!r}, Limiting)"
    return subprocess.run(
        [sys.executable, "-c", words, str(home), str(folder)],
        env={**os.environ, "MEMGEN_THREADS": "1", "MALLOC_ARENA_MAX": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def answers_of(folder: Path) -> dict[int, AnswerRecord]:
    return {answer.index: answer for answer in read_answers(RunDir(folder).answers)[0]}


def test_memory_that_runs_out_halves_an_open_width_and_no_answer_is_lost(home: Path, tmp_path: Path) -> None:
    done = limited(answer_long_questions, home, tmp_path / "auto", "auto")
    assert done.returncode == 0, done.stderr[-3000:]
    (warning,) = events(tmp_path / "auto", "warning")
    assert warning["code"] == "width_halved"
    assert "8 rows" in warning["message"]
    assert "goes on with 4" in warning["message"]
    halved = answers_of(tmp_path / "auto")
    assert sorted(halved) == list(range(16))
    assert {one.batch_size for one in halved.values()} == {4}
    assert read_object(RunDir(tmp_path / "auto").environment)["batch_size"] == 8
    answer_long_questions(home, tmp_path / "narrow", 4)
    narrow = answers_of(tmp_path / "narrow")
    assert [halved[index].completion for index in halved] == [narrow[index].completion for index in halved]


def test_memory_that_runs_out_ends_a_run_whose_width_somebody_named(home: Path, tmp_path: Path) -> None:
    done = limited(answer_long_questions, home, tmp_path / "fixed", 8)
    assert done.returncode != 0
    assert "DefaultCPUAllocator" in done.stderr


def test_memory_that_runs_out_halves_a_batch_of_trls_trainer_and_the_step_is_the_same(
    home: Path, tmp_path: Path
) -> None:
    done = limited(learn_from_long_questions, home, tmp_path / "auto", "auto")
    assert done.returncode == 0, done.stderr[-3000:]
    (warning,) = events(tmp_path / "auto", "warning")
    assert (warning["code"], "8 rows" in warning["message"]) == ("width_halved", True)
    assert read_object(RunDir(tmp_path / "auto").environment)["micro_batch_size"] == 8
    learn_from_long_questions(home, tmp_path / "whole", None)
    for name in ("train/loss", "train/grad_norm", "train/tokens_seen"):
        assert metric(tmp_path / "auto", name) == pytest.approx(metric(tmp_path / "whole", name), rel=1e-4), name


def test_a_single_row_that_is_too_much_and_any_other_error_end_the_run() -> None:
    width = Width(4, may_halve=True, monitor=Monitor(None))
    tried: list[int] = []

    def work() -> None:
        tried.append(width.rows)
        raise MemoryError

    with pytest.raises(MemoryError):
        width.halving(work)
    assert tried == [4, 2, 1]

    def broken() -> None:
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        Width(4, may_halve=True, monitor=Monitor(None)).halving(broken)


TINY_STEPS: dict[str, Any] = {"num_questions": 8, "max_steps": 3, "batch_size": 4}
REWARDED: dict[str, Any] = {
    "beta": 0.1,
    "num_generations": 4,
    "gradient_accumulation_steps": 2,
    "max_completion_length": 12,
}
SMALL = get_preset("Qwen/Qwen2.5-1.5B-Instruct")
GIB = 2**30


def context_of(folder: Path, config: RunConfig, resume: Path | None = None) -> Context:
    earlier = RunDir(resume, config.stage) if resume else None
    return Context(RunDir(folder, config.stage), earlier, folder, None, Monitor(None), StopRequest(), Team())


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    """One GPU of 24 GiB, of which a GiB is taken; a run takes 5 GiB of it at most."""
    for name, answer in {
        "is_available": True, "device_count": 1, "current_device": 0, "mem_get_info": (23 * GIB, 24 * GIB),
        "max_memory_allocated": 5 * GIB,
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, lambda *_, answer=answer: answer)


@pytest.mark.usefixtures("card")
def test_open_width_is_what_fits_beside_what_is_taken_and_that_of_the_attempt_that_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = EvaluateConfig(preset=SMALL.name, setting="weaver", checkpoint="x")
    rows = choose_width(config, context_of(tmp_path, config), may_halve=True).rows
    assert rows == rows_that_fit(config, SMALL, [23 * GIB + PROCESS_BYTES["cuda"]], 1319) > 8
    monkeypatch.setenv("MEMGEN_MEMORY_SHARE", "0.5")
    assert choose_width(config, context_of(tmp_path, config), may_halve=True).rows == rows_that_fit(
        config, SMALL, [12 * GIB], 1319
    )
    monkeypatch.delenv("MEMGEN_MEMORY_SHARE")
    few = config.model_copy(update={"num_questions": 5})
    assert choose_width(few, context_of(tmp_path, few), may_halve=True).rows == 5
    write_json(RunDir(tmp_path).environment, {"batch_size": 33})
    assert choose_width(config, context_of(tmp_path, config, resume=tmp_path), may_halve=True).rows == 33
    step = WeaverSftConfig(preset=SMALL.name, data="wordproblems", batch_size=4, gradient_accumulation_steps=3)
    assert choose_width(step, context_of(tmp_path, step), may_halve=True).rows == 12, "all rows of a step"


@pytest.mark.usefixtures("card")
def test_run_on_a_card_leaves_its_peak_beside_the_plan_of_its_width(tmp_path: Path) -> None:
    config = EvaluateConfig(preset=SMALL.name)
    write_json(RunDir(tmp_path).environment, {"batch_size": 33})
    need = plan(config.with_width(33), SMALL, "cuda")
    planned = pytest.approx((need.total - need.process) / GIB, abs=1e-3)
    assert peak_of(config, context_of(tmp_path, config)) == {PEAK: 5.0, PLAN: planned}


def test_step_of_a_training_begins_again_with_half_of_its_rows_and_a_resume_keeps_to_that(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(stage="weaver_sft", num_questions=8, max_steps=3, batch_size=4, eval_questions=0, save_steps=1)
    whole = run(home, tmp_path / "whole", config)
    tried: list[int] = []
    summed = Teacher._summed_loss

    def tight(self: Teacher, rows: list[object]) -> torch.Tensor:
        tried.append(len(rows))
        if len(tried) == 2 or len(rows) > 2:  # in the middle of a step, too
            raise MemoryError
        return summed(self, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(Teacher, "_summed_loss", tight)
    stop = StopWhen(lambda: tried[-1:] == [1] and len(tried) > 6, StopMode.SAVE)
    with pytest.raises(Stopped):
        run(home, tmp_path / "tight", config, stop=stop)
    assert tried[:3] == [4, 2, 1]
    assert [event["code"] for event in events(tmp_path / "tight", "warning")] == ["width_halved"] * 2
    tried[:] = [0, 0, 0]
    result = run(home, tmp_path / "tight", config, resume=tmp_path / "tight")
    assert set(tried[3:]) == {1}
    assert (whole["micro_batch_size"], result["micro_batch_size"]) == (4, 1)
    assert result["loss"] == pytest.approx(whole["loss"], rel=1e-5)


class Meetings(Team):
    """A team of one that notes how often all ranks would meet."""

    def __init__(self) -> None:
        self.count = 0

    def gather(self, items: list[Any]) -> list[Any]:
        self.count += 1
        return items


@pytest.mark.parametrize(
    ("piece", "fields"),
    [
        (
            (weaver_sft.Teacher, "_summed_loss"),
            {"stage": "weaver_sft", "lora_dropout": 0.0, "eval_questions": 5, "eval_steps": 1},
        ),
        ((weaver_grpo.Learner, "_logprobs"), {"stage": "weaver_grpo", **REWARDED}),
        ((trigger_grpo.Learner, "_logprobs"), {"stage": "trigger_grpo", **REWARDED, "insertion_penalty": 1.0}),
        ((rollout, "generate_woven"), {"stage": "weaver_grpo", **REWARDED}),
    ],
    ids=["weaver_sft", "weaver_grpo", "trigger_grpo", "rollout"],
)
def test_rank_whose_memory_runs_out_halves_by_itself_and_meets_the_others_as_often(
    home: Path, tmp_path: Path, weaver: Path, monkeypatch: pytest.MonkeyPatch, piece: tuple[Any, str],
    fields: dict[str, Any],
) -> None:  # fmt: skip
    if fields["stage"] != "weaver_sft":
        fields = fields | {"checkpoint": str(weaver)}
    config = config_of(**(TINY_STEPS | fields))
    met = Meetings()
    whole = run(home, tmp_path / "whole", config, team=met)
    calls = 0
    work = getattr(*piece)

    def tight(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls in (2, 6):  # in the middle of a step, with gradients of the rows before
            raise MemoryError
        return work(*args, **kwargs)

    monkeypatch.setattr(*piece, tight)
    met_when_tight = Meetings()
    result = run(home, tmp_path / "tight", config, team=met_when_tight)
    assert [event["code"] for event in events(tmp_path / "tight", "warning")][:2] == ["width_halved"] * 2
    assert met_when_tight.count == met.count
    assert result["loss"] == pytest.approx(whole["loss"], rel=1e-4, abs=1e-6)
    for name in ("train/loss", "train/grad_norm"):
        assert metric(tmp_path / "tight", name) == pytest.approx(metric(tmp_path / "whole", name), rel=1e-3, abs=1e-6)
