"""What every route may use: database, settings, doorbell, clock. Made once per application."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request
from sqlmodel import Session

from backend.http.wrong_tokens import WrongTokens
from backend.services.claim import Patience
from backend.services.disk import still_to_write
from backend.services.enqueue import Doorbell
from backend.services.ingest import log_path
from backend.services.reconcile import Reconciler
from backend.services.surroundings import Surroundings
from backend.settings import Settings
from backend.store.db import Database


@dataclass
class Context:
    """The parts of one running backend."""

    settings: Settings
    database: Database
    doorbell: Doorbell
    reconciler: Reconciler
    user_token: str
    worker_token: str
    instance: str
    """Tells this home from all others."""
    clock: Callable[[], float] = field(default=time.time)
    wrong_tokens: WrongTokens = field(default_factory=WrongTokens)
    """Holds answers to wrong tokens back."""

    @property
    def home(self) -> Path:
        """Folder of everything."""
        return self.settings.home

    @property
    def patience(self) -> Patience:
        """Times that go out with a claim."""
        s = self.settings
        return Patience(lease=s.lease_seconds, beat=s.beat_seconds, stop_grace=s.stop_grace_seconds)

    @property
    def free_disk(self) -> int:
        """Bytes free on the disk of the home folder."""
        return shutil.disk_usage(self.home).free

    def spare_disk(self, session: Session) -> int:
        """Of `free_disk` what no run under way may still write."""
        return max(0, self.free_disk - still_to_write(session, self.home))

    def look_around(self, session: Session) -> Surroundings:
        """What a reply that only reads depends on beside the database, asked as the reply comes to need it."""
        return Surroundings(self.clock(), self.doorbell.state, lambda: self.spare_disk(session))

    def look_around_first(self, *, ask_broker: bool = True) -> Surroundings:
        """The same for a reply that writes, asked now: Redis may take a second not to answer, and folders are walked.

        Not to be called while a session is open: a request that waits for its second connection while it holds its
        first can wait for itself.
        """
        broker = self.doorbell.state() if ask_broker else "ok"
        with self.database.read() as session:
            spare = self.spare_disk(session)
        return Surroundings(self.clock(), lambda: broker, lambda: spare)

    def log_path(self, run_id: int, attempt: int) -> Path:
        """The backend's copy of an attempt's log."""
        return log_path(self.settings.logs_dir)(run_id, attempt)


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


ContextDep = Annotated[Context, Depends(_context)]
