"""Why a run has not started, in one sentence."""

from functools import cached_property

from sqlmodel import Session, col, func, select

from backend.api.schemas import SlotReport
from backend.services import children, fit, jobs
from backend.services.checkpoints import start_of
from backend.services.claim import num_ahead, paused
from backend.services.disk import disk_of
from backend.services.drains import drained_sites
from backend.services.machines import busy_slots, slots_of, slots_of_sessions
from backend.services.openings import DRAINED, Closed, closed_slots, full_machines
from backend.services.surroundings import Surroundings
from backend.store.models import Attempt, Run, Worker
from memgen.contract.config import parse_config
from memgen.contract.status import RunStatus


class Waiting:
    """Why runs wait: what they have in common is read once, when it is first asked for.

    Args:
        session: a transaction, of one reply.
        around: what the reply depends on beside it.
    """

    def __init__(self, session: Session, around: Surroundings) -> None:
        self._session = session
        self._around = around
        self._needs: dict[tuple[str, int | None], int] = {}
        self._placed: dict[tuple[str | int | None, ...], bool] = {}

    @cached_property
    def _paused(self) -> bool:
        return paused(self._session)

    @cached_property
    def _ahead(self) -> dict[int, int]:
        """How many runs stand before each queued one."""
        return num_ahead(self._session)

    @cached_property
    def _workers(self) -> dict[str, Worker]:
        """Those that are alive."""
        rows = self._session.exec(select(Worker))
        return {worker.host: worker for worker in rows if self._around.is_alive(worker)}

    @cached_property
    def _slots(self) -> list[tuple[str, SlotReport]]:
        return [(w.host, slot) for w in self._workers.values() for slot in slots_of(w)]

    @cached_property
    def _closed(self) -> Closed:
        return closed_slots(self._session, self._workers.values())

    @cached_property
    def _full(self) -> dict[str, int]:
        """Machines that work on as many runs as they may."""
        return full_machines(self._session, self._workers.values())

    @cached_property
    def _drained_sites(self) -> set[str]:
        return drained_sites(self._session)

    @cached_property
    def _busy(self) -> dict[tuple[str, str], int]:
        return busy_slots(self._session)

    @cached_property
    def _sessions(self) -> dict[tuple[str, str], int]:
        return slots_of_sessions(self._session)

    @cached_property
    def _spare_disk(self) -> int:
        return self._around.disk.spare(self._session)

    def _disk_of(self, run: Run) -> int:
        """`disk_of`, worked out once for all runs with the same config and checkpoint."""
        alike = run.config_hash, run.parent_id
        if alike not in self._needs:
            self._needs[alike] = disk_of(self._session, run)
        return self._needs[alike]

    def _holds(self, slot: SlotReport, run: Run) -> bool:
        """Whether a run fits on a slot, worked out once for all runs and all slots that are alike."""
        alike = run.config_hash, run.parent_id, slot.device, *slot.device_memory
        if alike not in self._placed:
            placement = fit.place_run(self._session, run, slot.device, slot.device_memory)
            self._placed[alike] = placement is not None
        return self._placed[alike]

    def why(self, run: Run, attempt: Attempt | None) -> str:
        """One sentence that says what a run waits for that has not started.

        Args:
            run: that waits.
            attempt: its newest one, if it has any.
        """
        if run.status == RunStatus.WAITING or attempt is None:
            return children.why_waiting(self._session, run)
        around = self._around
        if run.site is not None and (said := self._of_its_job(run, run.site, attempt)):
            return said
        if self._paused:
            return "The queue is paused."
        if attempt.not_before > around.at:
            return f"A pause before the retry: {attempt.not_before - around.at:.0f} s left."
        if (needed := self._disk_of(run)) > self._spare_disk:
            return (
                f"It may write {needed / 1e9:.2f} GB and the disk of MEMGEN_HOME has {self._spare_disk / 1e9:.2f} GB "
                "that no running run may still need. Make room, e.g. delete runs."
            )
        if run.site is not None:
            return self._why_not_at_site(run, run.site)
        if not self._slots:
            return "No worker is alive. Start one with `make up`."
        fitting = [(host, slot) for host, slot in self._slots if self._holds(slot, run)]
        if not fitting:
            config, start = parse_config(run.config), start_of(self._session, run.parent_id)
            said = fit.too_large(config, [slot for _, slot in self._slots], start)
            return f"{said[:1].upper()}{said[1:]} {fit.what_to_lower(config)}"
        given = [(host, slot) for host, slot in fitting if (host, slot.name) not in self._closed]
        if not given:
            return self._closed_words(fitting)
        well = [(host, slot) for host, slot in given if slot.sick is None]
        if not well:
            return _sick(*given[0])
        free = [(host, slot) for host, slot in well if (host, slot.name) not in self._busy]
        ahead = self._ahead[run.id]
        if not free:
            host, slot = well[0]
            return _busy_words(host, slot, self._busy[host, slot.name], ahead)
        if ahead:
            return "1 run stands before it." if ahead == 1 else f"{ahead} runs stand before it."
        if all(host in self._full for host, _ in free):
            host = free[0][0]
            return f"Machine {host} works on as many runs as it may ({self._full[host]}, by MEMGEN_MOST_RUNS)."
        free = [(host, slot) for host, slot in free if host not in self._full]
        held = self._sessions.keys() & {(host, slot.name) for host, slot in free}
        if len(held) == len(free):
            host, name = min(held)
            return (
                f"Session {self._sessions[host, name]}, in which checkpoints are tried, gives slot {name} of {host} up."
            )
        if around.broker != "ok":
            return f"Redis can't be reached ({around.broker}); the doorbell is rung again every few seconds."
        return self._why_not_taken(run, free)

    def _closed_words(self, fitting: list[tuple[str, SlotReport]]) -> str:
        """Why none of the slots that are large enough is given work."""
        reasons = [self._closed[host, slot.name] for host, slot in fitting]
        others = [reason for reason in reasons if reason.code != DRAINED]
        if others or len(reasons) == 1:
            return str([*others, *reasons][0].in_sentences())
        return (
            "All slots that are large enough are drained: they finish what they have and take nothing new. Undo it by "
            "`memgen-studio undrain` or a button of the queue page."
        )

    def _of_its_job(self, run: Run, site: str, attempt: Attempt) -> str:
        """What the batch system of a site says of a run's job; empty where there is none that is under way."""
        job = jobs.newest_job(self._session, run.id, attempt.number)
        if job is None or job.closed_at is not None:
            return ""
        if job.phase == jobs.REFUSED:
            left = max(0.0, job.not_before - self._around.at)
            return f"Site {site} does not take it: {job.words.rstrip('.')}. It is asked again in {left:.0f} s."
        if (trouble := self._around.site_troubles.get(site)) is not None:
            return trouble
        if job.number is None:
            return f"It is being handed in at site {site}."
        if job.phase == jobs.PENDING:
            return f"Job {job.number} of site {site} is pending: {job.words or 'it was handed in just now'}."
        return f"Job {job.number} of site {site} has begun; its worker is starting."

    def _why_not_at_site(self, run: Run, site: str) -> str:
        """Why a run has no job at its site yet."""
        if (trouble := self._around.site_troubles.get(site)) is not None:
            return trouble
        if jobs.has_open(self._session, run.id):
            return f"Its last job is still on its way out of site {site}; then it is handed in again."
        if site not in self._around.sites:
            return f"Site {site} is not in the file of sites any more (MEMGEN_SITES)."
        if site in self._drained_sites:
            return f"Site {site} is drained: nothing is handed in there before `memgen-studio undrain --site {site}`."
        number = jobs.in_queue(self._session, site)
        if number >= self._around.sites[site].most_jobs:
            return _full_words(site, number, self._ahead[run.id])
        return f"It is handed in at site {site} within seconds."

    def _why_not_taken(self, run: Run, free: list[tuple[str, SlotReport]]) -> str:
        """Why the first run of the queue is not taken although slots are free."""
        # the memory that a slot reported while it worked was in use by its own run
        reported = [
            (host, slot)
            for host, slot in free
            if _last_end(self._session, host, slot.name) < self._workers[host].last_seen
        ]
        held = [(host, slot, fit.held_by_others(self._session, run, slot)) for host, slot in reported]
        if len(reported) == len(free) and all(reason for *_, reason in held):
            host, slot, reason = held[0]
            return f"Slot {slot.name} of {host} is free, but {reason}."
        host, slot = free[0]
        return (
            f"Slot {slot.name} of {host} is about to take it. If that lasts, the slot has less memory free than the "
            "run needs."
        )


def _full_words(site: str, number: int, ahead: int) -> str:
    """As `_busy_words`, of a site that gets no more jobs now."""
    if not ahead:
        return f"Site {site} has as many jobs of ours as it may have ({number})."
    if ahead == 1:
        return f"Site {site} has as many jobs of ours as it may have ({number}), and 1 run stands before it."
    return f"Site {site} has as many jobs of ours as it may have ({number}), and {ahead} runs stand before it."


def _busy_words(host: str, slot: SlotReport, run_id: int, ahead: int) -> str:
    """Whole sentences: other languages put their parts elsewhere."""
    if not ahead:
        return f"Slot {slot.name} of {host} is busy with run {run_id}."
    if ahead == 1:
        return f"Slot {slot.name} of {host} is busy with run {run_id}, and 1 run stands before it."
    return f"Slot {slot.name} of {host} is busy with run {run_id}, and {ahead} runs stand before it."


def _sick(host: str, slot: SlotReport) -> str:
    assert slot.sick is not None
    reason = slot.sick.reason
    again = f"It is asked again in {slot.sick.asked_again_in:.0f} s."
    takes_none = f"Slot {slot.name} of {host} takes no work: {reason.message.rstrip('.')}."
    return f"{takes_none} {again} {reason.way_out}".rstrip()


def _last_end(session: Session, host: str, slot: str) -> float:
    """When the last attempt on a slot ended."""
    ended = select(func.max(Attempt.ended_at)).where(col(Attempt.host) == host, col(Attempt.slot) == slot)
    return session.exec(ended).one() or 0.0
