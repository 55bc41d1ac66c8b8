from memgen.contract.status import (
    ATTEMPT_ENDED,
    ATTEMPT_TRANSITIONS,
    CAUSE_TEXT,
    RUN_ENDED,
    RUN_LIVE,
    RUN_RESTARTABLE,
    RUN_TRANSITIONS,
    AttemptStatus,
    Cause,
    RunStatus,
)


def test_an_attempts_end_is_final() -> None:
    assert all(ATTEMPT_TRANSITIONS[status] == frozenset() for status in ATTEMPT_ENDED)


def test_success_never_changes() -> None:
    assert RUN_TRANSITIONS[RunStatus.SUCCEEDED] == frozenset()


def test_tables_name_every_status_and_reach_each() -> None:
    assert set(RUN_TRANSITIONS) == set(RunStatus)
    assert set(ATTEMPT_TRANSITIONS) == set(AttemptStatus)
    assert set(CAUSE_TEXT) == set(Cause)
    reached = {RunStatus.WAITING} | {to for tos in RUN_TRANSITIONS.values() for to in tos}
    assert reached == set(RunStatus)


def test_a_run_leaves_failed_only_for_the_queue_and_what_never_started_may_wait_again() -> None:
    assert RUN_TRANSITIONS[RunStatus.FAILED] == {RunStatus.QUEUED}
    assert RUN_TRANSITIONS[RunStatus.CANCELLED] == {RunStatus.QUEUED, RunStatus.WAITING}
    assert RUN_TRANSITIONS[RunStatus.SKIPPED] == {RunStatus.WAITING}


def test_a_run_is_live_or_has_ended_and_what_can_be_started_again_goes_to_the_queue() -> None:
    assert (set(RunStatus), set()) == (RUN_LIVE | RUN_ENDED, RUN_LIVE & RUN_ENDED)
    to_queue = {status for status, following in RUN_TRANSITIONS.items() if RunStatus.QUEUED in following}
    assert to_queue & RUN_ENDED == RUN_RESTARTABLE
