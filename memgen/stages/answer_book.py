"""The answer file while a stage writes it: scored, appended, told, and taken over from an earlier attempt.

Of several ranks each writes a book. The main one's is the answer file; it takes the others' answers over as they come.
"""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from memgen.contract.answers import (
    AnswerRecord,
    Augmentation,
    CheckedLatents,
    LtpoTrace,
    Summary,
    read_answers,
    summarize,
)
from memgen.contract.errors import BadInput
from memgen.contract.json_file import lines_of
from memgen.data.prompt import Prompt
from memgen.data.questions import Question
from memgen.monitor import Monitor
from memgen.scoring import answer_of, score
from memgen.stop import StopRequest

TELL_SECONDS = 2.0  # between two words while there is no new answer
LOOK_SECONDS = 0.05  # between two looks at what other ranks have answered, when there is nothing else to do


@dataclass(frozen=True)
class Insertions:
    """What became of the latents of an answer."""

    points: Sequence[Augmentation] = ()
    """Decision points."""
    ltpo: list[LtpoTrace] | None = None
    """A trace per insertion, where latents were optimised."""
    causal_check: CheckedLatents | None = None
    """What was inserted in their place."""


NOTHING_INSERTED = Insertions()


def record_of(
    question: Question,
    index: int,
    prompt: Prompt,
    completion: str,
    tokens: int,
    truncated: bool,
    insertions: Insertions,
    metrics: Mapping[str, float],
    *,
    seconds: float,
    batch_size: int | None,
) -> AnswerRecord:
    """An answer as the answer file has it.

    Args:
        question: that was answered.
        index: its place.
        prompt: how it was asked.
        completion: generated text without the end token.
        tokens: its length in tokens.
        truncated: whether it ended at the length limit.
        insertions: of latents.
        metrics: its scores.
        seconds: from its beginning to its end.
        batch_size: how many questions were answered at the same time, at most.
    """
    return AnswerRecord(
        id=question.id,
        index=index,
        question=question.question,
        prompt=prompt.messages(question.question),
        solution=question.solution,
        completion=completion,
        metrics=dict(metrics),
        completion_tokens=tokens,
        truncated=truncated,
        augmentations=list(insertions.points),
        ltpo=insertions.ltpo,
        causal_check=insertions.causal_check,
        batch_size=batch_size,
        seconds=round(seconds, 3),
    )


class AnswerBook:
    """The answer file of a run while it is written: each question once, appended as it is answered.

    Args:
        path: the file.
        prompt: how questions are asked, and of which data set, whose kind of answer counts.
        questions: of the run.
        monitor: is told of each answer.
        taken_from: answer files and parts of an earlier attempt.
        parts: books of other ranks, which appear and grow while this one is written.
    """

    def __init__(
        self,
        path: Path,
        prompt: Prompt,
        questions: list[Question],
        monitor: Monitor,
        taken_from: Sequence[Path] = (),
        parts: Sequence[Path] = (),
    ) -> None:
        self._prompt = prompt
        self._questions = questions
        self._monitor = monitor
        self._answers: dict[int, AnswerRecord] = {}
        self._began = time.perf_counter()
        self._seconds_before = 0.0
        self._new_tokens = 0
        self._begun: dict[int, float] = {}
        self._told_at = self._began
        path.parent.mkdir(parents=True, exist_ok=True)
        there = [source for source in taken_from if source.exists()]
        if there:
            self._take_over(there, path)
        self._file = path.open("ab", buffering=0)
        self._read = dict.fromkeys(parts, 0)  # bytes of each part that are known

    @property
    def least_width(self) -> int | None:
        """Fewest questions that were answered at the same time for any answer so far; None where no answer says so."""
        return min((one.batch_size for one in self._answers.values() if one.batch_size is not None), default=None)

    @property
    def missing(self) -> list[int]:
        """Places of the questions that have no answer yet."""
        return [index for index in range(len(self._questions)) if index not in self._answers]

    def begin(self, index: int) -> None:
        """A completion for this question begins."""
        self._begun[index] = time.perf_counter()

    def tell_step(self) -> None:
        """The completions under way have grown; told every few seconds."""
        self.collect()
        now = time.perf_counter()
        if now - self._told_at > TELL_SECONDS:
            self._told_at = now
            under_way = len(self._begun.keys() - self._answers.keys())
            detail = "" if self._read else f"{under_way} under way"  # what other ranks have begun is not known
            self._monitor.progress(len(self._answers), len(self._questions), "questions", detail)

    def add(
        self,
        index: int,
        completion: str,
        tokens: int,
        truncated: bool,
        insertions: Insertions = NOTHING_INSERTED,
        metrics: Mapping[str, float] | None = None,
        batch_size: int | None = None,
    ) -> None:
        """Score and append the answer to a question; one that is already there stays as it is.

        Args:
            index: place of the question.
            completion: generated text without the end token.
            tokens: its length in tokens.
            truncated: whether it ended at the length limit.
            insertions: of latents, where there is a weaver.
            metrics: what was measured beside the scores.
            batch_size: how many questions are answered at the same time, at most.
        """
        now = time.perf_counter()
        seconds = now - self._begun.get(index, self._began)
        question = self._questions[index]
        scores = score(completion, question.solution, self._prompt.chosen.answer)
        self._enter(
            record_of(
                question, index, self._prompt, completion, tokens, truncated, insertions, {**scores, **(metrics or {})},
                seconds=seconds, batch_size=batch_size,
            )
        )  # fmt: skip

    def collect(self) -> None:
        """Enter what other ranks have answered since the last look."""
        for part, known in self._read.items():
            if not part.exists() or part.stat().st_size == known:
                continue
            with part.open("rb") as file:
                file.seek(known)
                data = file.read()
            whole = data[: data.rfind(b"\n") + 1]  # its writer may be in the middle of a line
            for line in filter(None, lines_of(whole)):
                record = AnswerRecord.model_validate_json(line)
                self._notice_width(record)
                self._enter(record)
            self._read[part] += len(whole)

    def wait_for_all(self, stop: StopRequest) -> None:
        """Collect until every question is answered.

        Raises:
            Stopped: a stop was asked for.
        """
        while self.missing:
            stop.check()
            self.tell_step()
            time.sleep(LOOK_SECONDS)

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
        self._monitor.machine(n)

    def close(self) -> Summary:
        """Append the summary; from then on the file is complete."""
        answers = [self._answers[index] for index in range(len(self._questions))]
        summary = summarize(answers, self._seconds_before + time.perf_counter() - self._began)
        self._append(summary.model_dump_json())
        os.fsync(self._file.fileno())
        self._file.close()
        for part in self._read:
            part.unlink(missing_ok=True)
        return summary

    def _enter(self, record: AnswerRecord) -> None:
        """Append an answer and tell it; of a question that has one, that one stays."""
        if record.index in self._answers:
            return
        elapsed = round(self._seconds_before + time.perf_counter() - self._began, 3)
        record = record.model_copy(update={"elapsed": elapsed})
        self._append(record.model_dump_json())
        self._answers[record.index] = record
        self._new_tokens += record.completion_tokens
        mark = "right" if record.metrics["accuracy"] else "wrong"
        said = answer_of(record.completion, self._prompt.chosen.answer)
        self._monitor.say(
            f"[{len(self._answers)}/{len(self._questions)}] {record.id} {mark}: "
            f"{'nothing' if said is None else said[:40]!r}, expected {self._questions[record.index].answer!r}, "
            f"{record.completion_tokens} tokens{' (truncated)' if record.truncated else ''}, {record.seconds:.1f} s"
        )
        self.report()

    def _notice_width(self, record: AnswerRecord) -> None:
        """Say for another rank, which nobody hears, that memory ran out there."""
        least = self.least_width
        if record.batch_size is not None and least is not None and record.batch_size < least:
            self._monitor.warn(
                "width_halved", f"memory ran out in another process: it goes on with {record.batch_size} rows"
            )

    def _append(self, line: str) -> None:
        data = (line + "\n").encode()
        while data:  # an unbuffered write may be short
            data = data[self._file.write(data) :]

    def _take_over(self, sources: Sequence[Path], target: Path) -> None:
        complete, outdated = False, set()
        for source in sources:
            try:
                answers, summary = read_answers(source)
            except ValueError as error:
                raise BadInput(
                    "resume_damaged",
                    f"the answer file to resume can't be read: {error}",
                    field="resume",
                    value=source,
                    way_out="Start again without --resume.",
                ) from error
            for answer in answers:
                self._check(answer)
                if answer.solution == self._questions[answer.index].solution:
                    self._answers.setdefault(answer.index, answer)
                else:  # it was scored against another text
                    outdated.add(answer.index)
            complete |= summary is not None
        self._seconds_before = max((answer.elapsed for answer in self._answers.values()), default=0.0)
        lines = [answer.model_dump_json() + "\n" for answer in self._answers.values()]
        temporary = target.with_suffix(".taken")
        temporary.write_text("".join(lines), encoding="utf-8")
        temporary.replace(target)  # a torn last line and an old summary are gone
        done = "complete" if complete else "incomplete"
        self._monitor.say(f"resumed: {len(self._answers)} of {len(self._questions)} answers taken over ({done} file)")
        if outdated:
            self._monitor.say(f"{len(outdated)} questions are answered anew: their solutions have changed since")

    def _check(self, answer: AnswerRecord) -> None:
        if answer.index >= len(self._questions) or self._questions[answer.index].id != answer.id:
            raise BadInput(
                "resume_mismatch",
                "the answer file to resume answers other questions",
                field="resume",
                value=answer.id,
                way_out="Start again without --resume.",
            )
