"""Data sets that runs can use."""

from backend.api import schemas as s
from backend.settings import Settings
from memgen.contract.data_sets.functions import split_sizes
from memgen.contract.data_sets.record import DataSet
from memgen.contract.data_sets.registry import broken_plugins, data_sets
from memgen.contract.errors import BadInput


def data_set_list(settings: Settings) -> s.DataSetList:
    """All data sets, and plug-ins that can't be used."""
    return s.DataSetList(
        items=[
            s.DataSetOut(name=one.name, word=one.word, help=one.help, answer=one.answer, sizes=_sizes(one, settings))
            for one in data_sets().values()
        ],
        broken=[s.BrokenPluginOut(package=one.package, name=one.name, reason=one.reason) for one in broken_plugins()],
    )


def _sizes(chosen: DataSet, settings: Settings) -> dict[str, int] | None:
    try:
        return split_sizes(chosen, settings.data_folders.get(chosen.name))
    except BadInput:  # a run on it is refused with the reason
        return None
