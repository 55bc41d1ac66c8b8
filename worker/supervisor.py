"""The supervisor: one small process per attempt, or per session of Try, in a session of its own.

It holds the slot, claims, starts the trainer, reports, beats, obeys a stop and finishes. The worker only
waits for it, so a restart of worker, backend or dashboard does not touch a running trainer.
Exit codes: 0 nothing to do, 10 an attempt was worked on, 11 the same and its GPU or driver ended it, else an error.
"""

import argparse
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from backend.api.client import ApiError, Client, Unreachable
from backend.api.schemas import FinishRequest
from backend.serving.variables import check_url
from memgen.contract.data_sets.folders import as_settings, data_folders
from memgen.contract.errors import BadInput
from memgen.contract.machine import machine_name, this_boot
from memgen.contract.memory_share import VARIABLE as MEMORY_SHARE
from memgen.contract.presets import load_presets
from memgen.contract.process import begin_process
from memgen.contract.rundir import EXIT_DONE, write_init_from, write_json
from memgen.contract.service_files import backend_url_file
from memgen.contract.status import Cause, StopMode
from worker.card import card_of
from worker.disks import shares_home
from worker.reporter import REFUSED, AttemptStale, stale_or
from worker.settings import Settings
from worker.slots import Slot, SlotLock
from worker.strays import MARK, end_strays
from worker.trainer import Trainer, gpu_variables
from worker.verdict import card_failed, could_not_start, judge, unheard
from worker.work import AttemptWork, SessionWork, Work

log = logging.getLogger("supervisor")
EXIT_IDLE, EXIT_WORKED, EXIT_CARD = 0, 10, 11


class _StoppedBefore(Exception):
    """A stop was asked for before the trainer had started."""


@dataclass
class _Stop:
    mode: StopMode
    asked_at: float
    terminated: bool = False
    killed: bool = False


class Supervisor:
    """Works on what was claimed, from its folder to its end.

    Args:
        settings: where things are.
        slot: what the trainer runs on.
        lock: of the slot, held.
        work: what was claimed.
        client: with the token of that.
        threads: CPU threads of the trainer.
        is_lent: whether a batch system has lent the machine: a signal then ends this attempt, and the run goes on
            elsewhere.
    """

    def __init__(
        self,
        settings: Settings,
        slot: Slot,
        lock: SlotLock,
        work: Work,
        client: Client,
        threads: int,
        *,
        is_lent: bool = False,
    ) -> None:
        self._settings = settings
        self._slot = slot
        self._lock = lock
        self._work = work
        self._client = client
        self._threads = threads
        self._is_lent = is_lent
        self._folder = work.folder
        self._heard_at = time.monotonic()
        self._trainer: Trainer | None = None
        self._stop: _Stop | None = None
        self._next_beat = 0.0
        self._signalled = False
        self._card = card_of(slot, settings)
        self.card_failed = False
        """Whether the slot's GPUs or their driver ended the attempt."""

    def work(self) -> None:
        """Run it to its end, whatever that is."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        if self._is_lent:
            signal.signal(signal.SIGUSR1, self._on_signal)  # the time of its machine is nearly over
        try:
            with ExitStack() as while_it_runs:
                try:
                    self._work.prepare()
                    self._bring_checkpoint(while_it_runs)
                    exit_code = self._fetch()
                    if exit_code == EXIT_DONE:
                        exit_code = self._attend(self._start())
                except _StoppedBefore:
                    end = FinishRequest(outcome="stopped", cause=Cause.STOPPED, exit_code=None)
                    self._deliver(self._interrupted(end))
                    return
                except (OSError, BadInput) as error:
                    log.exception("%s can't start", self._work.name)
                    self._end_trainer()
                    self._deliver(could_not_start(error, self._folder))
                    return
            self._finish(exit_code)
        except AttemptStale as stale:
            log.warning("%s is stale, its trainer ends: %s", self._work.name, stale)
        finally:
            self._end_trainer()

    def _attend(self, trainer: Trainer) -> int:
        """Report, beat and obey until a process has ended; returns its exit code."""
        while trainer.exit_code() is None:
            self._turn(trainer)
            time.sleep(min(self._settings.poll_seconds, self._work.beat_seconds))
        trainer.sweep()
        end_strays(self._lock.path)
        return trainer.exit_code() or 0

    def _end_trainer(self) -> None:
        if self._trainer is not None and self._trainer.exit_code() is None:
            self._trainer.kill()
            end_strays(self._lock.path)

    def _bring_checkpoint(self, while_it_runs: ExitStack) -> None:
        def fetch() -> bool:
            place = while_it_runs.enter_context(self._work.disk.checkpoint(self._between_pieces))
            if place is not None:
                write_init_from(self._folder, place)
            return True

        if not self._insist(fetch, unless=self._is_to_stop):
            raise _StoppedBefore

    def _between_pieces(self) -> None:
        self._beat_if_due()
        if self._is_to_stop():
            raise _StoppedBefore

    def _is_to_stop(self) -> bool:
        return self._signalled or self._stop is not None

    def _fetch(self) -> int:
        """Get the weights by a process of their own, the only one that has the model hub's token; its exit code."""
        command = self._settings.fetcher_command
        preset = load_presets().get(self._work.preset)
        if not command or preset is None or preset.folder is not None:  # or what the trainer will refuse
            return EXIT_DONE
        command = [*command, str(self._folder.config), "--out", str(self._folder.path)]
        environment = self._environment([])
        self._trainer = Trainer(command, self._folder.log, environment, kind="fetcher")
        return self._attend(self._trainer)

    def _start(self) -> Trainer:
        words, devices = self._work.command(self._slot.devices)
        environment = self._environment(devices) | {"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}
        command = [*self._settings.trainer_command, *words]
        trainer = self._trainer = Trainer(command, self._folder.log, environment)
        write_json(
            self._folder.path / "supervisor.json",
            {
                "pid": os.getpid(),
                "trainer_pid": trainer.pid,
                "host": machine_name(),
                "slot": self._slot.name,
                "boot_id": this_boot(),
            },
        )
        return trainer

    def _environment(self, devices: list[str]) -> dict[str, str]:
        environment = {
            "MEMGEN_SUPERVISOR_PID": str(os.getpid()),
            "MEMGEN_THREADS": str(self._threads),
            "OMP_NUM_THREADS": str(self._threads),
            "MEMGEN_HOME": str(self._settings.home),
            MEMORY_SHARE: str(self._settings.memory_share),
            MARK: str(self._lock.path),
            "TQDM_DISABLE": "1",  # progress bars of libraries fill a log file; ours goes through events
        }
        return environment | gpu_variables(devices) | as_settings(data_folders(os.environ))

    def _turn(self, trainer: Trainer) -> None:
        now = time.monotonic()
        try:
            if now >= self._next_beat:
                self._next_beat = now + self._work.beat_seconds
                self._beat(now)
            self._work.reporter.report()
        except Unreachable as error:
            log.warning("%s The trainer goes on.", error)
            self._look_for_backend()
            if self._gives_up():
                log.warning("%s ends: nobody has heard of it for a while", self._work.name)
                self._ask_to_stop(StopMode.DISCARD, now)
        self._pursue_stop(trainer, now)

    def _gives_up(self) -> bool:
        """Whether the backend has been away for longer than what is done here makes sense."""
        patience = self._work.patience_seconds
        return patience is not None and time.monotonic() - self._heard_at > patience

    def _beat(self, now: float) -> None:
        try:
            mode = self._work.beat()
        except ApiError as error:
            raise stale_or(error) from error
        self._heard_at = time.monotonic()
        if mode is not None:
            self._ask_to_stop(mode, now)

    def _ask_to_stop(self, mode: StopMode, now: float) -> None:
        if self._stop is not None and self._stop.mode is mode:
            return
        began = self._stop.asked_at if self._stop else now
        self._stop = _Stop(mode, began)
        with suppress(OSError):  # a full disk: it is terminated when its patience is over, which saves as well
            write_json(self._folder.stop, {"mode": mode.value})

    def _pursue_stop(self, trainer: Trainer, now: float) -> None:
        if self._signalled and self._stop is None:
            log.warning("a signal came: saving and stopping")
            self._ask_to_stop(StopMode.SAVE, now)
        stop = self._stop
        if stop is None:
            return
        waited = now - stop.asked_at
        grace = self._work.stop_grace_seconds
        if stop.mode is StopMode.FORCE or trainer.kind == "fetcher" or waited > 1.5 * grace:  # a fetcher has no work
            stop.killed = True
            trainer.kill()
        elif waited > grace and not stop.terminated:
            stop.terminated = True
            trainer.signal(signal.SIGTERM)

    def _finish(self, exit_code: int) -> None:
        stop = self._stop
        self._report_rest()
        try:
            verdict = judge(
                exit_code,
                self._folder,
                stop_asked=stop is not None,
                was_forced=stop is not None and (stop.killed or stop.terminated),
                unreported=self._work.reporter.problems(),
            )
        except Exception as error:  # the folder is the trainer's, who may have left anything there
            log.exception("the folder of %s defies reading", self._work.name)
            verdict = unheard(exit_code, error)
        verdict = self._interrupted(self._blamed(verdict))
        self.card_failed = verdict.cause is Cause.CARD
        ends = [verdict]

        def hand_in() -> bool:
            ends.append(self._work.disk.handed_in(verdict, self._beat_if_due))
            return True

        self._insist(hand_in, unless=self._is_forced)
        self._deliver(ends[-1])
        if ends[-1].outcome == "succeeded":
            self._work.disk.tidy()

    def _interrupted(self, verdict: FinishRequest) -> FinishRequest:
        """The same, put down to the batch system where that has taken its machine back."""
        if self._is_lent and self._signalled and verdict.outcome == "stopped":
            return verdict.model_copy(update={"cause": Cause.INTERRUPTED})
        return verdict

    def _blamed(self, verdict: FinishRequest) -> FinishRequest:
        """The same, put down to the slot's GPUs where those do not work now: a trainer may not know why it fails."""
        is_open = verdict.outcome == "failed" and verdict.cause not in {Cause.CARD, Cause.OUT_OF_MEMORY}
        if self._card is None or not is_open or self._trainer is None or self._trainer.kind == "fetcher":
            return verdict
        reason = self._card.ask(meanwhile=self._beat_if_due)
        return verdict if reason is None else card_failed(verdict, reason, self._slot.name)

    def _beat_if_due(self) -> None:
        if (now := time.monotonic()) >= self._next_beat:
            self._next_beat = now + self._work.beat_seconds
            with suppress(Unreachable):
                self._beat(now)

    def _deliver(self, verdict: FinishRequest) -> None:
        """Report the end."""

        def finish(told: FinishRequest = verdict) -> bool:
            try:
                self._work.finish(told)
                return True
            except ApiError as error:
                if error.problem.status not in REFUSED:
                    raise
                log.warning("the end of %s is refused: %s", self._work.name, error)
                # said in short; where even that is refused, its lease ends it
                return told is verdict and finish(unheard(verdict.exit_code or 0, error))

        self._report_rest()
        self._insist(finish, unless=self._gives_up)

    def _report_rest(self) -> None:
        """Bring the backend what the files hold; a run that is to end by force does not wait for all of it."""

        def report() -> bool:
            while not self._work.reporter.report() and not self._is_forced():
                self._beat(time.monotonic())
            return True

        self._insist(report, unless=lambda: self._is_forced() or self._gives_up())

    def _is_forced(self) -> bool:
        return self._stop is not None and self._stop.mode is StopMode.FORCE

    def _insist(self, action: Callable[[], bool], unless: Callable[[], bool] = lambda: False) -> bool:
        """Do something with the backend, however long it may be away; False if it failed and is no longer wanted."""
        pause = self._settings.poll_seconds
        while True:
            try:
                return action()
            except ApiError as error:
                reason = stale_or(error)
                if not isinstance(reason, Unreachable):
                    raise reason from error
            except Unreachable as error:
                log.warning("%s Waiting to report the end of %s.", error, self._work.name)
                self._look_for_backend()
            if unless():
                return False
            time.sleep(pause)
            pause = min(10.0, pause * 2)
            with suppress(Unreachable):  # it may take beats, and tell of a stop, where it fails to take a report
                self._beat(time.monotonic())

    def _look_for_backend(self) -> None:
        """Follow a backend of this home that has come back on another port."""
        try:
            url = check_url(backend_url_file(self._settings.home).read_text(encoding="utf-8").strip())
        except (OSError, ValueError):  # not there, or damaged: it goes on asking where it asked
            return
        if url != self._client.url and self._settings.follows_backend:
            log.warning("looking for the backend at %s", url)
            self._client.move_to(url)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._signalled = True  # no log here: the signal may come in the middle of one


def supervise(settings: Settings, slot: Slot, threads: int) -> int:
    """Claim for a slot and work; returns the exit code of the process."""
    lock = SlotLock(settings.home, slot)
    if not lock.take():
        return EXIT_IDLE
    try:
        end_strays(lock.path)  # of a supervisor that was killed
        with Client(settings.backend_url, settings.token()) as client:
            reply = client.claim(slot.claim(settings.limits))
        claimed = reply.attempt or reply.session
        if claimed is None:
            return EXIT_IDLE
        with Client(settings.backend_url, claimed.token, instance=reply.instance) as client:
            shares = shares_home(settings.home, reply.instance)
            work: Work
            if reply.attempt is not None:
                work = AttemptWork(settings, reply.attempt, client, shares_home=shares)
            else:
                assert reply.session is not None
                work = SessionWork(settings.home, reply.session, client, shares_home=shares)
            log.info("%s on slot %s", work.name, slot.name)
            supervisor = Supervisor(settings, slot, lock, work, client, threads)
            supervisor.work()
        return EXIT_CARD if supervisor.card_failed else EXIT_WORKED
    finally:
        lock.release()


def main(arguments: list[str] | None = None) -> int:
    """Entry point of `python -m worker.supervisor`."""
    parser = argparse.ArgumentParser(prog="python -m worker.supervisor", description=__doc__)
    parser.add_argument("--slot", required=True, help="`cpu` or GPU numbers with commas")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the trainer")
    given = parser.parse_args(arguments)
    begin_process()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s supervisor %(process)d %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        return supervise(Settings.read(), Slot.parse(given.slot), given.threads)
    except (Unreachable, ApiError, BadInput) as error:
        log.warning("%s", error)
        return EXIT_IDLE


if __name__ == "__main__":
    sys.exit(main())
