"""The notifier: a loop that sends what lies in the outbox, a few messages at once, each in a thread of its own.

No connection of the database is held while a message is on its way, and a receiver that hangs delays its own channel
alone, for as long as a receiver is given.
"""

import logging
import threading
import time
from collections.abc import Callable

from backend.api.schemas import ChannelKind
from backend.notifying import mail, webhooks
from backend.notifying.connection import Resolve
from backend.notifying.failure import NotTaken
from backend.services import outbox
from backend.services.channel_addresses import ChannelAddresses
from backend.services.gains import Gains
from backend.services.outbox import Parcel
from backend.settings import Settings
from backend.store.db import Database

log = logging.getLogger(__name__)
MOST_AT_ONCE = 8
"""Messages that are on their way at the same time, each to another channel."""
FORGET_SECONDS = 3600.0  # between two looks for old messages
WRITES, WRITE_PAUSE = 5, 1.0  # tries to store what became of a message, and the pause between them


class Notifier:
    """A loop in a thread of the backend.

    Args:
        database: with the outbox.
        settings: of the operator.
        addresses: of the channels.
        gains: of evaluations over their bases.
        clock: seconds since 1970.
        resolve: finds the addresses of a name; the system's way if None.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        addresses: ChannelAddresses,
        gains: Gains,
        *,
        clock: Callable[[], float] = time.time,
        resolve: Resolve | None = None,
    ) -> None:
        self._database = database
        self._settings = settings
        self._addresses = addresses
        self._gains = gains
        self._clock = clock
        self._resolve = resolve
        self._over = threading.Event()
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._on_their_way: dict[int, threading.Thread] = {}
        self._forgot_at: float | None = None

    def start(self) -> None:
        """Begin to loop."""
        with self._database.write() as session:
            outbox.begin_anew(session)
        self._thread = threading.Thread(target=self._loop, name="notifier", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the loop; what is on its way by then is sent once more after the next start."""
        self._over.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def look_now(self) -> None:
        """Do not wait for the next round: somebody looks at the page."""
        self._wanted.set()

    def round(self) -> None:
        """Send what is due."""
        now = self._clock()
        self._forget_old(now)
        with self._database.read() as session:
            if not outbox.is_due(session, at=now):
                return
            unmeasured = outbox.unmeasured(session)
        for notice_id in unmeasured:
            self._measure(notice_id)
        with self._lock:
            busy = set(self._on_their_way)
        with self._database.write() as session:
            parcels = outbox.take(session, at=now, busy=busy, most=MOST_AT_ONCE - len(busy))
        for parcel in parcels:
            thread = threading.Thread(
                target=self._send, args=[parcel], name=f"message-{parcel.delivery_id}", daemon=True
            )
            with self._lock:
                self._on_their_way[parcel.channel_id] = thread
            thread.start()

    def wait(self, seconds: float) -> None:
        """Let what is on its way arrive, for so long at most."""
        until = time.monotonic() + seconds
        with self._lock:
            threads = list(self._on_their_way.values())
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _loop(self) -> None:
        while not self._over.is_set():
            try:
                self.round()
            except Exception:  # the edge of the thread: a failed round must not end all later ones
                log.exception("a round of the notifier failed")
            self._wanted.wait(self._settings.notification_seconds)
            self._wanted.clear()

    def _measure(self, notice_id: int) -> None:
        """Add the change to a notice; where that fails it goes out without."""
        try:
            with self._database.read() as session:
                line = outbox.measure(session, notice_id, self._gains)
        except Exception:
            log.exception("the change of notice %s can't be measured", notice_id)
            line = ""
        with self._database.write() as session:
            outbox.add_change(session, notice_id, line)

    def _send(self, parcel: Parcel) -> None:
        try:
            remark, refusal = self._try(parcel), None
        except NotTaken as error:
            remark, refusal = "", error
        except Exception:  # the edge of the thread
            log.exception("message %s could not be sent", parcel.delivery_id)
            remark, refusal = "", NotTaken("Sending failed; the backend's log says more.")
        try:
            self._settle(parcel, remark, refusal)
        finally:
            with self._lock:
                self._on_their_way.pop(parcel.channel_id, None)
            self._wanted.set()  # another may be waiting for this one's place

    def _try(self, parcel: Parcel) -> str:
        link = self._link(parcel)
        if parcel.kind == ChannelKind.EMAIL:
            return mail.send(parcel, link, self._settings)
        address = self._addresses.find(parcel.address_key)
        webhooks.send(parcel, address, link, self._settings, resolve=self._resolve)
        return ""

    def _settle(self, parcel: Parcel, remark: str, refusal: NotTaken | None) -> None:
        """Store what became of a message; a database that is busy is asked again."""
        for left in reversed(range(WRITES)):
            try:
                with self._database.write() as session:
                    if refusal is None:
                        outbox.was_sent(session, parcel.delivery_id, remark=remark)
                    else:
                        outbox.was_refused(
                            session, parcel.delivery_id, str(refusal), at=self._clock(),
                            first_pause=self._settings.notification_retry_seconds, retry_after=refusal.retry_after,
                        )  # fmt: skip
                return
            except Exception:
                if self._over.is_set() or not left:
                    log.exception("what became of message %s can't be stored", parcel.delivery_id)
                    return
                self._over.wait(WRITE_PAUSE)

    def _link(self, parcel: Parcel) -> str | None:
        """Where the dashboard shows what a message is about."""
        base = self._settings.dashboard_url
        if base is None:
            return None
        if parcel.run_id is not None:
            return f"{base.rstrip('/')}/run?run={parcel.run_id}"
        if parcel.pipeline_id is not None:
            return f"{base.rstrip('/')}/pipeline?pipeline={parcel.pipeline_id}"
        return base

    def _forget_old(self, now: float) -> None:
        if self._forgot_at is not None and abs(now - self._forgot_at) < FORGET_SECONDS:
            return
        with self._database.write() as session:
            outbox.limit_times(session, at=now, patience=self._settings.notification_patience_seconds)
            outbox.forget_old(session, at=now)
        self._forgot_at = now
