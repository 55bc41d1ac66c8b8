"""Data sets that runs can use."""

from typing import Any

from sqlmodel import Session

from backend.api import schemas as s
from backend.services.data_sets import not_registered, runs_of
from backend.settings import Settings
from memgen.contract.data_sets.functions import split_sizes
from memgen.contract.data_sets.record import DataSet
from memgen.contract.data_sets.registered import read_record
from memgen.contract.data_sets.registry import broken_plugins, data_sets
from memgen.contract.errors import BadInput


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
