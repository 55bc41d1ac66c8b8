"""Rows of the hub as files that are read like any other."""

from pathlib import Path
from typing import Any

from memgen.contract.data_sets.hub_rows import HubRows
from memgen.contract.data_sets.record import Split
from memgen.data.hub import published_splits
from memgen.data.registered.examine import MOST_ROWS, Given
from memgen.data.registered.mapping import SPLIT_WORDS


def hub_files(rows: HubRows, folder: Path, split: Split | None = None) -> list[Given]:
    """Fetch the splits that are named as ours are, or all where none is, and write each as a Parquet file.

    Args:
        rows: what to fetch.
        folder: where the files go; it is somebody else's to remove.
        split: what all rows are, where the user says so.

    Raises:
        BadInput: `dataset_unavailable`.
    """
    parts = published_splits(
        rows.repository, rows.config, rows.revision, most_rows=MOST_ROWS + 1, data=str(rows),
        way_out="Check the network, the names, and whether the repository asks for consent; a file of it can be "
        "registered as well.",
    )  # fmt: skip
    named = {part: SPLIT_WORDS[part.lower()] for part in parts if part.lower() in SPLIT_WORDS}
    return [
        _written(table, folder / f"{len(named)}-{number}.parquet", f"{rows}:{part}", split or named.get(part))
        for number, (part, table) in enumerate(parts.items())
        if not named or part in named
    ]


def _written(table: Any, path: Path, name: str, split: Split | None) -> Given:
    table.to_parquet(str(path))
    return Given(path, name, split)
