"""A backend whose notifier turns only when the test says so, with channels that lead to this machine."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from backend.api.schemas import CHOOSABLE
from backend.notifying.notifier import Notifier
from backend.services import lifecycle, runs
from memgen.contract.config import parse_config
from memgen.contract.status import Cause, RunStatus
from tests.backend.conftest import Backend
from tests.receivers import Receiver

SECRET = "/services/T0000/B0000/of-nobody-else"


@dataclass
class Lab:
    """A backend with short words for what is told."""

    backend: Backend

    @property
    def notifier(self) -> Notifier:
        return self.backend.context.notifier

    def channel(self, receiver: Receiver | str, *events: str, kind: str = "webhook", name: str = "lab") -> int:
        """Make a channel of a receiver, or of an origin; it wants all events if none is named."""
        origin = receiver if isinstance(receiver, str) else receiver.origin
        body = {"name": name, "kind": kind, "events": events or CHOOSABLE, "address": origin + SECRET}
        reply = self.backend.user("POST", "/notifications/channels", json=body)
        assert reply.status_code == 201, reply.text
        return int(reply.json()["id"])

    def mail_channel(self, *recipients: str) -> int:
        body = {"name": "mail", "kind": "email", "events": CHOOSABLE, "recipients": recipients}
        reply = self.backend.user("POST", "/notifications/channels", json=body)
        assert reply.status_code == 201, reply.text
        return int(reply.json()["id"])

    def send(self, seconds: float = 0.0) -> None:
        """Let time pass and send what is due, of each channel one."""
        self.backend.clock.pass_time(seconds)
        self.notifier.round()
        self.notifier.wait(30)

    def send_all(self, rounds: int = 20) -> None:
        for _ in range(rounds):
            self.send(1)

    def deliveries(self) -> list[dict[str, Any]]:
        """All messages, oldest first."""
        items: list[dict[str, Any]] = self.backend.get("/notifications/deliveries", limit=200)["items"]
        return items[::-1]

    def fail(self, message: str = "the disk is full", **more: Any) -> int:
        """A run that fails."""
        held = self.backend.started(**more)
        failure = {"code": "disk_full", "message": message, "way_out": "Make room."}
        assert held.finish("failed", "error", failure=failure).status_code == 200
        return held.run_id

    def fail_at_once(self, number: int) -> None:
        """So many runs that fail in one transaction, as where a machine is lost."""
        config, at = parse_config(self.backend.config), self.backend.clock()
        with self.backend.context.database.write() as session:
            for _ in range(number):
                run = runs.submit(session, config, "", at=at, retries=0)
                for status in (RunStatus.RUNNING, RunStatus.FAILED):
                    lifecycle.change_run(session, run, status, actor="test", at=at, cause=Cause.LOST)

    def succeed(self, accuracy: float = 0.5) -> int:
        """An evaluation that finishes."""
        held = self.backend.started()
        self.backend.complete(held, result={"num_questions": 6, "accuracy": accuracy})
        return held.run_id


@pytest.fixture
def lab(start: Callable[..., Backend]) -> Callable[..., Lab]:
    """Starts a backend whose operator has named origins; again for a restart."""

    def make(*named: Receiver | str, **settings: object) -> Lab:
        origins = ",".join(one if isinstance(one, str) else one.origin for one in named)
        return Lab(start(webhook_hosts=origins, **settings))

    return make
