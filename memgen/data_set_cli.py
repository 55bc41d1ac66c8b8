"""Commands for data sets of users: look at rows, check, register. Those of the core and of the service are the same."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Annotated, Any, Protocol, get_args

import typer
from pydantic import ValidationError

from memgen.contract.config_text import help_of
from memgen.contract.data_sets.record import AnswerKind, Split
from memgen.contract.data_sets.registered import Columns, Registration
from memgen.contract.data_sets.report import Refused, Report
from memgen.contract.errors import BadInput

Named = tuple[str, Split | None]
"""A file or folder as the user named it, and the split that it is."""


class Actions(Protocol):
    """What the commands do, here or by a backend."""

    def peek(self, files: Sequence[Named]) -> Report:
        """Columns and first rows."""

    def preview(self, files: Sequence[Named], said: Registration) -> Report:
        """The check."""

    def add(self, files: Sequence[Named], said: Registration) -> Report:
        """The check, and the rows kept."""


Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE...",
        help="JSON lines, CSV or Parquet; a folder of train.*, test.*; hub:OWNER/NAME#CONFIG@REVISION; SPLIT=FILE.",
    ),
]


def _column(name: str) -> Any:
    return typer.Option(help=f"Column: {help_of(Columns, name)}")


def _said(name: str) -> Any:
    return typer.Option(help=help_of(Registration, name))


def commands(actions: Callable[[], AbstractContextManager[Actions]], say: Callable[[str], None]) -> typer.Typer:
    """The commands `preview` and `add`.

    Args:
        actions: opened for each command; it turns errors into exit codes.
        say: prints a line that may hold anything.
    """
    app = typer.Typer(help="Data sets of your own: JSON lines, CSV and Parquet.", no_args_is_help=True)

    @app.command()
    def preview(files: Files) -> None:
        """Show the columns and the first rows of a file."""
        with actions() as doing:
            for line in _first_rows(doing.peek(_named(files))):
                say(line)

    @app.command()
    def add(
        files: Files,
        name: Annotated[str, _said("name")],
        question: Annotated[str, _column("question")] = "question",
        answer: Annotated[str, _column("answer")] = "answer",
        rationale: Annotated[str | None, _column("rationale")] = None,
        choices: Annotated[list[str] | None, _column("choices")] = None,
        split: Annotated[str | None, _column("split")] = None,
        kind: Annotated[str, typer.Option(help=f"Kind of answer: {', '.join(get_args(AnswerKind))}.")] = "number",
        answer_as: Annotated[str, _said("answer_as")] = "letter",
        shuffle_choices: Annotated[bool, _said("shuffle_choices")] = False,
        prompt: Annotated[str, _said("prompt")] = "",
        word: Annotated[str, _said("word")] = "",
        about: Annotated[str, _said("help")] = "",
        seed: Annotated[int, _said("seed")] = 42,
        test_share: Annotated[float, _said("test_share")] = 0.2,
        validation_share: Annotated[float, _said("validation_share")] = 0.1,
        leave_out: Annotated[bool, _said("leave_out")] = False,
        check: Annotated[bool, typer.Option("--check", help="Only check, and keep nothing.")] = False,
    ) -> None:
        """Check rows and register them: shows prompts and gold answers as they will be."""
        with actions() as doing:
            columns = {"question": question, "answer": answer, "rationale": rationale, "split": split}
            said = registration(
                {
                    **{"name": name, "word": word, "help": about, "prompt": prompt, "seed": seed},
                    **{"columns": columns | {"choices": tuple(choices or ())}, "answer": kind, "answer_as": answer_as},
                    **{"shuffle_choices": shuffle_choices, "leave_out": leave_out},
                    **{"test_share": test_share, "validation_share": validation_share},
                }
            )
            report = doing.preview(_named(files), said)
            for line in report_lines(report):
                say(line)
            if report.problems:
                raise Refused(report)
            if not check:
                say(f"registered as {doing.add(_named(files), said).name}")

    return app


def registration(fields: dict[str, Any]) -> Registration:
    """What the options say.

    Raises:
        BadInput: `bad_option`, with the first that can't be used.
    """
    try:
        return Registration.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        known = Registration.model_fields.get(str(first["loc"][0])) if first["loc"] else None
        raise BadInput(
            "bad_option",
            str(first["msg"])[:1].lower() + str(first["msg"])[1:],
            field=field or None,
            value=first["input"] if first["loc"] else None,
            way_out=" ".join((known.description or "").split()) if known else "",
        ) from None


def _named(files: Sequence[str]) -> list[Named]:
    named: list[Named] = []
    for text in files:
        word, equals, path = text.partition("=")
        split = next((one for one in get_args(Split) if one == word), None)
        named.append((path, split) if equals and split else (text, None))
    return named


def _first_rows(report: Report) -> Iterator[str]:
    yield f"columns: {', '.join(report.columns)}"
    for number, row in enumerate(report.first_rows, start=1):
        yield f"row {number}"
        yield from (f"  {name}: {value}" for name, value in row.items())


def report_lines(report: Report) -> Iterator[str]:
    """What is right and wrong with rows, line by line."""
    sizes = [f"{size:,} {split}{' (drawn)' if split in report.drawn else ''}" for split, size in report.sizes.items()]
    yield f"{report.rows:,} rows: {', '.join(sizes) or 'none can be used'}"
    for title, number, shown in (
        ("rows that can't be used", report.num_bad_rows, report.bad_rows),
        ("questions that stand more than once", report.num_duplicates, report.duplicates),
        ("questions that stand in two splits", report.num_leaks, report.leaks),
    ):
        if number:
            yield f"{title}: {number:,}"
            yield from (f"  {one}" for one in shown)
    if report.longest and report.fullest:
        yield f"about {report.longest[0]} tokens in the longest prompt, {report.longest[1]} in the longest solution"
    for one in report.samples[:2]:
        yield f"--- {one.place}; the scorer finds {one.answer!r} in the gold answer, which scores {one.score:g}"
        yield one.prompt + one.solution
    if report.samples:
        yield "---"
    yield from (f"warning: {text}" for text in report.warnings)
