"""Command line of Try: ask a checkpoint a question."""

import sys
from contextlib import suppress
from typing import Annotated

import typer

from backend.api.client import ApiError, Client, Unreachable
from backend.api.schemas import TryAnswerOut, TryDataSet, TrySessionDetail, TryStatus
from backend.launcher.terminal import assignments, client, errors, local_time, say, show_table, shown
from memgen.contract.config_text import field_value, help_of
from memgen.contract.errors import BadInput
from memgen.contract.insertion_marks import marked
from memgen.contract.stages import STAGES
from memgen.contract.trying import boxed
from memgen.data_set_cli import report_lines

EXAMPLE = ("--solution", "3=42")
UNFINISHED = "\ufffd"  # a sign whose last token is still to come


def install(app: typer.Typer) -> None:
    """Put these commands into the service's command line."""
    app.command("try")(ask_checkpoint)
    sessions = typer.Typer(help="Sessions in which checkpoints are or were tried.", invoke_without_command=True)
    sessions.callback()(list_sessions)
    sessions.command("data-set")(make_data_set)
    app.add_typer(sessions, name="sessions")


def ask_checkpoint(
    checkpoint: Annotated[int, typer.Argument(help="Number of the checkpoint; `memgen-studio checkpoints`.")],
    questions: Annotated[list[str], typer.Argument(metavar="QUESTION...", help="What to ask, one after the other.")],
    solution: Annotated[
        str | None, typer.Option(help=r"What answers are scored against, e.g. \boxed{42}; for a single question.")
    ] = None,
    set_field: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="A config field of all columns; may be repeated."),
    ] = None,
    note: Annotated[str, typer.Option(help="A few words to find the session again.")] = "",
    keep: Annotated[bool, typer.Option(help="Keep the session as a record.")] = False,
) -> None:
    """Ask the base and a checkpoint in its usual settings, and print what each says as it says it."""
    with errors(), client() as api:
        classes = [stage.config for stage in STAGES if stage.recipe is not None]
        shared = {name: field_value(classes, name, text) for name, text in assignments(set_field or []).items()}
        session = api.open_try(checkpoint=checkpoint, shared=shared, note=note)
        try:
            if keep:
                api.keep_try(session.id)
            for question in questions:
                api.ask(session.id, question, solution=solution if len(questions) == 1 else None)
            ended_well = _follow(api, session, len(questions))
        finally:
            with suppress(ApiError, Unreachable):
                api.close_try(session.id)
        if not ended_well:
            raise typer.Exit(1)


def list_sessions(context: typer.Context, limit: Annotated[int, typer.Option(min=1, max=200)] = 20) -> None:
    """List sessions in which checkpoints are or were tried, newest first."""
    if context.invoked_subcommand is not None:
        return
    with errors(), client() as api:
        rows = [
            [
                str(one.id),
                one.status,
                ", ".join(column.label for column in one.columns),
                one.preset,
                str(one.num_asked),
                local_time(one.created_at),
                "yes" if one.kept else "",
                one.note,
            ]
            for one in api.try_sessions(limit=limit).items
        ]
        show_table(["session", "status", "columns", "model", "questions", "opened", "kept", "note"], rows)


def make_data_set(
    session: Annotated[int, typer.Argument(help="Number of the session; `memgen-studio sessions`.")],
    name: Annotated[str, typer.Argument(help=f"Of the data set. {help_of(TryDataSet, 'name')}")],
    question: Annotated[
        list[int] | None, typer.Option(help="Number of a question that is to be in it, from 1; may be repeated.")
    ] = None,
    solution: Annotated[
        list[str] | None,
        typer.Option(metavar="NUMBER=TEXT", help="What is right for a question, instead of what it was asked with."),
    ] = None,
    data: Annotated[str | None, typer.Option(help=help_of(TryDataSet, "data"))] = None,
) -> None:
    """Register questions of a session as the test split of a data set, so that evaluations can answer them."""
    with errors(), client() as api:
        mended = {_number(word): boxed(text) or "" for word, text in assignments(solution or [], *EXAMPLE).items()}
        numbers = question or [one.number for one in api.try_session(session).asked]
        made = api.register_questions(session, name, rows=dict.fromkeys(numbers) | mended or None, data=data)
        for line in report_lines(made.report):
            say(line)
        if made.without_answer:
            say(f"left out, as nobody has said what is right: {', '.join(map(str, made.without_answer))}")
        if made.repeats:
            say(f"asked again, and counted once: {', '.join(map(str, made.repeats))}")
        say(made.tells)
        say(f"registered as {made.report.name}")


def _number(word: str) -> int:
    if not word.isdecimal():
        raise BadInput("bad_option", "this is no number of a question", field="--solution", value=word)
    return int(word)


def _follow(api: Client, session: TrySessionDetail, num_questions: int) -> bool:
    """Print answers as they come; whether all columns have answered all questions."""
    printer, says = _Printer(), ""
    for now in api.follow_try(session.id):
        if now.status in {TryStatus.QUEUED, TryStatus.LOADING, TryStatus.ENDED} and now.says != says:
            says = now.says
            say(says)
        for asked in now.asked:
            for answer in asked.answers:
                column = now.columns[answer.place]
                printer.show(asked.number, f"{column.label}: {asked.question}", answer)
        if printer.num_ended == num_questions * len(session.columns):
            return printer.num_answered == printer.num_ended
        if now.status is TryStatus.ENDED:
            return False
    return False


class _Printer:
    """Prints answers that grow; one column speaks at a time."""

    def __init__(self) -> None:
        self._printed: dict[tuple[int, int], str] = {}
        self._ended: set[tuple[int, int]] = set()
        self.num_answered = 0

    @property
    def num_ended(self) -> int:
        """Answers that are complete or will never come."""
        return len(self._ended)

    def show(self, number: int, title: str, answer: TryAnswerOut) -> None:
        """Print what is new of an answer."""
        key = number, answer.place
        if answer.status == "waiting" or key in self._ended:
            return
        if key not in self._printed:
            say(f"\n{title.splitlines()[0][:200]}")
            self._printed[key] = ""
        done = answer.status == "answered"
        text = marked(answer.text if done else answer.text.rstrip(UNFINISHED), answer.points)
        if text.startswith(self._printed[key]):
            sys.stdout.write(shown(text[len(self._printed[key]) :]))
            sys.stdout.flush()
            self._printed[key] = text
        if answer.status in {"answered", "failed"}:
            self._ended.add(key)
            self.num_answered += done
            say(f"\n[{_outcome(answer)}]")


def _outcome(answer: TryAnswerOut) -> str:
    if answer.record is None:
        return answer.failure.message if answer.failure is not None else "no answer"
    accuracy = answer.record.metrics.get("accuracy")
    words = [] if accuracy is None else ["right" if accuracy > 0 else "wrong"]
    words.append(f"answer {answer.extracted or 'none'}")
    words.append(f"{answer.tokens} tokens{', truncated' if answer.record.truncated else ''}")
    words.append(f"{answer.record.seconds:.1f} s")
    return ", ".join(words)
