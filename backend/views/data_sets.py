"""Data sets that runs can use."""

from collections.abc import Sequence
from typing import Any

from sqlmodel import Session

from backend.api import schemas as s
from backend.services.cursors import cursor_number
from backend.services.data_sets import not_registered, runs_of
from backend.settings import Settings
from memgen.contract.data_sets.functions import broken, split_sizes
from memgen.contract.data_sets.record import DataSet, Split
from memgen.contract.data_sets.registered import read_record
from memgen.contract.data_sets.registry import broken_plugins, data_sets
from memgen.contract.errors import BadInput
from memgen.data.at_hand import questions_at_hand
from memgen.data.questions import Question

SEED = 42  # parts train and validation where a run names no other


def data_set_list(settings: Settings) -> s.DataSetList:
    """All data sets, and plug-ins that can't be used."""
    return s.DataSetList(
        items=[s.DataSetOut(**_fields(one, settings)) for one in data_sets().values()],
        broken=[s.BrokenPluginOut(package=one.package, name=one.name, reason=one.reason) for one in broken_plugins()],
    )


def data_set_detail(session: Session, name: str, settings: Settings) -> s.DataSetDetail:
    """One data set, registered or not.

    Raises:
        NotFound: `data_set_not_found`.
    """
    chosen = data_sets().get(name)
    if chosen is None:
        raise not_registered(name)
    record = read_record(chosen.place) if chosen.place is not None else None
    return s.DataSetDetail(**_fields(chosen, settings), runs=runs_of(session, name), record=record)


def questions(
    name: str, split: Split, *, text: str | None, cursor: str | None, limit: int, settings: Settings
) -> s.QuestionList:
    """A page of the questions of a split, in its order; with a text those that have it in them.

    Raises:
        NotFound: `data_set_not_found`.
        BadInput: `rows_not_at_hand`, `data_set_broken`, and what the data set's loader raises.
        ServiceError: `bad_cursor`.
    """
    chosen = data_sets().get(name)
    if chosen is None:
        raise not_registered(name)
    rows = _rows(chosen, split, settings)
    wanted = (text or "").casefold()
    matching = [(number, row) for number, row in enumerate(rows, start=1) if wanted in row.question.casefold()]
    first = max(0, cursor_number(cursor)) if cursor else 0
    page, end = matching[first : first + limit], first + limit
    return s.QuestionList(
        items=[s.QuestionOut(number=number, question=row.question, solution=row.solution) for number, row in page],
        total=len(matching),
        next_cursor=str(end) if end < len(matching) else None,
    )


def _rows(chosen: DataSet, split: Split, settings: Settings) -> Sequence[Question]:
    try:
        rows = questions_at_hand(chosen, split, SEED, settings.data_folders.get(chosen.name))
    except BadInput:
        raise
    except Exception as error:  # a plug-in's code
        raise broken(chosen, f"its rows can't be read: {type(error).__name__}: {error}") from error
    if rows is None:
        raise BadInput(
            "rows_not_at_hand",
            f"the rows of {chosen.word} can't be read here in seconds",
            field="name",
            value=chosen.name,
            way_out=chosen.folder.way_out if chosen.folder is not None else "Choose another data set.",
        )
    return rows


def _fields(chosen: DataSet, settings: Settings) -> dict[str, Any]:
    return {
        **{"name": chosen.name, "word": chosen.word, "help": chosen.help, "answer": chosen.answer},
        **{"sizes": _sizes(chosen, settings), "registered": chosen.place is not None},
    }


def _sizes(chosen: DataSet, settings: Settings) -> dict[str, int] | None:
    try:
        return split_sizes(chosen, settings.data_folders.get(chosen.name))
    except BadInput:  # a run on it is refused with the reason
        return None
