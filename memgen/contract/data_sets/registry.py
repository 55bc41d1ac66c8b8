"""All data sets by name: ours, those of installed packages (entry point group `memgen.data_sets`), those in the home.

A plug-in is an entry point that names a `DataSet`. One that can't be used is remembered with the reason and harms
nothing else; so is a registered data set that was damaged in the home.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from pydantic import ValidationError

from memgen.contract.data_sets.aqua import AQUA
from memgen.contract.data_sets.gpqa import GPQA
from memgen.contract.data_sets.gsm8k import GSM8K
from memgen.contract.data_sets.math500 import MATH500
from memgen.contract.data_sets.record import DataSet
from memgen.contract.data_sets.registered import FULL_NAME, registered
from memgen.contract.data_sets.wordproblems import WORDPROBLEMS, WORDPROBLEMS_EASY
from memgen.contract.errors import BadInput, first_error

BUILT_IN: tuple[DataSet, ...] = (GSM8K, WORDPROBLEMS, WORDPROBLEMS_EASY, MATH500, AQUA, GPQA)
DEFAULT, DEMO, SHIPPED = GSM8K.name, WORDPROBLEMS.name, WORDPROBLEMS_EASY.name
"""What a config asks for where it names none, what the small pipeline uses, and what the checkpoints that come with the
project were trained on."""
GROUP = "memgen.data_sets"
MOST_REASON = 300  # characters
_home: Path | None = None  # whose registered data sets are known; None: that of the environment


@dataclass(frozen=True)
class BrokenPlugin:
    """A plug-in, or a registered data set, that can't be used."""

    package: str | None
    """The installed package that names it; None for what was registered in the home."""
    name: str
    """Of its entry point, or of the registered data set."""
    reason: str

    def __str__(self) -> str:
        if self.package is None:
            return f"the registered data set {self.name} can't be used: {self.reason}"
        return f"the data set {self.name} of the package {self.package} can't be used: {self.reason}"


def data_sets() -> dict[str, DataSet]:
    """Every data set that can be used, by name; ours come first, registered ones last."""
    installed = _installed()[0]
    return installed | {name: one for name, one in registered(_known_home())[0].items() if name not in installed}


def broken_plugins() -> tuple[BrokenPlugin, ...]:
    """Plug-ins and registered data sets that can't be used."""
    damaged = registered(_known_home())[1]
    return (*_installed()[1], *(BrokenPlugin(None, name, _shown(reason)) for name, reason in damaged.items()))


def use_home(home: Path) -> None:
    """Take registered data sets from this home, and not from that of the environment: a process serves one home."""
    global _home
    _home = home


def say_broken_plugins(say: Callable[[str], object]) -> None:
    """Name each plug-in that can't be used, as a program starts."""
    for one in broken_plugins():
        say(str(one))


def data_set(name: str) -> DataSet:
    """The data set of this name.

    Raises:
        BadInput: `unknown_data`, with the names that are known and the plug-ins that can't be used.
    """
    known = _installed()[0]
    if name not in known:
        known = data_sets()
    if name in known:
        return known[name]
    if FULL_NAME.fullmatch(name):
        raise BadInput(
            "unknown_data",
            f"no such data set is registered in {_known_home()}",
            field="data",
            value=name,
            way_out="It was deleted, or registered in another home. A worker needs the home of the backend, or a copy "
            "of the data set's folder in its own.",
        )
    broken = "".join(f" {str(one)[:1].upper()}{str(one)[1:].rstrip('.')}." for one in broken_plugins())
    raise BadInput(
        "unknown_data",
        "there is no such data set",
        field="data",
        value=name,
        way_out=f"Use one of {', '.join(known)}.{broken}",
    )


def _known_home() -> Path | None:
    """None where the environment names no folder that can be one, which whoever uses the home says."""
    from memgen.contract.home import home_of_environment  # which imports the stages, and they the data sets

    try:
        return _home or home_of_environment()
    except BadInput:
        return None


@lru_cache(maxsize=1)
def _installed() -> tuple[dict[str, DataSet], tuple[BrokenPlugin, ...]]:
    """Import the plug-ins, once in a process: packages that are installed later are seen after a restart."""
    plugins = sorted(entry_points(group=GROUP), key=lambda one: (_package(one), one.name))
    return joined([(plugin, _import(plugin)) for plugin in plugins])


def joined(
    plugins: Iterable[tuple[EntryPoint, DataSet | str]],
) -> tuple[dict[str, DataSet], tuple[BrokenPlugin, ...]]:
    """Our data sets with those of plug-ins.

    A name that is taken is refused. Of plug-ins that share a name none is taken, as stored runs could mean either.

    Args:
        plugins: entry points, each with its record, or with the reason why it has none.
    """
    plugins = list(plugins)
    ours = {one.name: one for one in BUILT_IN}
    counts = Counter(record.name for _, record in plugins if isinstance(record, DataSet))
    usable: dict[str, DataSet] = dict(ours)
    broken = []
    for plugin, record in plugins:
        if isinstance(record, str):
            reason = record
        elif record.name in ours:
            reason = f"the name {record.name} is that of a data set of MemGen Studio"
        elif counts[record.name] > 1:
            reason = f"{counts[record.name]} plug-ins have the name {record.name}"
        else:
            usable[record.name] = record
            continue
        broken.append(BrokenPlugin(_package(plugin), plugin.name, reason))
    return usable, tuple(broken)


def _import(plugin: EntryPoint) -> DataSet | str:
    try:
        record = plugin.load()
    except ValidationError as error:
        return _shown(first_error(error))
    except (Exception, SystemExit) as error:  # a stranger's module may raise anything
        return _shown(f"{type(error).__name__}: {error}")
    if not isinstance(record, DataSet):
        return f"{plugin.value} is a {type(record).__name__}, not a DataSet"
    return record


def _shown(reason: str) -> str:
    """A stranger's words on one line; they go into logs and terminals."""
    line = " ".join(reason.split())[:MOST_REASON]
    return "".join(character if character.isprintable() else "?" for character in line)


def _package(plugin: EntryPoint) -> str:
    return plugin.dist.name if plugin.dist else "(unknown)"
