"""Stage `evaluate`: answer questions greedily, score the answers, append each as it is done.

Batches are fixed slices of the question list. A resumed evaluation generates a half-answered batch whole
again and keeps only what was missing, so that every answer comes from the same batch as without a stop.
"""

import os
import time
from pathlib import Path

from memgen.contract.answers import AnswerRecord, Summary, read_answers, summarize
from memgen.contract.config import EvaluateConfig
from memgen.contract.errors import BadInput
from memgen.contract.presets import get_preset
from memgen.contract.rundir import RunDir, write_json
from memgen.data import load_questions
from memgen.data.questions import Question
from memgen.environment import describe, same_conditions
from memgen.model.chat import question_messages, render
from memgen.monitor import Monitor
from memgen.scoring import extract_answer, score
from memgen.stop import StopRequest


def evaluate(
    config: EvaluateConfig,
    run_dir: RunDir,
    resume: RunDir | None,
    home: Path,
    gsm8k_folder: Path | None,
    monitor: Monitor,
    stop: StopRequest,
) -> dict[str, float]:
    """Run the stage; returns the summary's metrics.

    Args:
        config: what to evaluate.
        run_dir: where the answer file goes.
        resume: folder of an earlier attempt whose answers are taken over; may be `run_dir` itself.
        home: where weights are kept.
        gsm8k_folder: folder with GSM8K, or None for the hub.
        monitor: told about phases, progress and metrics.
        stop: asked at every token.

    Raises:
        BadInput: data, model or the folder to resume can't be used.
        Stopped: a stop was asked for; answers given so far are in the file.
    """
    questions = _questions(config, gsm8k_folder, monitor)

    from memgen.model.base import load_base, use_threads  # torch takes seconds: not before the config is known good
    from memgen.model.fetch import fetch_model
    from memgen.model.generation import encode_prompts, generate_greedy

    threads = use_threads()
    source = fetch_model(get_preset(config.preset), config.revision, home, monitor)
    stop.check()
    monitor.phase("load", source.identity)
    base = load_base(source, config.dtype)
    environment = describe(config, base, source, threads)
    if resume is not None:
        same_conditions(environment, resume)
    write_json(run_dir.environment, environment)

    prompts = encode_prompts(base, [render(question_messages(q.question)) for q in questions], config.max_prompt_length)
    taken_from = resume.answers if resume else None
    book = AnswerBook(run_dir.answers, questions, monitor, config.batch_size, taken_from)
    monitor.phase("generate", f"{len(questions)} questions in batches of {config.batch_size}")
    book.report()
    for start in range(0, len(questions), config.batch_size):
        batch = range(start, min(start + config.batch_size, len(questions)))
        if all(index in book for index in batch):
            continue
        began = time.perf_counter()

        def on_row(row: int, ids: list[int], truncated: bool, first: int = start, began: float = began) -> None:
            text = base.tokenizer.decode(ids, skip_special_tokens=True)
            book.add(first + row, text, len(ids), truncated, time.perf_counter() - began)

        generate_greedy(
            base,
            [prompts[index] for index in batch],
            config.max_completion_length,
            on_row,
            lambda: stop.requested() is not None,
        )
        stop.check()
    return book.close().summary_metrics


class AnswerBook:
    """The answer file of a run while it is written: each question once, appended as it is answered."""

    def __init__(
        self,
        path: Path,
        questions: list[Question],
        monitor: Monitor,
        batch_size: int,
        taken_from: Path | None = None,
    ) -> None:
        self._questions = questions
        self._batch_size = batch_size
        self._monitor = monitor
        self._answers: dict[int, AnswerRecord] = {}
        self._began = time.perf_counter()
        self._seconds_before = 0.0
        self._new_tokens = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        if taken_from is not None and taken_from.exists():
            self._take_over(taken_from, path)
        self._file = path.open("ab", buffering=0)

    def __contains__(self, index: int) -> bool:
        return index in self._answers

    def add(self, index: int, completion: str, tokens: int, truncated: bool, seconds: float) -> None:
        """Score and append one answer; one that is already there stays as it is.

        Args:
            index: place of the question in the list.
            completion: generated text without the end token.
            tokens: its length in tokens.
            truncated: whether it ended at the length limit.
            seconds: since the start of its batch.
        """
        if index in self._answers:
            return
        question = self._questions[index]
        record = AnswerRecord(
            id=question.id,
            index=index,
            prompt=question_messages(question.question),
            solution=question.solution,
            completion=completion,
            metrics=score(completion, question.solution),
            completion_tokens=tokens,
            truncated=truncated,
            seconds=round(seconds, 3),
        )
        self._append(record.model_dump_json())
        self._answers[index] = record
        self._new_tokens += tokens
        mark = "right" if record.metrics["accuracy"] else "wrong"
        said = extract_answer(completion)
        self._monitor.say(
            f"[{len(self._answers)}/{len(self._questions)}] {question.id} {mark}: "
            f"{'nothing' if said is None else said[:40]!r}, expected {question.answer!r}, {tokens} tokens"
            f"{' (truncated)' if truncated else ''}, {seconds:.1f} s"
        )
        self.report()

    def report(self) -> None:
        """Tell progress and the running means."""
        n = len(self._answers)
        self._monitor.progress(n, len(self._questions), "questions")
        if n == 0:
            return
        means = summarize(list(self._answers.values()), 0.0).summary_metrics
        for name in ("accuracy", "compute_reward", "format_ok", "truncated", "mean_completion_tokens"):
            self._monitor.metric(f"eval/{name}", n, means[name])
        if self._new_tokens:
            rate = self._new_tokens / (time.perf_counter() - self._began)
            self._monitor.metric("eval/tokens_per_second", n, rate)

    def close(self) -> Summary:
        """Append the summary; from then on the file is complete."""
        answers = [self._answers[index] for index in range(len(self._questions))]
        summary = summarize(answers, self._seconds_before + time.perf_counter() - self._began)
        self._append(summary.model_dump_json())
        os.fsync(self._file.fileno())
        self._file.close()
        return summary

    def _append(self, line: str) -> None:
        data = (line + "\n").encode()
        while data:  # an unbuffered write may be short
            data = data[self._file.write(data) :]

    def _take_over(self, source: Path, target: Path) -> None:
        try:
            answers, summary = read_answers(source)
        except ValueError as error:
            raise BadInput(
                "resume_damaged",
                f"the answer file to resume can't be read: {error}",
                field="resume",
                value=source.parent.parent.name,
                way_out="Start again without --resume.",
            ) from error
        for answer in answers:
            if answer.index >= len(self._questions) or self._questions[answer.index].id != answer.id:
                raise BadInput(
                    "resume_mismatch",
                    "the answer file to resume answers other questions",
                    field="resume",
                    value=answer.id,
                    way_out="Start again without --resume.",
                )
            self._answers.setdefault(answer.index, answer)
        batches: dict[int, float] = {}  # a batch took as long as its last row
        for answer in answers:
            batch = answer.index // self._batch_size
            batches[batch] = max(batches.get(batch, 0.0), answer.seconds)
        self._seconds_before = sum(batches.values())
        lines = [answer.model_dump_json() + "\n" for answer in self._answers.values()]
        temporary = target.with_suffix(".taken")
        temporary.write_text("".join(lines), encoding="utf-8")
        temporary.replace(target)  # a torn last line and an old summary are gone
        done = "complete" if summary else "incomplete"
        self._monitor.say(f"resumed: {len(self._answers)} of {len(self._questions)} answers taken over ({done} file)")


def _questions(config: EvaluateConfig, gsm8k_folder: Path | None, monitor: Monitor) -> list[Question]:
    where = f"folder {gsm8k_folder}" if gsm8k_folder and config.data == "gsm8k" else ""
    monitor.phase("data", f"{config.data} {config.split} {where}".strip())
    return load_questions(
        config.data, config.split, seed=config.seed, limit=config.num_questions, gsm8k_folder=gsm8k_folder
    )
