"""Random histories of runs, on the service's own functions: an end is final, never two leases, numbers only grow."""

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import text
from sqlmodel import Session, col, select

from backend.api.schemas import Announce, ClaimedAttempt, ClaimRequest, FinishRequest, SlotReport
from backend.errors import Conflict, ServiceError
from backend.services import claim, ingest, machines, runs
from backend.services.disk import SpareDisk
from backend.services.outputs import Publisher
from backend.services.reconcile import Reconciler
from backend.settings import Settings
from backend.store.db import Database
from backend.store.models import Attempt, Run
from backend.views.claims import claimed_attempt
from memgen.contract.config import parse_config
from memgen.contract.status import (
    ATTEMPT_ENDED,
    ATTEMPT_LIVE,
    RUN_ENDED,
    AttemptStatus,
    Cause,
    RunStatus,
    StopMode,
)
from tests.faults.trainer import answer

HISTORIES, STEPS = 500, 40
LEASE = 60.0
BETWEEN_ROUNDS = 15.0  # seconds, of a backend that lives: less than a lease, and than any grace
PATIENCE = machines.Patience(lease=LEASE, beat=5.0, stop_grace=30.0, alive=60.0)
HOSTS = ("first", "second")
CONFIG = {
    "stage": "evaluate",
    "preset": "HuggingFaceTB/SmolLM2-135M-Instruct",
    "data": "wordproblems",
    "num_questions": 9,
}
MEMORY = 2**40


class Life(RuleBasedStateMachine):
    """Users, workers, supervisors (stale ones, too), the reconciler and time, in any order."""

    database: Database
    configuration: Settings

    def __init__(self) -> None:
        super().__init__()
        self.now, self.ticks = 1_800_000_000.0, 0.0
        self.claimed: list[ClaimedAttempt] = []
        self.ended: dict[tuple[int, int], str] = {}
        """Status by run and number of what has ended."""
        self.numbers: dict[int, int] = {}
        self.succeeded: list[int] = []
        self.boots = dict.fromkeys(HOSTS, 1)
        self.reconciler = Reconciler(
            self.database,
            self.configuration,
            SpareDisk(self.configuration.home),
            Publisher(self.database, self.configuration.home),
            lambda: None,
            clock=lambda: self.now,
            monotonic=lambda: self.ticks,
        )
        with self.database.write() as session:
            for table in ("answer", "metric", "run_event", "attempt", "checkpoint", "run", "worker", "switch", "drain"):
                session.execute(text(f"DELETE FROM {table}"))

    @rule()
    def submit(self) -> None:
        with self.database.write() as session:
            runs.submit(session, parse_config(CONFIG), "", at=self.now, retries=2)

    @rule(host=st.sampled_from(HOSTS), times=st.integers(1, 3))
    def claim_work(self, host: str, times: int) -> None:
        """Doubled messages are further claims."""
        slot = SlotReport(name="cpu", device="cpu", gpus=[], total_memory=MEMORY)
        request = ClaimRequest(
            host=host, boot_id=str(self.boots[host]), pid=1, slot=slot, free_memory=MEMORY, free_gpu_memory=[]
        )
        for _ in range(times):
            with self.database.write() as session:
                taken = claim.claim(session, request, PATIENCE, at=self.now, free_disk=MEMORY)
                given = None if taken is None else claimed_attempt(taken, PATIENCE)
            if given is not None:
                self.claimed.append(given)

    @rule(data=st.data())
    def beat(self, data: st.DataObject) -> None:
        self._report(data, lambda session, attempt: ingest.beat(session, attempt, at=self.now, lease=LEASE))

    @rule(data=st.data(), count=st.integers(1, 3))
    def answer_questions(self, data: st.DataObject, count: int) -> None:
        def take(session: Session, attempt: Attempt) -> None:
            lines = b"".join(
                answer(attempt.num_answers + index).model_dump_json().encode() + b"\n" for index in range(count)
            )
            ingest.take_answers(session, attempt, attempt.answers_offset, lines)

        self._report(data, take)

    @rule(
        data=st.data(),
        end=st.sampled_from(
            [
                ("succeeded", Cause.DONE),
                ("failed", Cause.ERROR),
                ("failed", Cause.KILLED),
                ("failed", Cause.CARD),
                ("failed", Cause.OUT_OF_MEMORY),
                ("stopped", Cause.STOPPED),
            ]
        ),
    )
    def finish(self, data: st.DataObject, end: tuple[Any, Cause]) -> None:
        outcome, cause = end
        request = FinishRequest(outcome=outcome, cause=cause, exit_code=0)

        def take(session: Session, attempt: Attempt) -> None:
            home, pause = self.configuration.home, self.configuration.pause_before_retry
            if ingest.finish(session, attempt, request, at=self.now, home=home, actor="worker", retry_pause=pause):
                self.succeeded.append(attempt.run_id)

        self._report(data, take)

    @rule(data=st.data(), mode=st.sampled_from(StopMode))
    def stop(self, data: st.DataObject, mode: StopMode) -> None:
        self._ask(data, lambda session, run: runs.stop(session, run, mode, at=self.now))

    @rule(data=st.data(), resume=st.booleans())
    def start_again(self, data: st.DataObject, resume: bool) -> None:
        self._ask(data, lambda session, run: runs.start_again(session, run, resume=resume, at=self.now, retries=2))

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        def drop(session: Session, run: Run) -> None:
            runs.delete(session, run)
            self.numbers.pop(run.id or 0, None)
            self.ended = {key: end for key, end in self.ended.items() if key[0] != run.id}
            self.succeeded = [one for one in self.succeeded if one != run.id]

        self._ask(data, drop)

    @rule(value=st.booleans())
    def pause(self, value: bool) -> None:
        with self.database.write() as session:
            claim.pause(session, value)

    @rule(seconds=st.sampled_from([1.0, 4.0, 30.0]))
    def pass_time(self, seconds: float) -> None:
        """Time in which the backend lives."""
        while seconds > 0:
            self._tick(min(BETWEEN_ROUNDS, seconds))
            self.reconciler.round()
            seconds -= BETWEEN_ROUNDS

    @rule(seconds=st.sampled_from([10.0, 61.0, 500.0]))
    def backend_away(self, seconds: float) -> None:
        """Nothing is lost through this alone."""
        self.reconciler.round()
        live = self._live()
        self._tick(seconds)
        self.reconciler.round()
        if seconds > LEASE:
            assert self._live() == live

    @rule(seconds=st.sampled_from([-3600.0, 3600.0]))
    def clock_set(self, seconds: float) -> None:
        """Nothing is lost through this alone, either."""
        self.reconciler.round()
        live = self._live()
        self.now += seconds
        self.reconciler.round()
        assert self._live() == live

    @rule(host=st.sampled_from(HOSTS))
    def reboot(self, host: str) -> None:
        self.pass_time(30.0)
        self.boots[host] += 1
        sign = Announce(host=host, boot_id=str(self.boots[host]), pid=1, slots=[])
        with self.database.write() as session:
            machines.announce(session, sign, PATIENCE, at=self.now)

    @invariant()
    def what_must_hold(self) -> None:
        with self.database.read() as session:
            by_run: dict[int, list[Attempt]] = {}
            for attempt in session.exec(select(Attempt).order_by(col(Attempt.run_id), col(Attempt.number))):
                by_run.setdefault(attempt.run_id, []).append(attempt)
            for run in session.exec(select(Run)):
                self._check(run, by_run.get(run.id or 0, []))
        assert len(self.succeeded) == len(set(self.succeeded))

    def _check(self, run: Run, attempts: list[Attempt]) -> None:
        assert run.id is not None
        assert [one.number for one in attempts] == list(range(1, len(attempts) + 1))
        assert len(attempts) >= self.numbers.get(run.id, 1)
        self.numbers[run.id] = len(attempts)
        *earlier, last = attempts
        assert all(one.status in ATTEMPT_ENDED for one in earlier)
        for one in attempts:
            key = run.id, one.number
            assert self.ended.get(key, one.status) == one.status
            if one.status in ATTEMPT_ENDED:
                self.ended[key] = one.status
                assert one.lease_until is None
        live = last.status in ATTEMPT_LIVE
        assert live == (run.status in {RunStatus.RUNNING, RunStatus.STOPPING})
        assert (last.status == AttemptStatus.QUEUED) == (run.status == RunStatus.QUEUED)
        assert (run.status == RunStatus.SUCCEEDED) == (run.id in self.succeeded)
        assert (run.ended_at is not None) == (run.status in RUN_ENDED)

    def _live(self) -> list[int]:
        with self.database.read() as session:
            return [one.id or 0 for one in ingest.live_attempts(session)]

    def _tick(self, seconds: float) -> None:
        self.now += seconds
        self.ticks += seconds

    def _report(self, data: st.DataObject, take: Any) -> None:
        """A supervisor says something, perhaps one whose attempt has ended long ago."""
        if not self.claimed:
            return
        given = data.draw(st.sampled_from(self.claimed))
        try:
            with self.database.write() as session:
                take(session, ingest.authorize(session, given.attempt_id, given.token))
        except ServiceError as error:
            with self.database.read() as session:
                found = session.get(Attempt, given.attempt_id)
            # a deleted run's attempt leaves its number to a later one, whose token is another
            own = found is not None and (found.run_id, found.number) == (given.run_id, given.number)
            assert not own or (found is not None and found.status in ATTEMPT_ENDED), error

    def _ask(self, data: st.DataObject, do: Any) -> None:
        """A user asks for something, which may be refused."""
        with self.database.read() as session:
            known = list(session.exec(select(Run.id)))
        if not known:
            return
        run_id = data.draw(st.sampled_from(known))
        try:
            with self.database.write() as session:
                do(session, runs.get(session, run_id))
        except ServiceError as error:
            assert isinstance(error, Conflict), json.dumps(str(error))


def explore(histories: int = HISTORIES) -> str:
    """Go through random histories; returns how many."""
    with tempfile.TemporaryDirectory() as folder:
        Life.configuration = Settings(home=Path(folder), redis_url="unix:///nowhere/redis.sock", lease_seconds=LEASE)
        Life.database = Database(Life.configuration.database)
        Life.database.migrate()
        try:
            run_state_machine_as_test(
                Life,
                settings=settings(
                    max_examples=histories,
                    stateful_step_count=STEPS,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            Life.database.close()
    return f"{histories} histories of up to {STEPS} steps"
