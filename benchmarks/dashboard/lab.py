"""Runs of a lab as its workers would report them, over HTTP: answers, curves, logs, checkpoints, failures.

Questions are generated word problems, whatever data set a run names; what models say of them, and all numbers, are made
up to be plausible and show nothing about any model.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from backend.api.calls.work import Stream
from backend.api.client import Client
from backend.api.schemas import Announce, ClaimedAttempt, ClaimRequest, FinishRequest, SlotReport, Versions
from memgen.contract.checkpoint_kinds import KINDS
from memgen.contract.manifest import MANIFEST, file_hash, survey
from memgen.contract.presets import DEMO_PRESET
from memgen.contract.problem import Problem
from memgen.contract.rundir import attempt_dir, write_json
from memgen.contract.stages import stage_named, trains
from memgen.contract.status import Cause
from memgen.data.questions import Question
from memgen.data.wordproblems import load_wordproblems
from memgen.scoring import SCORER_VERSIONS

HOST, MEMORY = "lab", 80 * 2**30
SLOT = SlotReport(name="cpu", device="cpu", total_memory=MEMORY)
AT_ONCE = 4 * 2**20  # bytes of a stream in one report
FIRST = 1_000_000  # priority of what is claimed next
LATENTS = {"prompt_latents_len": 8, "inference_latents_len": 8, "max_prompt_aug_num": 1, "max_inference_aug_num": 5}
Events = Sequence[Mapping[str, Any]]


class Report:
    """A run under way, and the way to report on it.

    Args:
        home: of the backend.
        client: with the attempt's token.
        attempt: that was claimed.
    """

    def __init__(self, home: Path, client: Client, attempt: ClaimedAttempt) -> None:
        self.run_id = attempt.run_id
        self._home = home
        self._client = client
        self._attempt = attempt
        self._offsets: dict[str, int] = {}

    def send(self, stream: Stream, data: bytes) -> None:
        """Bytes of a file, in whole lines."""
        while data:
            cut = len(data) if len(data) <= AT_ONCE else data.rindex(b"\n", 0, AT_ONCE) + 1
            offset = self._offsets.get(stream, 0)
            self._offsets[stream] = self._client.send_stream(self._attempt.attempt_id, stream, offset, data[:cut])
            data = data[cut:]

    def say(self, *events: Mapping[str, Any]) -> None:
        """Events, in their order."""
        self.send("events", _lines({"time": 1.0, **event} for event in events))

    def answer(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Answers to questions."""
        self.send("answers", _lines(records))

    def succeed(self, result: Mapping[str, Any], environment: Mapping[str, Any]) -> int:
        """End well, a training with its checkpoint; returns the number of the run."""
        stage = self._attempt.config["stage"]
        checkpoint = None
        if trains(stage):
            folder = attempt_dir(self._home, self.run_id, self._attempt.number, stage).output
            checkpoint = survey(write_checkpoint(folder, stage_named(stage).makes or "", self.run_id))
        self._client.finish(
            self._attempt.attempt_id,
            FinishRequest(
                outcome="succeeded", cause=Cause.DONE, exit_code=0, result=dict(result), environment=dict(environment),
                checkpoint=checkpoint,
            ),
        )  # fmt: skip
        return self.run_id

    def stop(self) -> None:
        """End as a user has asked."""
        self._client.finish(
            self._attempt.attempt_id, FinishRequest(outcome="stopped", cause=Cause.STOPPED, exit_code=3)
        )

    def fail(self, failure: Problem, traceback: str) -> int:
        """End with an error; returns the number of the run."""
        self._client.finish(
            self._attempt.attempt_id,
            FinishRequest(outcome="failed", cause=Cause.ERROR, exit_code=1, failure=failure, traceback=traceback),
        )
        return self.run_id


class Lab:
    """What users and workers of a lab do.

    Args:
        home: of the backend.
        user, worker: clients of the backend.
        preset: the model of its runs.
        data: the data set of its runs.
    """

    def __init__(
        self, home: Path, user: Client, worker: Client, preset: str = DEMO_PRESET, data: str = "wordproblems"
    ) -> None:
        self.user = user
        self._home = home
        self._worker = worker
        self._shared = {"preset": preset, "data": data}
        self._environment = {
            "model": "hub:lab", "prompt_hash": "p", "zero_shot_prompt_hash": "p",
            "scorer_version": SCORER_VERSIONS["number"],
        }  # fmt: skip
        worker.announce(Announce(host=HOST, boot_id="b", pid=1, slots=[SLOT], versions=Versions.of_this()))

    def begin(self, note: str = "", **config: object) -> Report:
        """A run that was launched and claimed."""
        run = self.user.submit(self._shared | config, note=note)
        self.user.set_priority(run.id, FIRST)
        request = ClaimRequest(
            host=HOST, boot_id="b", pid=1, slot=SLOT, free_memory=MEMORY, versions=Versions.of_this()
        )
        attempt = self._worker.claim(request).attempt
        if attempt is None or attempt.run_id != run.id:
            raise RuntimeError(f"run {run.id} was not handed out")
        report = Report(self._home, Client(self.user.url, attempt.token, timeout=60), attempt)
        report.say({"event": "started", "stage": config["stage"], "pid": 1})
        return report

    def evaluate(self, questions: int, share: float, note: str = "", **config: object) -> int:
        """A finished evaluation that answered this share of its questions rightly; returns its number."""
        report = self.begin(note, **{"stage": "evaluate", "num_questions": questions} | config)
        weaves = config.get("setting", "base") != "base" or config.get("stage") == "ltpo_evaluate"
        records = answers(questions, share, insertions=weaves, ltpo=config.get("stage") == "ltpo_evaluate")
        right = [record["metrics"]["accuracy"] for record in records]
        running = [sum(right[: n + 1]) / (n + 1) for n in range(len(right))]
        report.say({"event": "phase", "name": "generate"}, *metric("eval/accuracy", running))
        report.answer(records)
        report.send("log", "".join(f"[{n + 1}/{questions}] answered\n" for n in range(questions)).encode())
        strict = sum(record["metrics"]["accuracy_strict"] for record in records) / questions
        result = {
            "num_questions": questions, "accuracy": sum(right) / questions, "accuracy_strict": strict,
            "format_ok": 1.0, "mean_completion_tokens": 60.0, "truncated": 0.0, "seconds": questions * 0.4,
        }  # fmt: skip
        return report.succeed(result, self._environment)

    def train(self, stage: str, steps: int = 60, note: str = "", **config: object) -> int:
        """A finished training with its checkpoint; returns its number."""
        report = self.begin(note, stage=stage, num_questions=None, **config)
        report.say({"event": "phase", "name": "train"}, *curves(stage, range(1, steps + 1), steps))
        report.send("log", "".join(f"step {n} of {steps}\n" for n in range(1, steps + 1)).encode())
        return report.succeed({"steps": steps, "seconds": steps * 5.0}, self._environment)

    def fail(self, failure: Problem, note: str = "", **config: object) -> int:
        """A run whose trainer ended with an error; returns its number."""
        report = self.begin(note, **config)
        trace = f"Traceback (most recent call last):\n  ...\nBadInput: {failure.message}\n"
        report.send("log", f"loading the model\n{trace}".encode())
        return report.fail(failure, trace)


def metric(name: str, values: Sequence[float], first: int = 1) -> list[dict[str, Any]]:
    """Events of a metric, from a step on."""
    return [{"event": "metric", "name": name, "step": step, "value": value} for step, value in enumerate(values, first)]


def curves(stage: str, steps: range, last: int) -> list[dict[str, Any]]:
    """What a training tells of some of its steps."""
    drawn = Random(steps.start)
    events: list[dict[str, Any]] = []
    for step in steps:
        done = step / last
        noise = drawn.uniform(-0.04, 0.04)
        values = {"train/grad_norm": 0.9 - 0.4 * done + noise, "train/learning_rate": 1e-3 * (1 - done)}
        if stage.endswith("grpo"):
            values |= {
                "train/reward": 0.3 + 0.35 * (1 - math.exp(-3 * done)) + noise,
                "train/reward_std": 0.3 - 0.1 * done + noise / 2,
                "train/insert_rate": 0.9 - 0.3 * done + noise / 2,
                "train/completions/mean_length": 70 - 10 * done + 20 * noise,
            }
        else:
            values |= {"train/loss": 0.35 + 1.3 * math.exp(-5 * done) + noise, "train/epoch": 2 * done}
        events += [{"event": "metric", "name": name, "step": step, "value": value} for name, value in values.items()]
    return [*events, {"event": "progress", "done": steps[-1], "total": last, "unit": "steps"}] if events else []


def answers(number: int, share: float, *, insertions: bool, ltpo: bool = False) -> list[dict[str, Any]]:
    """Records of answers to the first questions, of which this share is right."""
    drawn = Random(f"{number} {share}")
    return [
        _answer(index, question, drawn.random() < share, insertions=insertions, ltpo=ltpo)
        for index, question in enumerate(questions(number))
    ]


def questions(number: int) -> list[Question]:
    """So many generated word problems."""
    return [*load_wordproblems("test"), *load_wordproblems("train")][:number]


def _answer(index: int, question: Question, right: bool, *, insertions: bool, ltpo: bool) -> dict[str, Any]:
    said = question.answer if right else str(int(re.sub(r"\D", "", question.answer) or 0) + 3)
    reasoning = re.sub(r"<<[^>]*>>", "", question.solution.rpartition("\\boxed")[0]).strip()
    text = f"{reasoning}\nThe answer is \\boxed{{{said}}}."
    points = [0, *(match.end() for match in re.finditer(r"[.\n] ?", text))][:6] if insertions else []
    record: dict[str, Any] = {
        "id": question.id,
        "index": index,
        "question": question.question,
        "prompt": [{"role": "user", "content": question.question}],
        "solution": question.solution,
        "completion": text,
        "metrics": {"accuracy": float(right), "accuracy_strict": float(right), "format_ok": 1.0},
        "completion_tokens": len(text) // 4,
        "truncated": False,
        "augmentations": [
            {"token": point // 4, "asked": point > 0, "inserted": number != 2, "character": point}
            for number, point in enumerate(points)
        ],
        "seconds": 0.4,
    }
    if ltpo:
        rewards = [0.4 + 0.05 * step for step in range(4)]
        record["ltpo"] = [
            {"token": point // 4, "rewards": rewards, "best_step": 3, "distance": 1.5, "entropy": [2.0, 1.6],
             "top1": [0.4, 0.5]}
            for number, point in enumerate(points)
            if number != 2
        ]  # fmt: skip
    return record


def rollouts(step: int, groups: int = 2) -> bytes:
    """Lines of what a training from rewards has kept of a step."""
    lines = []
    for place, question in enumerate(questions(40)[(step * groups) % 30 :][:groups]):
        drawn = Random(f"{step} {place}")
        rewards = [float(drawn.random() < 0.25 + step / 100) for _ in range(4)]
        mean = sum(rewards) / 4
        lines.append(
            {
                "step": step,
                "place": place,
                "id": question.id,
                "question": question.question,
                "solution": question.solution,
                "expected": question.answer,
                "completions": [_rollout(question, reward, reward - mean) for reward in rewards],
            }
        )
    return _lines(lines)


def _rollout(question: Question, reward: float, advantage: float) -> dict[str, Any]:
    record = _answer(0, question, reward > 0, insertions=True, ltpo=False)
    return {
        "completion": record["completion"],
        "extracted": question.answer if reward else None,
        "rewards": {"accuracy": reward},
        "advantage": advantage,
        "completion_tokens": record["completion_tokens"],
        "truncated": False,
        "boxed": True,
        "augmentations": [{**point, "probability": 0.75} for point in record["augmentations"]],
    }


def write_checkpoint(folder: Path, kind: str, number: int) -> Path:
    """What a training leaves, with a few bytes in the place of its weights: nothing can be loaded from it."""
    layout = KINDS[kind].layout
    folder.mkdir(parents=True)
    weights = folder / "parts.safetensors"
    weights.write_bytes(f"weights of {number}".encode())
    manifest = {
        "kind": kind, "base_model": "hub:lab", "tokenizer_hash": "t", "latents": LATENTS if layout.has_latents else {},
        "trained": ["weaver"] if kind == "weaver" else list(layout.adapters), "lora": {}, "prompt_hash": "p",
        "step": 60, "files": {weights.name: file_hash(weights)},
    }  # fmt: skip
    write_json(folder / MANIFEST, manifest)
    return folder


def _lines(records: Sequence[Mapping[str, Any]] | Iterator[Mapping[str, Any]]) -> bytes:
    return b"".join(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records)
