"""The functions that records name by dotted path: imported when they are needed, so that the contract needs no rows."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from memgen.contract.data_sets.record import DataSet
from memgen.contract.data_sets.registry import MOST_REASON
from memgen.contract.errors import BadInput


def function_of(chosen: DataSet, path: str) -> Callable[..., Any]:
    """The function at a dotted path of a data set's record.

    Raises:
        BadInput: `data_set_broken`, if it can't be imported.
    """
    module, _, name = path.partition(":")
    try:
        function: Callable[..., Any] = getattr(import_module(module), name)
    except Exception as error:  # a stranger's module may raise anything
        raise broken(chosen, f"{path} can't be imported: {type(error).__name__}: {error}") from error
    return function


def split_sizes(chosen: DataSet, folder: Path | None = None) -> dict[str, int]:
    """Questions of each split.

    Args:
        chosen: the data set.
        folder: where its rows lie, if the user named a folder.

    Raises:
        BadInput: what its counting function raises; `data_set_broken`, if that fails in another way.
    """
    if not isinstance(chosen.sizes, str):
        return {split: rows for split, rows in chosen.sizes.items()}  # noqa: C416  # their names as plain texts
    count = function_of(chosen, chosen.sizes)
    try:
        return dict(count(folder))
    except BadInput:
        raise
    except Exception as error:
        raise broken(chosen, f"its rows can't be counted: {type(error).__name__}: {error}") from error


def broken(chosen: DataSet, reason: str) -> BadInput:
    """The error for a data set whose code does not work."""
    return BadInput(
        "data_set_broken",
        reason[:MOST_REASON],
        field="data",
        value=chosen.name,
        way_out="Mend the package that the data set comes from, or choose another data set.",
    )
