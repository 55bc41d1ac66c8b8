"""The answer file while a stage writes it: scored, appended, told, and taken over from an earlier attempt."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

from memgen.contract.answers import AnswerRecord, Augmentation, LtpoTrace, Summary, read_answers, summarize
from memgen.contract.errors import BadInput
from memgen.data.questions import Question
from memgen.model.chat import question_messages
from memgen.monitor import Monitor
from memgen.scoring import extract_answer, score

TELL_SECONDS = 2.0  # between two words while there is no new answer


class AnswerBook:
    """The answer file of a run while it is written: each question once, appended as it is answered."""

    def __init__(
        self,
        path: Path,
        questions: list[Question],
        monitor: Monitor,
        taken_from: Path | None = None,
    ) -> None:
        self._questions = questions
        self._monitor = monitor
        self._answers: dict[int, AnswerRecord] = {}
        self._began = time.perf_counter()
        self._seconds_before = 0.0
        self._new_tokens = 0
        self._begun: dict[int, float] = {}
        self._told_at = self._began
        path.parent.mkdir(parents=True, exist_ok=True)
        if taken_from is not None and taken_from.exists():
            self._take_over(taken_from, path)
        self._file = path.open("ab", buffering=0)

    def __contains__(self, index: int) -> bool:
        return index in self._answers

    @property
    def missing(self) -> list[int]:
        """Places of the questions that have no answer yet."""
        return [index for index in range(len(self._questions)) if index not in self._answers]

    def begin(self, index: int) -> None:
        """A completion for this question begins."""
        self._begun[index] = time.perf_counter()

    def tell_step(self, _steps: int) -> None:
        """Every completion under way has one more token; told every few seconds."""
        now = time.perf_counter()
        if now - self._told_at > TELL_SECONDS:
            self._told_at = now
            under_way = len(self._begun.keys() - self._answers.keys())
            self._monitor.progress(len(self._answers), len(self._questions), "questions", f"{under_way} under way")

    def add(
        self,
        index: int,
        completion: str,
        tokens: int,
        truncated: bool,
        augmentations: Sequence[Augmentation] = (),
        ltpo: list[LtpoTrace] | None = None,
    ) -> None:
        """Score and append the answer to a question; one that is already there stays as it is.

        Args:
            index: place of the question.
            completion: generated text without the end token.
            tokens: its length in tokens.
            truncated: whether it ended at the length limit.
            augmentations: decision points, where there is a weaver.
            ltpo: a trace per insertion, where latents were optimised.
        """
        if index in self._answers:
            return
        now = time.perf_counter()
        seconds = now - self._begun.get(index, self._began)
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
            augmentations=list(augmentations),
            ltpo=ltpo,
            seconds=round(seconds, 3),
            elapsed=round(self._seconds_before + now - self._began, 3),
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
        for name, value in means.items():
            if name not in ("num_questions", "seconds"):
                self._monitor.metric(f"eval/{name}", n, value)
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
        self._seconds_before = max((answer.elapsed for answer in answers), default=0.0)
        lines = [answer.model_dump_json() + "\n" for answer in self._answers.values()]
        temporary = target.with_suffix(".taken")
        temporary.write_text("".join(lines), encoding="utf-8")
        temporary.replace(target)  # a torn last line and an old summary are gone
        done = "complete" if summary else "incomplete"
        self._monitor.say(f"resumed: {len(self._answers)} of {len(self._questions)} answers taken over ({done} file)")
