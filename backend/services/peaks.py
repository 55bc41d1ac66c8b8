"""How good the memory plans of past runs were on a card: what is learned from their peaks.

A run on a GPU leaves its peak beside its plan in its result, and the card's name in its environment. Runs of the same
model that did the same on cards of the same name tell what a plan is worth there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, select

from backend.api.schemas import SlotReport
from backend.store.models import Attempt, Run
from memgen.contract.config import RunConfig
from memgen.contract.peak import PEAK, PLAN
from memgen.contract.planner.memory import MemoryPlan
from memgen.contract.status import AttemptStatus, RunStatus

NEWEST = 5  # runs that count
LOOKED_AT = 50  # runs of the model among which they are sought


@dataclass(frozen=True)
class Experience:
    """What the last runs used of their plans on a card."""

    card: str
    shares: Sequence[float]
    """Peak over plan of each, newest first."""

    @property
    def words(self) -> str:
        """`On NVIDIA H100 80GB HBM3 the last 5 runs used 92-97 % of their plans.`"""
        low, high = (f"{100 * share:.0f}" for share in (min(self.shares), max(self.shares)))
        runs = f"the last {len(self.shares)} runs" if len(self.shares) > 1 else "the last run"
        plans = "their plans" if len(self.shares) > 1 else "its plan"
        return f"On {self.card} {runs} used {low if low == high else f'{low}-{high}'} % of {plans}."

    def warning(self, slot: SlotReport) -> str:
        """That a slot which holds the plan may be too small after all."""
        return (
            f"Slot {slot.name} holds the plan and may be too small: a run like this one used "
            f"{100 * max(self.shares):.0f} % of its plan there."
        )

    def corrected(self, plan: MemoryPlan) -> int:
        """Bytes that a run is expected to take at most: the plan as far as the fullest of those runs used theirs."""
        return plan.process + int(max(self.shares) * (plan.total - plan.process))


def experience(session: Session, config: RunConfig, host: str, slot: SlotReport) -> Experience | None:
    """What runs like this one used of their plans on the card of a slot; None where none has told.

    Args:
        session: a transaction.
        config: of a run to come.
        host: machine of the slot.
        slot: whose card is known by the newest run that ended on it.
    """
    card = _card_of(session, host, slot)
    if card is None:
        return None
    query = (
        select(Run)
        .where(col(Run.preset) == config.preset, col(Run.stage) == config.stage, col(Run.setting) == config.measured)
        .where(col(Run.status) == RunStatus.SUCCEEDED)
        .order_by(col(Run.id).desc())
        .limit(LOOKED_AT)
    )
    alike = [run for run in session.exec(query) if run.environment.get("device") == card]
    shares = [run.summary[PEAK] / run.summary[PLAN] for run in alike if run.summary.get(PEAK) and run.summary.get(PLAN)]
    name = card.removeprefix("cuda (").removesuffix(")")
    return Experience(name, shares[:NEWEST]) if shares else None


def _card_of(session: Session, host: str, slot: SlotReport) -> str | None:
    """What the newest run that has succeeded on a slot calls its device."""
    if slot.device != "cuda":
        return None
    query = (
        select(Run)
        .join(Attempt, col(Attempt.run_id) == col(Run.id))
        .where(col(Attempt.host) == host, col(Attempt.slot) == slot.name)
        .where(col(Attempt.status) == AttemptStatus.SUCCEEDED)
        .order_by(col(Attempt.id).desc())
        .limit(1)
    )
    run = session.exec(query).first()
    device = None if run is None else run.environment.get("device")
    return device if isinstance(device, str) else None
