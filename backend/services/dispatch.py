"""The dispatcher: hands runs in at the sites that they go to, and brings what those say together with what we know.

A loop in a thread of its own, as a batch system may take its time. No transaction is open while one is asked.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from backend.api.ticket import Ticket, write_ticket
from backend.executors.executor import NotAnswering, Order, Refused, Site, Size, TheirJob
from backend.services import jobs
from backend.services.disk import SpareDisk
from backend.services.jobs import Pending
from backend.services.site_board import SiteBoard
from backend.settings import Settings
from backend.store.db import Database
from backend.store.models import Job
from memgen.contract.plain_file import open_plain

log = logging.getLogger(__name__)
LONGEST_SILENCE = 60.0  # seconds between two questions to a site that does not answer
OUTPUT_DAYS = 30  # for which the output of jobs is kept
MOST_OUTPUT = 64 * 2**10  # bytes of what a job printed that are looked at


class Dispatcher:
    """A loop in a thread of the backend.

    Args:
        database: where runs live.
        settings: of the backend.
        disk: of the home.
        board: the sites.
        instance: name of this home; jobs are called after it.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        disk: SpareDisk,
        board: SiteBoard,
        instance: str,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._settings = settings
        self._disk = disk
        self._board = board
        self._instance = instance
        self._prefix = jobs.prefix_of(instance)
        self._clock = clock
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._known: set[str] = set()  # sites that were asked once since the start
        self._silent: dict[str, tuple[float, float]] = {}  # by site: when to ask again, and the pause before that

    def start(self) -> None:
        """Begin to loop."""
        self._thread = threading.Thread(target=self._loop, name="dispatcher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the loop; an order that is on its way is looked for after the next start."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def round(self) -> None:
        """Look at every site once."""
        sites = self._board.sites
        with self._database.read() as session:
            others = jobs.has_open_elsewhere(session, sites)
        if others:
            with self._database.write() as session:
                jobs.close_elsewhere(session, sites, at=self._clock())
        for site in list(sites.values()):
            due, pause = self._silent.get(site.name, (0.0, self._settings.reconcile_seconds))
            if self._clock() < due <= self._clock() + LONGEST_SILENCE:  # a clock that was put back delays nothing
                continue
            try:
                self._serve(site)
            except (NotAnswering, OSError) as error:
                words = str(error) if isinstance(error, NotAnswering) else f"its folder can't be used: {error}"
                log.warning("site %s: %s", site.name, words)
                self._board.failed(site.name, words)
                self._silent[site.name] = (self._clock() + pause, min(LONGEST_SILENCE, pause * 2))
            except Exception:  # what is wrong with one site must not keep the others from their turn
                log.exception("a round of site %s failed", site.name)
            else:
                self._board.answered(site.name)
                self._silent.pop(site.name, None)

    def _loop(self) -> None:
        while not self._over.is_set():
            try:
                self.round()
            except Exception:  # the edge of the thread: a failed round must not end all later ones
                log.exception("a round of the dispatcher failed")
            self._over.wait(self._settings.reconcile_seconds)

    def _serve(self, site: Site) -> None:
        with self._database.read() as session:
            ours = jobs.open_jobs(session, site.name)
            is_idle = not ours and not jobs.has_queued(session, site.name)
        if is_idle and site.name in self._known:
            return
        self._look(site, ours)
        self._known.add(site.name)
        self._renew(site)
        with self._database.read() as session:
            free_disk = self._disk.spare(session)
        with self._database.write() as session:
            # the file as it is now: whoever changes it and then launches a run means the change for that run
            site = self._board.sites.get(site.name, site)
            orders = jobs.next_orders(session, site, at=self._clock(), free_disk=free_disk)
        while orders and not self._over.is_set():
            try:
                self._hand_in(site, orders.pop(0))
            except NotAnswering:
                self._put_back(orders)
                raise
        self._put_back(orders)

    def _look(self, site: Site, ours: Sequence[Job]) -> None:
        """Ask what the site has, draw the conclusions, and cancel what nobody wants any more."""
        theirs = self._listed(site)
        ended = [job for job in ours if all(one.phase not in {"pending", "running"} for one in theirs.get(job.id, ()))]
        outputs = {job.id: self._last_line(site, job.id) for job in ended}
        with self._database.write() as session:
            unwanted = jobs.take_states(session, site.name, theirs, outputs, at=self._clock())
            still_open = {job.id for job in jobs.open_jobs(session, site.name)}
        self._clear(site, still_open)
        if unwanted:
            site.cancel(unwanted)

    def _listed(self, site: Site) -> Mapping[int, list[TheirJob]]:
        listed: dict[int, list[TheirJob]] = {}
        for one in site.ask(f"{self._prefix}-"):
            number = one.name.removeprefix(f"{self._prefix}-")
            if number.isdecimal():
                listed.setdefault(int(number), []).append(one)
        return listed

    def _hand_in(self, site: Site, order: Pending) -> None:
        path = self._ticket_file(site, order.job_id)
        self._write_ticket(site, order.job_id, order.ticket, order.size)
        python = site.python or sys.executable
        command = [python, "-m", "worker", "--once", str(path)]
        name = jobs.name_of(self._prefix, order.job_id)
        try:
            number = site.submit(Order(name, order.size, command, site.folder / f"{name}.log"))
        except Refused as error:
            log.warning("site %s does not take job %s: %s", site.name, name, error)
            path.unlink(missing_ok=True)
            with self._database.write() as session:
                jobs.was_refused(session, session.get_one(Job, order.job_id), str(error), at=self._clock())
            return
        with self._database.write() as session:
            jobs.was_taken(session, order.job_id, number)
        log.info("job %s of site %s is %s", number, site.name, name)

    def _put_back(self, orders: Sequence[Pending]) -> None:
        """Orders that were not tried are so in the next round."""
        with self._database.write() as session:
            for order in orders:
                jobs.put_back(session, order.job_id, at=self._clock())

    def _renew(self, site: Site) -> None:
        """Give jobs that wait for long a new ticket, in the place of the old one."""
        with self._database.read() as session:
            due = jobs.to_renew(session, site, at=self._clock())
        for job_id in due:
            with self._database.write() as session:
                job = session.get_one(Job, job_id)
                if job.ticket_hash is None:  # it was used meanwhile
                    continue
                size = next((one for one in site.offers if one.name == job.size), None)
                if size is None:  # the operator has taken it out of the file: what its job was given stays as it was
                    continue
                ticket = jobs.new_ticket(job, site, at=self._clock())
                session.add(job)
            self._write_ticket(site, job_id, ticket, size)

    def _write_ticket(self, site: Site, job_id: int, token: str, size: Size) -> None:
        url = site.backend_url or self._settings.url
        ticket = Ticket(
            job=job_id, token=token, url=url, instance=self._instance, home=self._settings.home, device=size.device
        )
        write_ticket(self._ticket_file(site, job_id), ticket)

    def _ticket_file(self, site: Site, job_id: int) -> Path:
        return site.folder / f"{jobs.name_of(self._prefix, job_id)}.ticket"

    def _last_line(self, site: Site, job_id: int) -> str:
        """What a job printed last."""
        try:
            with open_plain(site.folder / f"{jobs.name_of(self._prefix, job_id)}.log") as file:
                file.seek(max(0, file.seek(0, 2) - MOST_OUTPUT))
                text = file.read(MOST_OUTPUT).decode("utf-8", errors="replace")
        except OSError:
            return ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1][:300] if lines else ""

    def _clear(self, site: Site, still_open: set[int]) -> None:
        """Remove tickets of jobs that nothing is left to do for, and output that is old."""
        oldest = time.time() - OUTPUT_DAYS * 86_400
        for path in site.folder.glob(f"{self._prefix}-*"):
            number = path.stem.removeprefix(f"{self._prefix}-")
            with suppress(OSError):  # removed meanwhile
                is_old = path.suffix == ".log" and path.stat().st_mtime < oldest
                if is_old or (path.suffix == ".ticket" and number.isdecimal() and int(number) not in still_open):
                    path.unlink()
