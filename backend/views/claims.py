"""What a worker is told of the attempt that it has got."""

from backend.api import schemas as s
from backend.services.claim import Claim
from backend.services.machines import Patience
from backend.services.try_work import SessionClaim

SESSION_BEAT = 0.25
"""Most seconds between two beats of a session: questions come with their replies."""


def claimed_attempt(claim: Claim, patience: Patience) -> s.ClaimedAttempt:
    """Everything that the supervisor needs to work on it."""
    attempt, run = claim.attempt, claim.run
    return s.ClaimedAttempt(
        attempt_id=attempt.id,
        run_id=run.id,
        number=attempt.number,
        token=claim.token,
        config=run.config,
        resumes=attempt.resumes,
        checkpoint=claim.checkpoint,
        placement=claim.placement,
        lease_seconds=patience.lease,
        beat_seconds=patience.beat,
        stop_grace_seconds=patience.stop_grace,
    )


def claimed_session(claim: SessionClaim, patience: Patience) -> s.ClaimedSession:
    """Everything that the supervisor needs to hold a session."""
    one = claim.one
    return s.ClaimedSession(
        session_id=one.id,
        token=claim.token,
        columns=one.columns,
        checkpoints=one.checkpoints,
        spread=claim.placement == "spread",
        lease_seconds=patience.lease,
        beat_seconds=min(patience.beat, SESSION_BEAT),
        stop_grace_seconds=patience.stop_grace,
    )
