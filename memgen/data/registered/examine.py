"""The check of a user's rows: every row read and mapped, questions that repeat, splits, lengths, and gold answers.

Everything wrong is found in one go and named by file, row and column.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from memgen.contract.data_sets.record import DataSet, Split
from memgen.contract.data_sets.registered import LOADER, Registration
from memgen.contract.data_sets.report import BadRow, Place, Repeated, Report, Sample
from memgen.contract.errors import BadInput
from memgen.contract.problem import Problem
from memgen.data.lengths import usual_tokens
from memgen.data.prompt import answer_text, question_prompt
from memgen.data.questions import make_question
from memgen.data.registered.mapping import MappedRow, mapped
from memgen.data.registered.tables import Table
from memgen.scoring import accuracy, answer_of

MOST_ROWS = 200_000
"""More are refused: a run works on 100,000 questions at most."""
SHOWN = 20  # problems of a kind that are named one by one
SAMPLES = 3
PEEK_ROWS, PEEK_LENGTH = 5, 200
ORDER: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Given:
    """A file of the user's."""

    path: Path
    name: str
    """As the user knows it."""
    split: Split | None = None
    """What all its rows are, where it is one split."""


@dataclass
class KeptRow:
    """A row that is taken, with its place and, in the end, its split."""

    place: Place
    row: MappedRow
    split: Split | None


@dataclass
class Examined:
    """What an examination found, and the rows that may be kept."""

    report: Report
    rows: list[KeptRow] = field(default_factory=list)


def peek(files: Sequence[Given]) -> Report:
    """Columns and first rows of the first file: what a mapping is chosen by.

    Raises:
        BadInput: `unknown_format`, `no_text`, `bad_file`.
    """
    table = Table(files[0].path, files[0].name)
    rows = islice((row for row in table.rows() if row.values is not None), PEEK_ROWS)
    shown = tuple({name: _short(value) for name, value in (row.values or {}).items()} for row in rows)
    return Report(columns=table.columns, first_rows=shown)


def examine(files: Sequence[Given], said: Registration) -> Examined:
    """Read all rows and say what is right and wrong with them.

    Raises:
        BadInput: a file can't be used at all: `unknown_format`, `no_text`, `bad_file`, `unknown_column`,
            `too_many_rows`.
    """
    rows, bad = _read(files, said)
    rows, duplicates = _without_repeats(rows)
    rows, leaks = _without_leaks(rows)
    drawn = _draw(rows, said)
    sizes = Counter(one.split for one in rows)
    dropped = sum(len(one.places) - 1 for one in (*duplicates, *leaks))
    report = peek(files).model_copy(
        update={
            "rows": len(rows) + len(bad) + dropped,
            "sizes": {split: sizes[split] for split in ORDER if sizes[split]},
            "drawn": drawn,
            "bad_rows": tuple(bad[:SHOWN]),
            "num_bad_rows": len(bad),
            "duplicates": tuple(duplicates[:SHOWN]),
            "num_duplicates": len(duplicates),
            "leaks": tuple(leaks[:SHOWN]),
            "num_leaks": len(leaks),
            "left_out": len(bad) + dropped if said.leave_out else 0,
        }
    )
    if rows:
        report = report.model_copy(update=_measured(rows, said))
    report = report.model_copy(update={"problems": _problems(report, said), "warnings": _warnings(report, said)})
    return Examined(report, rows)


def _read(files: Sequence[Given], said: Registration) -> tuple[list[KeptRow], list[BadRow]]:
    rows: list[KeptRow] = []
    bad: list[BadRow] = []
    for file in files:
        table = Table(file.path, file.name)
        needed = _needed(table, said)
        for number, values, problem in table.rows(needed):
            place = Place(file=file.name, row=number)
            if len(rows) + len(bad) >= MOST_ROWS:
                raise BadInput(
                    "too_many_rows",
                    f"there are more than {MOST_ROWS:,} rows",
                    field="file",
                    value=file.name,
                    way_out="Register a part of them.",
                )
            try:
                if values is None:
                    raise BadInput("bad_data_row", problem)
                row = mapped(values, said)
                split = file.split or row.split
                rows.append(KeptRow(place.model_copy(update={"split": split}), row, split))
            except BadInput as error:
                value = error.value[:PEEK_LENGTH] if error.value is not None else None
                bad.append(BadRow(place=place, column=error.field, message=error.message, value=value))
    return rows, bad


def _needed(table: Table, said: Registration) -> list[str]:
    columns = said.columns
    named = [columns.question, columns.answer, columns.rationale, *columns.choices, columns.split]
    needed = list(dict.fromkeys(name for name in named if name))
    for name in needed:
        if name not in table.columns:
            raise BadInput(
                "unknown_column",
                f"{table.name} has no such column",
                field="columns",
                value=name,
                way_out=f"It has: {', '.join(table.columns[:50])}.",
            )
    return needed


def _without_repeats(rows: Sequence[KeptRow]) -> tuple[list[KeptRow], list[Repeated]]:
    """Of the rows of one split that ask the same, the first; and all those that do."""
    return _first_of(rows, lambda one: (one.split or "train", one.row.same))


def _without_leaks(rows: Sequence[KeptRow]) -> tuple[list[KeptRow], list[Repeated]]:
    """Of questions in two splits those of the split that is measured last; training gives way to test."""
    order = {split: place for place, split in enumerate(reversed(ORDER))}
    by_split = sorted(rows, key=lambda one: order[one.split or "train"])
    kept, leaks = _first_of(by_split, lambda one: one.row.same)
    chosen = {id(one) for one in kept}
    return [one for one in rows if id(one) in chosen], leaks


def _first_of(rows: Sequence[KeptRow], key: Any) -> tuple[list[KeptRow], list[Repeated]]:
    groups: dict[Any, list[KeptRow]] = {}
    for one in rows:
        groups.setdefault(key(one), []).append(one)
    repeated = [
        Repeated(question=group[0].row.question[:100], places=tuple(one.place for one in group[:SHOWN]))
        for group in groups.values()
        if len(group) > 1
    ]
    return [group[0] for group in groups.values()], repeated


def _draw(rows: Sequence[KeptRow], said: Registration) -> tuple[Split, ...]:
    """Give rows without a split theirs, and draw the splits that no column and no file gives from the training rows."""
    for one in rows:
        one.split = one.split or "train"
    drawn: list[Split] = []
    shares: dict[Split, float] = {"test": said.test_share, "validation": said.validation_share}
    for split, share in shares.items():
        training = [one for one in rows if one.split == "train"]
        number = -(-len(training) * share // 1)
        if any(one.split == split for one in rows) or not 0 < number < len(training):
            continue
        training.sort(key=lambda one: sha256(b"%d:%s:" % (said.seed, split.encode()) + one.row.same).digest())
        for one in training[: int(number)]:
            one.split = split
        drawn.append(split)
    for one in rows:
        one.place = one.place.model_copy(update={"split": one.split})
    return tuple(drawn)


def _measured(rows: Sequence[KeptRow], said: Registration) -> dict[str, object]:
    """Lengths, gold answers and the first rows of each split."""
    chosen = unregistered(said)
    lengths: list[tuple[bool, int, int]] = []
    unscored: list[Place] = []
    samples: list[Sample] = []
    seen: Counter[Split | None] = Counter()
    for one in rows:
        question = make_question("row", one.row.question, one.row.rationale, one.row.answer)
        prompt = question_prompt(chosen, question.question)
        lengths.append((one.split == "train", usual_tokens(prompt), usual_tokens(answer_text(question.solution))))
        gold = accuracy(question.solution, question.solution, said.answer, require_box=True)
        if not gold:
            unscored.append(one.place)
        if seen[one.split] < SAMPLES or (not gold and len(unscored) <= SAMPLES):
            answer = answer_of(question.solution, said.answer)
            samples.append(
                Sample(place=one.place, prompt=prompt, solution=question.solution, answer=answer, score=gold)
            )
        seen[one.split] += 1
    return {
        "longest": (max(prompt for _, prompt, _ in lengths), max(answer for _, _, answer in lengths)),
        "fullest": _fullest([(prompt, answer) for trained, prompt, answer in lengths if trained] or [(1, 1)]),
        "unscored": tuple(unscored[:SHOWN]),
        "num_unscored": len(unscored),
        "samples": tuple(sorted(samples, key=lambda one: bool(one.score))),
    }


def _fullest(lengths: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Per row, of the two rows with most tokens: no batch of two or more has more per row."""
    most = sorted(lengths, key=sum, reverse=True)[:2]
    prompts, answers = ([row[end] for row in most] for end in (0, 1))
    return -(-sum(prompts) // len(most)), -(-sum(answers) // len(most))


def unregistered(said: Registration) -> DataSet:
    """A record for rows that are not kept yet: with the prompt and the kind of answer that they will have."""
    return DataSet(
        name=said.name, word=said.name, help=said.name, sizes={"train": 1}, longest=(1, 1), fullest=(1, 1),
        prompt=said.full_prompt, answer=said.answer, loader=LOADER,
    )  # fmt: skip


def _problems(report: Report, said: Registration) -> tuple[Problem, ...]:
    problems = []
    way_out = "Mend the file, or leave such rows out."
    if not said.leave_out:
        if report.num_bad_rows:
            problems.append(_problem("bad_data_row", _count(report.num_bad_rows, "row"), report.bad_rows, way_out))
        if report.num_duplicates:
            number = _count(report.num_duplicates, "question")
            problems.append(_problem("duplicate_question", f"{number} more than once", report.duplicates, way_out))
        if report.num_leaks:
            number = _count(report.num_leaks, "question")
            problems.append(_problem("leaked_question", f"{number} in two splits", report.leaks, way_out))
    if not report.sizes:
        problems.append(Problem(code="no_rows", message="no row can be used", field="file", way_out="Send other rows."))
    elif report.num_unscored == sum(report.sizes.values()):
        problems.append(
            Problem(
                code="gold_answers_unscored",
                message=f"the scorer of the kind of answer '{said.answer}' finds no gold answer of yours right",
                field="answer",
                value=said.answer,
                way_out="Choose another kind of answer, or another column.",
            )
        )
    return tuple(problems)


def _problem(code: str, message: str, shown: Iterable[object], way_out: str) -> Problem:
    first = [str(one) for one in shown][:3]
    return Problem(code=code, message=f"{message}: {'; '.join(first)}", field="file", way_out=way_out)


def _warnings(report: Report, said: Registration) -> tuple[str, ...]:
    warnings = []
    if report.num_unscored and report.sizes:
        number = report.num_unscored
        rows = "; ".join(map(str, report.unscored[:5])) + ("; ..." if number > 5 else "")
        warnings.append(
            f"Your own gold answer scores 0 on {number:,} row{'' if number == 1 else 's'}: {rows}. No completion can "
            "be right there."
        )
    if "\\boxed" not in said.full_prompt:
        warnings.append("The prompt asks for no \\boxed{}, and the rewards of GRPO count the box alone.")
    if report.left_out:
        warnings.append(f"{report.left_out:,} row{' is' if report.left_out == 1 else 's are'} left out.")
    if report.sizes and "test" not in report.sizes:
        warnings.append("There is no test split, so evaluations have to name another one.")
    return tuple(warnings)


def _count(number: int, noun: str) -> str:
    if noun == "row":
        return f"{number:,} row{'' if number == 1 else 's'} can't be used"
    return f"{number:,} {noun}{' stands' if number == 1 else 's stand'}"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text[:PEEK_LENGTH].encode("utf-8", "replace").decode()
