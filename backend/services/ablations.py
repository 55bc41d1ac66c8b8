"""What the trainings that a run descends from were without, or had otherwise than usual."""

from sqlmodel import Session

from backend.services.descent import ancestors
from backend.store.models import Run
from memgen.contract.stages import set_apart, trains


def ablation_words(session: Session, run: Run) -> str:
    """`static latents, rank 4` of the trainings in a run's line, itself included; empty where all is as usual."""
    line = [one for one in ancestors(session, run.id) if trains(one.stage)]
    return ", ".join(dict.fromkeys(words for one in reversed(line) for words in set_apart(one.stage, one.config)))
