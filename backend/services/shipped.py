"""Checkpoints that come with the project: they are added to a home as soon as the demo asks for them."""

from pathlib import Path

from backend.api.schemas import CheckpointCreate
from backend.services import adding
from backend.store.db import Database
from memgen.contract.data_sets.registry import SHIPPED as DATA
from memgen.contract.demo import SHIPPED, Shipped
from memgen.contract.manifest import read_manifest
from memgen.contract.presets import SHIPPED_PRESET

FOLDER = Path(__file__).parents[1] / "shipped"
"""One folder for each, as a training left it."""


def add_shipped(database: Database, home: Path, *, at: float) -> dict[Shipped, int]:
    """The numbers of all shipped checkpoints in this home, where they are added if they are not there.

    Raises:
        BadInput: a file of the installed package is not what it was.
    """
    return {name: _add(database, name, home, at) for name in SHIPPED}


def _add(database: Database, name: Shipped, home: Path, at: float) -> int:
    weights = read_manifest(FOLDER / name).content_hash
    with database.read() as session:
        known = adding.same_weights(session, weights, SHIPPED_PRESET)
        if known is not None:
            return known.id
    said = CheckpointCreate.model_construct(files=[], name=name, data=DATA, note=SHIPPED[name])
    with adding.looked_at_folder(FOLDER / name, SHIPPED_PRESET, home) as looked, database.write() as session:
        known = adding.same_weights(session, weights, SHIPPED_PRESET)  # somebody may have been faster
        return (known or adding.add(session, looked, said, home, at=at)).id
