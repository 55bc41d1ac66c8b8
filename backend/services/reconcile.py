"""The reconciler: again and again it ends attempts whose lease ran out, starts their runs anew, and wakes workers."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import update
from sqlmodel import Session, col, select

from backend.services import alarms, children, ingest, lifecycle, retries, try_sessions, try_work
from backend.services.apart import apart
from backend.services.claim import paused
from backend.services.disk import SpareDisk
from backend.services.ingest import live_attempts
from backend.services.machines import came_up_anew
from backend.services.outputs import Publisher
from backend.settings import Settings
from backend.store.db import Database
from backend.store.models import Attempt, Run, TrySession, Worker
from memgen.contract.plain_file import open_plain
from memgen.contract.rundir import attempt_dir
from memgen.contract.service_files import kept_log
from memgen.contract.status import ATTEMPT_LIVE, AttemptStatus, Cause, RunStatus

log = logging.getLogger(__name__)
ACTOR = "reconciler"
LOOKED_BACK_AT = 10  # attempts of versions before, in one round
MOST_TAKEN = 8 * 2**20  # bytes of a lost attempt's file


class Reconciler:
    """A loop in a thread of the backend.

    Args:
        database: where runs live.
        settings: intervals and leases.
        disk: measured while something waits.
        publisher: makes public paths.
        ring: rings the workers' doorbell.
        clock: seconds since 1970, of the database's times.
        monotonic: seconds that no clock change moves, for the loop's own lateness.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        disk: SpareDisk,
        publisher: Publisher,
        ring: Callable[[], None],
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._settings = settings
        self._disk = disk
        self._publisher = publisher
        self._ring = ring
        self._clock = clock
        self._monotonic = monotonic
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self.took: float | None = None
        """Seconds of the last round; None before the first."""
        self._last_round: float | None = None
        self._last_time = 0.0

    def start(self) -> None:
        """Begin to loop."""
        self._thread = threading.Thread(target=self._loop, name="reconciler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the loop."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def age(self) -> float | None:
        """Seconds since the last round, or None before the first."""
        return None if self._last_round is None else self._monotonic() - self._last_round

    def round(self) -> None:
        """Look at everything once."""
        began = self._monotonic()
        self._look_at_everything()
        self.took = self._monotonic() - began

    def _look_at_everything(self) -> None:
        age = self.age()
        with self._database.write() as session:
            now = self._clock()
            # both clocks: the monotonic one stands still while the machine sleeps
            late = age is None or max(age, now - self._last_time) > self._settings.lease_seconds
            if late:  # the backend was away: its own absence must lose no run
                _extend_leases(session, now + self._settings.lease_seconds)
            self._limit_times(session, now)
            for one in try_work.living(session):
                with apart(session, f"judging session {one.id}"):
                    try_work.judge(session, one, self._try_times, at=now)
            workers = session.exec(select(Worker)).all()
            for attempt in live_attempts(session):
                with apart(session, f"judging attempt {attempt.number} of run {attempt.run_id}"):
                    self._judge(session, attempt, workers, now)
        self._last_round, self._last_time = self._monotonic(), self._clock()
        with _in_any_case("looking for trainings that stand still"), self._database.write() as session:
            alarms.notice_stalled(session, at=now)
        with _in_any_case("looking at runs of versions before"):
            self._look_back()
        with _in_any_case("forgetting sessions"):
            self._forget_sessions(now)
        # what goes wrong with one of these must keep neither a lost run from being found nor a queued one from starting
        with _in_any_case("settling the children of runs"), self._database.write() as session:
            children.settle(session, at=now, actor=ACTOR)
        with self._database.read() as session:
            waits = _something_waits(session, now) or try_work.something_waits(session)
        if waits:
            with _in_any_case("measuring what runs have written"):
                self._disk.measure(self._database)
            self._ring()
        self._publisher.try_again()

    @property
    def _try_times(self) -> try_work.TryTimes:
        return try_work.TryTimes(self._settings.try_idle_seconds, self._settings.try_absent_seconds)

    def _forget_sessions(self, now: float) -> None:
        """Take away what sessions that have ended left."""
        with self._database.write() as session:
            try_sessions.forget(session, before=now - try_sessions.KEPT_SECONDS)
        try_work.sweep(self._database, self._settings.home)

    def _look_back(self) -> None:
        """Raise the alarms of a few runs that ended before there were any."""
        with self._database.read() as session:
            found = {one: alarms.look_back(session, one) for one in alarms.unwatched(session, LOOKED_BACK_AT)}
        for attempt_id, of_it in found.items():
            with self._database.write() as session:
                alarms.store_found(session, attempt_id, of_it)

    def _loop(self) -> None:
        while True:
            try:
                self.round()
            except Exception:  # the edge of the thread: a failed round must not end all later ones
                log.exception("a round of the reconciler failed")
            if self._over.wait(self._settings.reconcile_seconds):
                return

    def _limit_times(self, session: Session, now: float) -> None:
        """Cut leases and pauses that lie further ahead than we ever set them: the clock may have been put back."""
        latest = now + self._settings.lease_seconds
        leased = col(Attempt.status).in_(ATTEMPT_LIVE), col(Attempt.lease_until) > latest
        session.execute(update(Attempt).where(*leased).values(lease_until=latest))
        latest = now + self._settings.retry_pause(self._settings.max_retries)
        paused_longer = col(Attempt.status) == AttemptStatus.QUEUED, col(Attempt.not_before) > latest
        session.execute(update(Attempt).where(*paused_longer).values(not_before=latest))

    def _judge(self, session: Session, attempt: Attempt, workers: Iterable[Worker], now: float) -> None:
        """Lose an attempt whose lease has run out, or whose machine has come up anew."""
        if attempt.lease_until is not None and attempt.lease_until < now:
            heard = f"last heard of at {attempt.phase or 'its start'} on {attempt.host}, slot {attempt.slot}"
            self._lose(session, attempt, now, heard)
        elif self._has_rebooted(attempt, workers, now):
            self._lose(session, attempt, now, f"{attempt.host} has been restarted since it was claimed")

    def _has_rebooted(self, attempt: Attempt, workers: Iterable[Worker], now: float) -> bool:
        """Whether the attempt's machine has come up anew, nothing being heard of the attempt for some beats before."""
        if attempt.lease_until is None:
            return False
        last_beat = attempt.lease_until - self._settings.lease_seconds
        return any(
            came_up_anew(worker, attempt.host, attempt.boot_id)
            # a clock that was put back leaves workers in the future, while leases were cut to the new time
            and min(worker.last_seen, now) - last_beat > 3 * self._settings.beat_seconds
            for worker in workers
        )

    def _lose(self, session: Session, attempt: Attempt, now: float, heard: str) -> None:
        run = session.get_one(Run, attempt.run_id)
        log.warning("attempt %s of run %s is lost: %s", attempt.number, attempt.run_id, heard)
        with apart(session, f"taking what attempt {attempt.number} of run {attempt.run_id} left"):
            self._take_rest(session, attempt, run, now)
        lifecycle.change_attempt(
            session, attempt, AttemptStatus.LOST, actor=ACTOR, at=now, cause=Cause.LOST, detail=heard
        )
        if run.status == RunStatus.STOPPING:
            lifecycle.change_run(
                session,
                run,
                RunStatus.CANCELLED,
                actor=ACTOR,
                at=now,
                cause=Cause.STOPPED,
                detail="lost while stopping",
            )
        elif run.retries_left > 0:
            pause = self._settings.pause_before_retry(run.retries_left)
            retries.try_again(session, run, Cause.LOST, at=now, actor=ACTOR, pause=pause)
        else:
            lifecycle.change_run(session, run, RunStatus.FAILED, actor=ACTOR, at=now, cause=Cause.LOST, detail=heard)

    def _take_rest(self, session: Session, attempt: Attempt, run: Run, now: float) -> None:
        """Take what a lost attempt wrote and nobody could report any more, where its folder can be seen from here."""
        folder = attempt_dir(self._settings.home, attempt.run_id, attempt.number, run.stage)
        events = _rest(folder.events, attempt.events_offset)
        ingest.take_events(session, attempt, attempt.events_offset, events, at=now)
        ingest.take_answers(session, attempt, attempt.answers_offset, _rest(folder.answers, attempt.answers_offset))
        ingest.take_saved_steps(session, attempt, folder.saved_steps())
        rollouts = _rest(folder.rollouts, attempt.rollouts_offset)
        ingest.take_rollouts(session, attempt, attempt.rollouts_offset, rollouts)
        path = kept_log(self._settings.home, attempt.run_id, attempt.number)
        if log_rest := _rest(folder.log, attempt.log_offset):
            try:
                ingest.take_log(attempt, attempt.log_offset, log_rest, path)
            except OSError as error:  # a run is lost, whether or not its last lines can be kept
                log.warning("the end of the log of run %s can't be kept: %s", attempt.run_id, error)
        session.flush()


def _rest(path: Path, offset: int) -> bytes:
    """What stands in a file after an offset, as far as it is read at once."""
    try:
        with open_plain(path) as file:
            file.seek(offset)
            return file.read(MOST_TAKEN)
    except OSError:
        return b""


@contextmanager
def _in_any_case(what: str) -> Iterator[None]:
    """For what the rest of a round must not depend on: an error is logged, and the next round tries again."""
    try:
        yield
    except Exception:
        log.exception("%s failed", what)


def _something_waits(session: Session, now: float) -> bool:
    """Whether an attempt could be handed out to our workers now."""
    queued = (
        select(Attempt.id)
        .join(Run, col(Run.id) == col(Attempt.run_id))
        .where(col(Attempt.status) == AttemptStatus.QUEUED, col(Attempt.not_before) <= now, col(Run.site).is_(None))
    )
    return not paused(session) and session.exec(queued.limit(1)).first() is not None


def _extend_leases(session: Session, until: float) -> None:
    session.execute(update(Attempt).where(col(Attempt.status).in_(ATTEMPT_LIVE)).values(lease_until=until))
    session.execute(update(TrySession).where(col(TrySession.status).in_(try_sessions.HELD)).values(lease_until=until))
