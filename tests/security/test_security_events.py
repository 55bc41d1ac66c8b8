"""What a trainer's events, answers and result may bring along: none of it stops a run's end, or another run."""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from backend.store.models import Answer, Attempt, Checkpoint, Run
from memgen.attempt import work
from memgen.contract import events as ev
from memgen.contract.answers import AnswerRecord, LtpoTrace, read_answers
from memgen.contract.numbers import LARGEST_WHOLE
from memgen.contract.rundir import EXIT_DONE, EXIT_ERROR, RunDir, attempt_dir
from memgen.model import generation
from memgen.monitor import Monitor
from memgen.parallel.team import Team
from memgen.stages.training import TrainingLoop
from memgen.stop import StopRequest
from tests.backend.conftest import Backend, answer_line, check_problem
from tests.memgen.stages.running import config_of, events

PHASE = b'{"event": "phase", "name": "train", "time": 1}\n'
HUGE = [2**53, 2**63, 2**70, 10**400, -1]


def line(**fields: object) -> bytes:
    return json.dumps({"time": 1.0, **fields}).encode() + b"\n"


HOSTILE_EVENTS = [
    *(line(event="checkpoint", step=step, path="x") for step in HUGE),
    *(line(event="metric", name="m", step=step, value=1) for step in HUGE),
    *(line(event="progress", done=done, unit="steps") for done in (10**400, -1, 2**54)),
    *(line(event="started", stage="x", pid=pid) for pid in (2**70, -1)),
    line(event="progress", done=1, total=1e300, unit="steps"),
    line(event="metric", name="m", step=1, value=1, time=1e300),
    line(event="metric", name="m", step=1, value=1, time=-1),
    line(event="phase", name="x", time=2**70),
    line(event="finished", result={"a": {"deep": 1}}),
    line(event="finished", result={"a": 1e999}),
    line(event="checkpoint", step=1.5, path="x"),
    line(event="checkpoint", step=True, path={}),
    b'{"event": "progress", "done": NaN, "total": Infinity, "unit": "q", "time": 1}\n',
    b'{"event": "checkpoint", "step": 1e999, "path": "x", "time": 1}\n',
    b'{"event": "checkpoint", "step": ' + b"9" * 6000 + b', "path": "x", "time": 1}\n',
    b'{"event": "warning", "code": "c", "message": ' + b"[" * 50_000 + b"\n",
    b'{"event": "phase", "name": "\\ud800", "time": 1}\n',
]


def test_no_event_keeps_a_run_from_being_ended(backend: Backend) -> None:
    attempt = backend.started(stage="weaver_sft", num_questions=8)
    for number, data in enumerate(HOSTILE_EVENTS):
        good = line(event="metric", name="m", step=10 + number, value=1.0)
        assert attempt.send("events", data + good).status_code == 200, data[:90]
        assert backend.run(1)["status"] == "running"
    [series] = backend.get("/runs/1/metrics")["series"]
    assert series["steps"] == list(range(10, 10 + len(HOSTILE_EVENTS)))
    assert backend.stop(1, "force").status_code == 200
    assert attempt.finish("stopped", "stopped").status_code == 200
    assert backend.run(1)["status"] == "cancelled"


def test_largest_numbers_that_are_taken_can_be_stored_and_sent(backend: Backend) -> None:
    attempt = backend.started(stage="weaver_sft", num_questions=8)
    attempt.say(
        {"event": "checkpoint", "step": LARGEST_WHOLE, "path": "x"},
        {"event": "metric", "name": "m", "step": LARGEST_WHOLE, "value": 1.7e308},
        {"event": "progress", "done": 0, "total": LARGEST_WHOLE, "unit": "bytes"},
        {"event": "progress", "done": LARGEST_WHOLE, "total": LARGEST_WHOLE, "unit": "bytes", "time": 3e10},
    )
    assert backend.get("/runs/1/metrics")["series"][0]["steps"] == [LARGEST_WHOLE]
    assert backend.run(1)["progress"]["done"] == LARGEST_WHOLE


def test_long_texts_of_events_are_cut(backend: Backend) -> None:
    attempt = backend.started()
    attempt.say(
        {"event": "phase", "name": "p" * 10**5, "detail": "d" * 10**5},
        {"event": "progress", "done": 1, "unit": "u" * 10**5, "detail": "e" * 10**5},
        {"event": "warning", "code": "c" * 10**5, "message": "m" * 10**5},
    )
    assert len(json.dumps(backend.run(1))) < 20_000


def test_many_names_of_metrics_do_not_swell_a_summary(backend: Backend) -> None:
    attempt = backend.started(stage="weaver_sft", num_questions=8)
    attempt.say(*({"event": "metric", "name": f"train/{n}", "step": 1, "value": 1.0} for n in range(2000)))
    assert len(backend.run(1)["summary"]) == 500
    attempt.finish(result={f"x{n}" * 100: 1.0 for n in range(2000)})
    assert len(backend.run(1)["summary"]) == 500


def test_failure_in_text_that_can_not_be_sent_is_stored_as_far_as_it_can(backend: Backend) -> None:
    attempt = backend.started()
    failure = {"code": "x", "message": "a\ud800b" + "c" * 10**6, "value": "\udfff", "way_out": "y"}
    body = json.dumps({"outcome": "failed", "cause": "error", "exit_code": 1, "failure": failure})
    headers = {"Content-Type": "application/json"}
    assert attempt.post("finish", content=body.encode(), headers=headers).status_code == 200
    run = backend.run(1)
    assert (run["status"], run["failure"]["message"][:4], run["failure"]["value"]) == ("failed", "a?bc", "?")
    assert len(run["failure"]["message"]) == 2_000


@pytest.mark.parametrize(
    "changes",
    [
        {"index": 2**53}, {"index": 2**63}, {"completion_tokens": 2**70}, {"seconds": 1e300}, {"elapsed": 1e999},
        {"augmentations": [{"token": 2**70, "asked": True, "inserted": True}]},
        {"augmentations": [{"token": -1, "asked": True, "inserted": True}]},
        {"ltpo": [{"token": 0, "rewards": [], "best_step": 0, "distance": 1, "entropy": [], "top1": []}]},
        {"ltpo": [{"token": 0, "rewards": [1], "best_step": 7, "distance": 1, "entropy": [], "top1": []}]},
        {"ltpo": [{"token": 0, "rewards": [1e999], "best_step": 0, "distance": 1, "entropy": [], "top1": []}]},
        {"metrics": {"accuracy": 1e999}},
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_answer_out_of_bounds_is_skipped(backend: Backend, tmp_path: Path, changes: dict[str, Any]) -> None:
    attempt = backend.started()
    hostile = json.dumps(json.loads(answer_line(1)) | changes).encode() + b"\n"
    assert attempt.send("answers", hostile + answer_line(2)).status_code == 200
    assert [item["index"] for item in backend.get("/runs/1/answers")["items"]] == [2]
    (tmp_path / "answer.json").write_bytes(answer_line(0) + hostile)
    with pytest.raises(ValueError, match=r"line 2 of answer\.json is broken"):
        read_answers(tmp_path / "answer.json")


def test_deep_line_of_an_answer_file_is_an_error_with_its_number(tmp_path: Path) -> None:
    (tmp_path / "answer.json").write_bytes(answer_line(0) + b"[" * 100_000 + b"\n")
    with pytest.raises(ValueError, match=r"line 2 of answer\.json is broken: the line is nested too deep"):
        read_answers(tmp_path / "answer.json")


@pytest.mark.parametrize("separator", ["\u2028", "\u0085", "\x0b", "\x1e", "\r"])
def test_separators_in_an_answer_end_no_line(backend: Backend, tmp_path: Path, separator: str) -> None:
    data = answer_line(0, completion=f"a{separator}b") + answer_line(1)
    (tmp_path / "answer.json").write_bytes(data)
    answers, _ = read_answers(tmp_path / "answer.json")
    assert answers[0].completion == f"a{separator}b"
    attempt = backend.started()
    assert attempt.send("answers", data).status_code == 200
    assert backend.get("/runs/1/answers")["items"][0]["completion"] == f"a{separator}b"


@pytest.mark.parametrize("separator", ["\u2028", "\u0085", "\x0b", "\x1e", "\r"])
def test_failure_whose_message_holds_a_separator_is_found_by_the_supervisor(tmp_path: Path, separator: str) -> None:
    from worker.verdict import judge

    run_dir = RunDir(tmp_path)
    with run_dir.events.open("wb") as file:
        said = ev.Failed(time=1.0, code="x", message=f"a{separator}b")
        file.write(said.model_dump_json().encode() + b"\n")
    judged = judge(EXIT_ERROR, run_dir, stop_asked=False, was_forced=False)
    assert judged.failure is not None
    assert judged.failure.message == f"a{separator}b"


def test_stored_answer_of_older_rules_hides_no_other(backend: Backend) -> None:
    attempt = backend.started()
    attempt.answer(0, 1, 2)
    attempt.finish()
    with backend.context.database.write() as session:
        row = session.get_one(Answer, (1, 1, 1))
        row.record = json.dumps(json.loads(row.record) | {"completion_tokens": 2**70})
        session.add(row)
        session.get_one(Answer, (1, 1, 2)).record = "no JSON"
    assert [item["index"] for item in backend.get("/runs/1/answers")["items"]] == [0]


# --- the reconciler


def poisoned(backend: Backend, monkeypatch: pytest.MonkeyPatch, name: str, run_id: int) -> None:
    """Let a function of the backend fail for one run, as a row does that nobody thought of."""
    import importlib

    module, _, function = name.rpartition(".")
    whole = getattr(importlib.import_module(module), function)

    def fail(*given: Any, **named: Any) -> Any:
        runs = [one for one in given if isinstance(one, Run | Attempt)]
        if any((one.id if isinstance(one, Run) else one.run_id) == run_id for one in runs) or run_id in given:
            raise ValueError("poison")
        return whole(*given, **named)

    monkeypatch.setattr(name, fail)


def lose(backend: Backend) -> None:
    for _ in range(14):
        backend.clock.pass_time(5)
        backend.reconciler.round()


def test_attempt_that_can_not_be_judged_keeps_no_other_from_being_found(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.reconciler.round()
    for slot in ("cpu0", "cpu1"):
        backend.submit()
        backend.held(slot=slot)
    monkeypatch.setattr(
        "backend.services.retries.resume_source",
        lambda attempts: (_ for _ in ()).throw(ValueError("poison")) if attempts[0].run_id == 1 else (None, ""),
    )
    lose(backend)
    assert [backend.run(n)["attempts"][0]["status"] for n in (1, 2)] == ["starting", "lost"]
    monkeypatch.undo()


def test_what_a_lost_attempt_left_and_nobody_can_take_keeps_it_from_nothing(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.reconciler.round()
    backend.started()
    poisoned(backend, monkeypatch, "backend.services.ingest.take_events", 1)
    lose(backend)
    assert [one["status"] for one in backend.run(1)["attempts"]] == ["lost", "queued"]


def test_pipe_in_the_place_of_a_lost_attempts_file_stops_nothing(backend: Backend) -> None:
    backend.reconciler.round()
    held = backend.started()
    folder = attempt_dir(backend.home, held.run_id, 1, "evaluate")
    folder.path.mkdir(parents=True)
    os.mkfifo(folder.events)
    lose(backend)
    assert backend.run(1)["attempts"][0]["status"] == "lost"


def test_event_of_a_lost_attempts_file_that_can_not_be_stored_stops_nothing(backend: Backend) -> None:
    backend.reconciler.round()
    held = backend.started(stage="weaver_sft", num_questions=8)
    folder = attempt_dir(backend.home, held.run_id, 1, "weaver_sft")
    folder.path.mkdir(parents=True)
    folder.events.write_bytes(line(event="checkpoint", step=2**70, path="x") + b"".join(HOSTILE_EVENTS))
    lose(backend)
    assert [one["status"] for one in backend.run(1)["attempts"]] == ["lost", "queued"]


def test_child_that_can_not_be_settled_keeps_no_parent_from_its_end(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.submit_pipeline()
    poisoned(backend, monkeypatch, "backend.services.children._settle_one", 3)
    assert [backend.work(), backend.work()] == [1, 2]
    lose(backend)
    statuses = [backend.run(run_id)["status"] for run_id in (2, 3, 4)]
    assert statuses == ["succeeded", "waiting", "queued"]
    assert backend.reconciler.age() == 0


def test_rows_that_descend_in_circles_end_no_round_and_no_reply(backend: Backend) -> None:
    backend.reconciler.round()
    for _ in range(2):
        backend.submit(stage="weaver_sft", num_questions=8, batch_size=4)
        backend.work("failed")
    child = backend.submit()
    with backend.context.database.write() as session:
        for run_id, parent_id in ((1, 2), (2, 1), (child, 2)):
            session.get_one(Run, run_id).parent_id = parent_id
        session.get_one(Run, 1).status = session.get_one(Run, 2).status = "skipped"
        session.get_one(Run, child).status = "waiting"
    backend.reconciler.round()
    assert backend.run(child)["status"] == "skipped"
    for query in ({"run": 1}, {"run": child}, {}):
        assert {node["run_id"] for node in backend.get("/lineage", **query)["nodes"]} == {1, 2, child}
    assert backend.get("/checkpoints", stage="evaluate", split="validation", seed=1)["items"]


@pytest.mark.parametrize(
    "manifest", [{}, {"files": {"../x": "y"}}, [], "text", {"latents": {"prompt_latents_len": 2**70}}]
)
def test_stored_manifest_that_can_not_be_used_is_one_damaged_checkpoint(backend: Backend, manifest: Any) -> None:
    for _ in range(2):
        backend.submit(stage="weaver_sft", num_questions=8, batch_size=4)
        backend.work()
    backend.reconciler.round()
    with backend.context.database.write() as session:
        session.get_one(Checkpoint, 1).manifest = manifest
    items = backend.get("/checkpoints", stage="evaluate", setting="weaver")["items"]
    assert [(one["id"], one["usable"]) for one in items] == [(2, True), (1, False)]
    config = backend.config | {"setting": "weaver", "checkpoint": "1"}
    check_problem(backend.user("POST", "/runs", json={"config": config}), 422, "checkpoint_damaged")


@pytest.mark.parametrize("data", [b"[" * 9999, b'"\\ud800"', b" " * 2**21, b"{}", b'{"step": 1e999}'])
def test_manifest_that_can_not_be_read_is_no_checkpoint(backend: Backend, data: bytes) -> None:
    backend.submit(stage="weaver_sft", num_questions=8, batch_size=4)
    held = backend.held()
    folder = backend.leave_checkpoint(held)
    (folder / "manifest.json").write_bytes(data)
    (folder / "broken link").symlink_to("nowhere")
    assert held.finish().status_code == 200
    assert backend.run(1)["failure"]["code"] == "bad_run_folder"
    [one] = backend.get("/checkpoints", stage="evaluate", setting="weaver")["items"]
    assert not one["usable"]


# --- the trainer's side


def monitor_in(folder: Path) -> Monitor:
    return Monitor(folder / "events.jsonl", clock=lambda: 1.0)


@pytest.mark.parametrize(
    "say",
    [
        lambda m: m.metric("train/loss", 1, math.nan),
        lambda m: m.metric("train/loss", 1, math.inf),
        lambda m: m.metric("x" * 101, 1, 1.0),
        lambda m: m.metric("a", 2**70, 1.0),
        lambda m: m.progress(math.nan, 1, "steps"),
        lambda m: m.checkpoint(2**70, "x"),
        lambda m: m.finished({"a": math.nan}),
    ],
)  # fmt: skip
def test_event_out_of_bounds_is_said_once_and_takes_nothing_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], say: Callable[[Monitor], None]
) -> None:
    monitor = monitor_in(tmp_path)
    say(monitor)
    say(monitor)
    monitor.phase("next")
    assert [json.loads(one)["event"] for one in (tmp_path / "events.jsonl").read_bytes().splitlines()] == ["phase"]
    assert capsys.readouterr().err.count("warning: an event") == 1


def test_line_that_was_torn_swallows_no_later_one(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(PHASE + PHASE[:20])
    for _ in range(2):
        monitor = monitor_in(tmp_path)
        monitor.phase("next")
        monitor.close()
    assert [one["name"] for one in map(json.loads, path.read_bytes().splitlines()[2:])] == ["next", "next"]


def test_texts_of_events_are_cut_and_can_be_written(tmp_path: Path) -> None:
    monitor = monitor_in(tmp_path)
    monitor.warn("c", "a\udc80b" + "x" * 10**6)
    monitor.failed(ev.Failed(time=1.0, code="x", message="\ud800", traceback="y" * 10**6))
    first, second = (tmp_path / "events.jsonl").read_bytes().splitlines()
    assert json.loads(first)["message"][:3] == "a?b"
    assert len(first) + len(second) < 50_000


def test_line_that_the_terminal_can_not_show_is_said_in_escapes(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w", encoding="ascii") as out:
        Monitor(None, show=out).say("é \ud800 €")
    assert (tmp_path / "out").read_text() == "\\xe9 \\ud800 \\u20ac\n"


def ends(home: Path, folder: Path, **fields: Any) -> tuple[int, ev.Failed | None]:
    """How the command line's attempt of a run on the tiny base ends."""
    folder.mkdir(parents=True)
    config = config_of(**fields)
    monitor = Monitor(folder / "events.jsonl")
    ending = work(config, RunDir(folder, config.stage), None, monitor, StopRequest(), Team())
    monitor.close()
    return ending.exit_code, ending.failed


EVALUATION = {"stage": "evaluate", "num_questions": 2, "batch_size": 2, "max_completion_length": 4}


def test_logits_that_are_no_numbers_end_an_evaluation_with_a_sentence(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = generation._OnlyNumbers.__call__

    def spoil(self: Any, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores = scores.clone()
        scores[1, 7] = math.nan
        return whole(self, ids, scores)

    monkeypatch.setattr(generation._OnlyNumbers, "__call__", spoil)
    code, failed = ends(home, tmp_path / "run", **EVALUATION)
    assert failed is not None
    assert (code, failed.code, failed.traceback) == (EXIT_ERROR, "diverged", None)
    assert "the base model's logits are no numbers" in failed.message
    assert failed.way_out


def test_latents_that_are_no_numbers_end_an_evaluation_with_a_sentence(
    home: Path, tmp_path: Path, weaver: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from memgen.model.memgen_model import MemGenModel

    whole = MemGenModel._out_of_weaver
    monkeypatch.setattr(MemGenModel, "_out_of_weaver", lambda self, hidden: whole(self, hidden) * math.nan)
    for stage in ({"stage": "evaluate", "setting": "weaver"}, {"stage": "ltpo_evaluate", "setting": "weaver+ltpo"}):
        folder = tmp_path / stage["stage"]
        code, failed = ends(home, folder, **(EVALUATION | stage), checkpoint=str(weaver))
        assert failed is not None
        assert (code, failed.code) == (EXIT_ERROR, "diverged")
        assert read_answers(RunDir(folder, stage["stage"]).answers)[0] == []


def test_noise_that_has_died_away_ends_reinforce_with_a_sentence(home: Path, tmp_path: Path, weaver: Path) -> None:
    noise = {"update": "reinforce", "sigma": 1e-30, "sigma_decay": 1e-9, "max_steps": 40}
    fields = EVALUATION | {"stage": "ltpo_evaluate", "setting": "weaver+ltpo"} | noise
    code, failed = ends(home, tmp_path / "run", **fields, checkpoint=str(weaver))
    assert failed is not None
    assert (code, failed.code) == (EXIT_ERROR, "diverged")
    assert "sigma" in failed.way_out


TRAINING = {"stage": "weaver_sft", "num_questions": 4, "batch_size": 2, "max_steps": 2, "eval_questions": 2}


def test_loss_that_is_no_number_ends_a_training_with_a_sentence_and_saves_nothing(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = TrainingLoop._step
    monkeypatch.setattr(
        TrainingLoop, "_step", lambda self, n, step: whole(self, n, lambda n: step(n) | {"loss": math.nan})
    )
    code, failed = ends(home, tmp_path / "run", **TRAINING)
    assert failed is not None
    assert (code, failed.code, failed.traceback) == (EXIT_ERROR, "diverged", None)
    assert "loss nan" in failed.message
    assert "learning_rate" in failed.way_out
    assert not RunDir(tmp_path / "run", "weaver_sft").output.exists()


def test_weights_that_are_no_numbers_are_never_saved(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = TrainingLoop._step

    def spoil(self: TrainingLoop, number: int, step: Any) -> dict[str, float]:
        metrics = whole(self, number, step)
        if number == 1:
            self._parameters[0].data.view(-1)[3] = math.inf
        return metrics

    monkeypatch.setattr(TrainingLoop, "_step", spoil)
    code, failed = ends(home, tmp_path / "run", **(TRAINING | {"eval_questions": 0}))
    assert failed is not None
    assert (code, failed.code) == (EXIT_ERROR, "diverged")
    assert "weights after step 2" in failed.message
    assert not RunDir(tmp_path / "run", "weaver_sft").output.exists()


def test_validation_loss_that_is_no_number_ends_a_training(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from memgen.stages.weaver_sft import Teacher

    monkeypatch.setattr(Teacher, "_summed_loss", lambda *_: torch.tensor(math.nan))
    code, failed = ends(home, tmp_path / "run", **TRAINING)
    assert failed is not None
    assert (code, failed.code) == (EXIT_ERROR, "diverged")
    assert "validation loss" in failed.message


def test_result_leaves_out_what_json_can_not_carry(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memgen.attempt.run_stage", lambda *_: {"a": 1.0, "b": math.nan, "c": math.inf})
    code, failed = ends(home, tmp_path / "run", **EVALUATION)
    assert (code, failed) == (EXIT_DONE, None)
    assert json.loads(RunDir(tmp_path / "run").result.read_text()) == {"a": 1.0}
    assert "b, c" in events(tmp_path / "run", "warning")[0]["message"]


def test_bounds_of_the_contract_are_those_of_what_is_stored() -> None:
    for step in HUGE:
        for event in (ev.Checkpoint, ev.Metric):
            with pytest.raises(ValidationError):
                event(time=1.0, step=step, path="x", name="m", value=1.0)  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        LtpoTrace(token=0, rewards=[math.nan], best_step=0, distance=0, entropy=[], top1=[])
    assert AnswerRecord.model_validate_json(answer_line(LARGEST_WHOLE)).index == LARGEST_WHOLE
