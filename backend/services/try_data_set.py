"""Questions of a session become a data set: by the way of all rows, each of them in the test split.

Prompt and kind of answer are those of the session's own data set, so that an evaluation asks as the session did.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlmodel import Session

from backend.api.schemas import TryDataSet, TryDataSetOut, TryRow
from backend.services.data_sets import read_rows
from backend.services.few_questions import tells
from backend.services.try_sessions import asked_of
from backend.settings import Settings
from backend.store.models import TryAsked, TrySession
from memgen.contract.config import stored_config
from memgen.contract.data_sets.record import DataSet
from memgen.contract.data_sets.registered import Columns, Registration
from memgen.contract.data_sets.registry import data_set
from memgen.contract.errors import BadInput
from memgen.data.registered.mapping import same_question
from memgen.data.registered.order import Order, OrderedFile
from memgen.data.solution import parts_of

COLUMNS = Columns(question="question", answer="answer", rationale="rationale")


@dataclass(frozen=True)
class Collected:
    """Rows of a session, and what is to be said of them."""

    session_id: int
    rows: list[dict[str, str]]
    """Question, rationale and answer of each."""
    registration: Registration
    without_answer: list[int]
    repeats: list[int]


def collect(session: Session, one: TrySession, wanted: TryDataSet) -> Collected:
    """The rows that questions of a session make; each question once.

    Raises:
        BadInput: `no_such_question`, `no_right_answers`, `no_data_of_session`, `several_data_sets`, `unknown_data`.
    """
    chosen = _data_set_of(one, wanted.data)
    asked = asked_of(session, one.id)
    mended = _mended(one, asked, wanted.rows)
    alike: defaultdict[bytes, list[TryAsked]] = defaultdict(list)
    for row in asked:
        alike[same_question(row.question)].append(row)
    rows, without_answer, repeats = [], [], []
    for group in alike.values():
        first, *others = [row.number for row in group if row.number in mended] or [0]
        if not first:
            continue
        repeats += others
        parts = parts_of(_solution(group, mended), chosen.answer)
        if parts is None:
            without_answer.append(first)
        else:
            rows.append({"question": group[0].question, "rationale": parts[0], "answer": parts[1]})
    if not rows:
        raise BadInput(
            "no_right_answers",
            "nobody has said what is right for any of these questions, so no answer could be scored",
            field="rows",
            value=", ".join(map(str, without_answer)) or "none was asked",
            way_out="Give the right answer of one of them.",
        )
    return Collected(one.id, rows, _registration(wanted.name, chosen, one), without_answer, sorted(repeats))


def register(collected: Collected, settings: Settings) -> TryDataSetOut:
    """Register the rows. It takes seconds, so no transaction is to be open meanwhile.

    Raises:
        UnusableRows: with every reason.
        BadInput: as `read_rows`.
    """
    with TemporaryDirectory(prefix="memgen-try-") as work:
        path = Path(work) / f"session-{collected.session_id}.jsonl"
        path.write_text("".join(f"{json.dumps(row)}\n" for row in collected.rows), encoding="utf-8")
        file = OrderedFile(path=path, name=path.name, split="test")
        report = read_rows(Order(files=[file], registration=collected.registration, home=settings.home))
    return TryDataSetOut(
        report=report,
        without_answer=collected.without_answer,
        repeats=collected.repeats,
        tells=tells(len(collected.rows)),
    )


def _data_set_of(one: TrySession, name: str | None) -> DataSet:
    """The data set whose prompt and kind of answer carry over."""
    names = list(dict.fromkeys(stored_config(column).data for column in one.columns))
    if name is None and len(names) > 1:
        raise BadInput(
            "several_data_sets",
            "the columns of the session ask as in several data sets",
            field="data",
            value=", ".join(names),
            way_out="Name the one whose prompt and kind of answer carry over.",
        )
    if name is not None and name not in names:
        raise BadInput(
            "no_data_of_session",
            "no column of the session asks as in this data set",
            field="data",
            value=name,
            way_out=f"Name one of {', '.join(names)}.",
        )
    return data_set(name or names[0])


def _mended(one: TrySession, asked: Sequence[TryAsked], rows: Sequence[TryRow] | None) -> dict[int, str | None]:
    """What was said of the right answer of each question that is wanted, by its number."""
    there = {row.number for row in asked}
    if rows is None:
        return dict.fromkeys(there)
    for row in rows:
        if row.number not in there:
            raise BadInput(
                "no_such_question",
                f"session {one.id} was asked {len(there)} questions",
                field="rows",
                value=row.number,
                way_out="Choose among them; the first is 1.",
            )
    return {row.number: row.solution for row in rows}


def _solution(group: Sequence[TryAsked], mended: dict[int, str | None]) -> str:
    """What is right for a question: what was said last of it; empty where nobody has said anything."""
    said = [solution for row in group if (solution := mended.get(row.number)) is not None]
    return said[-1] if said else next((row.solution for row in reversed(group) if row.solution), "")


def _registration(name: str, chosen: DataSet, one: TrySession) -> Registration:
    return Registration(
        name=name,
        help=f"questions of session {one.id}, asked as in {chosen.name}",
        columns=COLUMNS,
        answer=chosen.answer,
        prompt=chosen.prompt,
    )
