"""A session while it lives: columns are loaded once, then each question is answered by one column after the other.

Questions are files that the supervisor writes; what is said goes to the events file. A stop lets the answer under way
come to its end, within its limits, and nothing else.
"""

import time
from collections.abc import Callable

from memgen.card_errors import CARD_FAILED, failure_code
from memgen.contract.causal_check import WholeCheck
from memgen.contract.config import InvalidConfig
from memgen.contract.errors import BadInput, Diverged
from memgen.contract.home import home_of_environment
from memgen.contract.json_file import read_object
from memgen.contract.problem import Problem
from memgen.contract.rundir import EXIT_STOPPED
from memgen.contract.status import StopMode
from memgen.contract.trying import (
    LAST_ANSWER_SECONDS,
    Answered,
    Grown,
    Loaded,
    SessionConfig,
    SessionDir,
    TryQuestion,
    Unanswered,
)
from memgen.data.questions import Question, make_question
from memgen.monitor import Monitor
from memgen.parallel.team import Team
from memgen.stages.context import Context
from memgen.stop import Stopped, StopRequest
from memgen.trying.columns import UNCHANGED, Column, SoFar, load_columns, with_check

LOOK_SECONDS = 0.02  # between two looks for a question
TELL_SECONDS = 0.1  # between two words about an answer that grows
ENDED = Problem(code="session_ended", message="The session ended before the answer was complete.")


class LastAnswer(StopRequest):
    """A stop that an answer under way may outlast for a while, if it is not to be thrown away.

    Args:
        stop: the session's.
        patience: seconds.
        clock: seconds that no clock change moves.
    """

    def __init__(
        self,
        stop: StopRequest,
        patience: float = LAST_ANSWER_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._stop = stop
        self._patience = patience
        self._clock = clock
        self._since: float | None = None

    def requested(self) -> StopMode | None:
        """The mode of a stop that can't wait any longer, or None."""
        mode = self._stop.requested()
        if mode is not StopMode.SAVE:
            return mode
        now = self._clock()
        self._since = now if self._since is None else self._since
        return mode if now - self._since > self._patience else None


def serve(folder: SessionDir, monitor: Monitor, stop: StopRequest) -> int:
    """Load what a session names and answer its questions until a stop is asked for; returns the exit code.

    Raises:
        BadInput: the model or a checkpoint can't be used.
    """
    config = SessionConfig.model_validate(read_object(folder.config))
    context = Context(folder.run_dir, None, home_of_environment(), None, monitor, stop, Team())
    try:
        columns = load_columns(config, context)
        monitor.tell(Loaded(time=time.time()))
        monitor.phase("answer", "")
        _Session(folder, columns, context).answer_questions()
    except Stopped as stopped:
        monitor.say(str(stopped))
    return EXIT_STOPPED


class _Session:
    def __init__(self, folder: SessionDir, columns: list[Column], context: Context) -> None:
        self._folder = folder
        self._columns = columns
        self._context = context
        self._monitor = context.monitor
        self._stop = context.stop
        self._last_answer = LastAnswer(context.stop)
        self._checked: dict[tuple[int, WholeCheck], Column] = {}

    def answer_questions(self) -> None:
        """Answer one question after the other.

        Raises:
            Stopped: a stop was asked for.
        """
        number = 0
        while True:
            self._stop.check()
            path = self._folder.next_question(number)
            if path is None:
                time.sleep(LOOK_SECONDS)
                continue
            number += 1
            asked = TryQuestion.model_validate(read_object(path))
            for place, column in enumerate(self._columns):
                if asked.column not in {None, place}:
                    continue
                if self._stop.requested() is None:
                    self._answer(asked, place, column)
                else:
                    self._tell_unanswered(asked, place, ENDED)

    def _answer(self, asked: TryQuestion, place: int, column: Column) -> None:
        telling = _Telling(self._monitor, asked.number, place, column)
        try:
            question, change = _question(asked, column), asked.change or UNCHANGED
            if change.causal_check is not None:
                column = self._with_check(place, change.causal_check)
            done = column.answer(question, asked.number, telling, self._last_answer, change)
        except Stopped:
            self._tell_unanswered(asked, place, ENDED)
        except (InvalidConfig, BadInput, Diverged) as error:
            self._tell_unanswered(asked, place, error.problem)
        except Exception as error:
            code = failure_code(error)
            if code == CARD_FAILED:
                raise  # no other question will do better
            message = f"{type(error).__name__}: {error}"
            self._tell_unanswered(asked, place, Problem(code=code, message=message[:2000]))
        else:
            said = telling.first_token_seconds
            self._monitor.tell(
                Answered(
                    time=time.time(),
                    question=asked.number,
                    column=place,
                    record=done.record,
                    points=done.points,
                    extracted=done.extracted,
                    first_token_seconds=said,
                )
            )

    def _with_check(self, place: int, check: WholeCheck) -> Column:
        """A column with a causal check, made once: it may read training questions."""
        if (place, check) not in self._checked:
            self._checked[place, check] = with_check(self._columns[place], check, self._context)
        return self._checked[place, check]

    def _tell_unanswered(self, asked: TryQuestion, place: int, problem: Problem) -> None:
        self._monitor.tell(Unanswered(time=time.time(), question=asked.number, column=place, problem=problem))


class _Telling:
    """Tells how an answer grows, now and then: what has changed since the last word."""

    def __init__(self, monitor: Monitor, question: int, place: int, column: Column) -> None:
        self._monitor = monitor
        self._question = question
        self._place = place
        self._column = column
        self._said = ""
        self._told_at = 0.0
        self._began = time.perf_counter()
        self.first_token_seconds: float | None = None
        """From the beginning to the first token; None before that."""
        self._tell(SoFar([], [], None))

    def __call__(self, tokens: int, look: Callable[[], SoFar]) -> None:
        now = time.perf_counter()
        is_first = tokens > 0 and self.first_token_seconds is None
        if is_first:
            self.first_token_seconds = round(now - self._began, 3)
        if is_first or now - self._told_at >= TELL_SECONDS:
            self._told_at = now
            self._tell(look())

    def _tell(self, so_far: SoFar) -> None:
        text = self._column.text(so_far.ids)
        start = _in_common(self._said, text)  # not all that was said: the next token may complete the last sign
        self._monitor.tell(
            Grown(
                time=time.time(),
                question=self._question,
                column=self._place,
                start=start,
                text=text[start:],
                tokens=len(so_far.ids),
                points=so_far.points,
                ltpo=so_far.ltpo,
            )
        )
        self._said = text


def _in_common(before: str, after: str) -> int:
    """Characters with which both texts begin."""
    pairs = enumerate(zip(before, after, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(before), len(after)))


def _question(asked: TryQuestion, column: Column) -> Question:
    question = make_question(column.config.data, asked.question, "", "")
    return Question(id=question.id, question=asked.question, solution=asked.solution or "", answer="")
