"""Rows of a data set on the Hugging Face hub: data files alone, never a script of the repository."""

from collections.abc import Iterator, Mapping
from typing import Any

from memgen.contract.errors import BadInput


def hub_rows(
    repository: str, config: str | None, part: str, *, data: str, way_out: str
) -> Iterator[Mapping[str, object]]:
    """The rows of a published split, from the hub or from what an earlier visit has left in its cache.

    Args:
        repository: `owner/name` of the data set.
        config: its configuration, where it has several.
        part: its split, as it is named there.
        data: the data set that is asked for, for the error.
        way_out: what to do where the hub can't be reached.

    Raises:
        BadInput: `dataset_unavailable`.
    """
    # Takes seconds and pulls in pandas and pyarrow: only those pay who load from the hub. It runs no repository's code.
    try:
        import datasets

        yield from datasets.load_dataset(repository, config, split=part)
    except Exception as error:
        raise _unavailable(repository, error, data, way_out) from error


def published_splits(
    repository: str, config: str | None, revision: str | None, *, most_rows: int, data: str, way_out: str
) -> dict[str, Any]:
    """All splits of a data set, each the first rows of its table, by the names that they have there.

    Args:
        repository: as of `hub_rows`, as are `config`, `data` and `way_out`.
        config: its configuration, where it has several.
        revision: commit, branch or tag; None is the newest.
        most_rows: of each split; whoever gets so many knows that there may be more.
        data: what was asked for, for the error.
        way_out: what to do where the hub can't be reached.

    Raises:
        BadInput: `dataset_unavailable`.
    """
    try:
        import datasets

        parts = datasets.load_dataset(repository, config, revision=revision)
        return {part: rows.select(range(min(most_rows, len(rows)))) for part, rows in parts.items()}
    except Exception as error:
        raise _unavailable(repository, error, data, way_out) from error


def _unavailable(repository: str, error: Exception, data: str, way_out: str) -> BadInput:
    """Network, hub, proxy, disk and cache errors come as a dozen unrelated classes, with the same ways out."""
    return BadInput(
        "dataset_unavailable",
        f"{repository} could not be loaded from the hub ({type(error).__name__}: {str(error)[:200]})",
        field="data",
        value=data,
        way_out=way_out,
    )
