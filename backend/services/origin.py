"""What sets a run apart by its origin: the trainings that it descends from, and what of them was not as usual."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlmodel import Session

from backend.services.checkpoints import manifest_of
from backend.services.descent import from_outside, older_parent, with_ancestors
from backend.store.models import Checkpoint, Run
from memgen.contract.pipeline import EXPECTED_OF
from memgen.contract.stages import set_apart, trains
from memgen.contract.weaver_variants import VARIANTS

OUTSIDE = "from outside"


@dataclass(frozen=True)
class Origin:
    """Empty words where all is as usual."""

    trainings: str
    """`weaver_sft + weaver_grpo`, `from outside`: what is before the run, where it is not the usual chain."""
    ablation: str
    """`static latents, rank 4`: of the trainings in the run's line, itself included."""


def origin_of(session: Session, run: Run) -> Origin:
    """The origin of one run."""
    return origins_of(session, [run])[run.id]


def origins_of(session: Session, runs: Sequence[Run]) -> dict[int | None, Origin]:
    """Origins by the ids of runs, with one query for each generation before them."""
    known = with_ancestors(session, runs)
    added = {number: _variant(session, number) for number in from_outside(session, list(known.values()))}
    return {run.id: _origin(run, known, added) for run in runs}


def _variant(session: Session, checkpoint_id: int) -> str:
    """What is left of the weaver of a checkpoint from outside; empty where it is whole."""
    manifest = manifest_of(session.get_one(Checkpoint, checkpoint_id))
    return VARIANTS[manifest.weaver_variant].words if manifest is not None else ""


def _origin(run: Run, known: Mapping[int | None, Run], added: Mapping[int, str]) -> Origin:
    line, one = [run], known.get(older_parent(run))
    while one is not None:
        line.insert(0, one)
        one = known.get(older_parent(one))
    before = dict.fromkeys(one.stage for one in line[:-1] if trains(one.stage))
    words = dict.fromkeys(words for one in line if trains(one.stage) for words in set_apart(one.stage, one.config))
    first = line[0].parent_id
    if first is not None and first in added:
        before = {OUTSIDE: None, **before}
        words = {**({added[first]: None} if added[first] else {}), **words}
    return Origin("" if EXPECTED_OF.issuperset(before) else " + ".join(before), ", ".join(words))
