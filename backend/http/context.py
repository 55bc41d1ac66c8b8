"""What every route may use: database, settings, doorbell, clock. Made once per application."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from backend.http.wrong_tokens import WrongTokens
from backend.notifying.notifier import Notifier
from backend.services.channel_addresses import ChannelAddresses
from backend.services.deletion import Deleter
from backend.services.disk import SpareDisk
from backend.services.dispatch import Dispatcher
from backend.services.enqueue import Doorbell
from backend.services.gains import Gains
from backend.services.machines import Patience
from backend.services.outputs import Publisher
from backend.services.reconcile import Reconciler
from backend.services.site_board import SiteBoard
from backend.services.surroundings import Surroundings
from backend.settings import Settings
from backend.store.db import Database
from memgen.contract.service_files import kept_log


@dataclass
class Context:
    """The parts of one running backend."""

    settings: Settings
    database: Database
    disk: SpareDisk
    doorbell: Doorbell
    publisher: Publisher
    reconciler: Reconciler
    notifier: Notifier
    board: SiteBoard
    dispatcher: Dispatcher
    addresses: ChannelAddresses
    user_token: str
    worker_token: str
    instance: str
    """Tells this home from all others."""
    clock: Callable[[], float] = field(default=time.time)
    wrong_tokens: WrongTokens = field(default_factory=WrongTokens)
    """Holds answers to wrong tokens back."""
    gains: Gains = field(default_factory=Gains)
    """What evaluations have gained over their bases."""

    @property
    def home(self) -> Path:
        """Folder of everything."""
        return self.settings.home

    @property
    def patience(self) -> Patience:
        """Times that attempts and workers are given."""
        s = self.settings
        return Patience(
            lease=s.lease_seconds, beat=s.beat_seconds, stop_grace=s.stop_grace_seconds, alive=s.alive_seconds
        )

    def look_around(self) -> Surroundings:
        """What a reply that only reads needs besides the database; Redis and disk are asked when it gets that far."""
        return Surroundings(self.clock(), self.doorbell.state, self.disk, self.settings.alive_seconds, self.board)

    def look_around_first(self, *, ask_broker: bool = True) -> Surroundings:
        """The same for a reply that writes: Redis is asked now, as it may take a second to find that it is away.

        Call it before the transaction: during that nobody else can write.
        """
        broker = self.doorbell.state() if ask_broker else "ok"
        return Surroundings(self.clock(), lambda: broker, self.disk, self.settings.alive_seconds, self.board)

    @property
    def deleter(self) -> Deleter:
        """Takes runs out of the home."""
        return Deleter(self.database, self.home, self.log_path)

    def log_path(self, run_id: int, attempt: int) -> Path:
        """The backend's copy of an attempt's log."""
        return kept_log(self.home, run_id, attempt)


async def _context(request: Request) -> Context:  # what is not async goes through a thread
    context: Context = request.app.state.context
    return context


ContextDep = Annotated[Context, Depends(_context)]
