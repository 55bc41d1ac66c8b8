"""A backend that is killed between a run's end and its message, or while the message is on its way: a real process."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from backend.api.client import Client, Unreachable
from backend.api.schemas import ChannelKind, ChannelPut, ClaimRequest, FinishRequest, NoticeEvent, SlotReport, Versions
from backend.settings import Settings
from memgen.contract.status import Cause
from tests.backend.conftest import MEMORY, NO_REDIS
from tests.ports import free_port
from tests.receivers import Receiver, receiving
from tests.running_stack import wait_until

CLAIM = ClaimRequest(
    host="lab",
    boot_id="b",
    pid=1,
    slot=SlotReport(name="cpu", device="cpu", total_memory=MEMORY),
    free_memory=MEMORY,
    versions=Versions.of_this(),
)


class Killable:
    """A backend of one home that can be killed and started again."""

    def __init__(self, home: Path, receiver: Receiver) -> None:
        self.settings = Settings(home=home, REDIS_URL=NO_REDIS, port=free_port())
        self._named = receiver.origin
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, notification_seconds: float) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MEMGEN_HOME")}
        environment |= {
            "MEMGEN_HOME": str(self.settings.home), "MEMGEN_PORT": str(self.settings.port), "REDIS_URL": NO_REDIS,
            "MEMGEN_WEBHOOK_HOSTS": self._named, "MEMGEN_NOTIFICATION_SECONDS": str(notification_seconds),
        }  # fmt: skip
        self._process = subprocess.Popen([sys.executable, "-m", "backend", "serve"], env=environment)
        wait_until(self._answers, 60, "the backend")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)

    def client(self) -> Client:
        return Client(self.settings.url, self.settings.user_token(), timeout=30)

    def fail(self, config: dict[str, Any]) -> None:
        """A run that ends with an error."""
        with self.client() as user, Client(self.settings.url, self.settings.workers_token(), timeout=30) as worker:
            user.submit(config)
            claimed = worker.claim(CLAIM).attempt
            assert claimed is not None
            with Client(self.settings.url, claimed.token, timeout=30) as attempt:
                attempt.finish(claimed.attempt_id, FinishRequest(outcome="failed", cause=Cause.ERROR, exit_code=1))

    def _answers(self) -> bool:
        with self.client() as client:
            try:
                return client.health().database == "ok"
            except Unreachable:
                return False


@contextmanager
def killable(home: Path, receiver: Receiver) -> Iterator[Killable]:
    backend = Killable(home, receiver)
    try:
        yield backend
    finally:
        backend.kill()


@pytest.fixture
def config(tiny_config: dict[str, object]) -> dict[str, Any]:
    return dict(tiny_config)


def open_channel(backend: Killable, receiver: Receiver) -> None:
    """Let the receiver be told of runs that fail."""
    body = ChannelPut(
        name="lab",
        kind=ChannelKind.WEBHOOK,
        events=[NoticeEvent.RUN_FAILED],
        address=SecretStr(f"{receiver.origin}/hook"),
    )
    with backend.client() as user:
        user.create_channel(body)


def test_kill_between_the_end_of_a_run_and_its_message_loses_and_doubles_none(
    home: Path, config: dict[str, Any]
) -> None:
    with receiving() as receiver, killable(home, receiver) as backend:
        backend.start(notification_seconds=3600)  # its first look comes before there is anything to send
        open_channel(backend, receiver)
        for _ in range(3):
            backend.fail(config)
        backend.kill()
        assert receiver.asked == []
        backend.start(notification_seconds=0.2)
        wait_until(lambda: len(receiver.taken) >= 3, 30, "the messages")
        with backend.client() as user:
            wait_until(lambda: {one.status for one in user.deliveries().items} == {"sent"}, 20, "their rows")
            ids = {one.message_id for one in user.deliveries().items}
    assert sorted(body["id"] for body in receiver.taken) == sorted(ids)
    assert sorted(body["run_id"] for body in receiver.taken) == [1, 2, 3]


def test_kill_while_a_message_is_on_its_way_sends_it_once_more_with_the_same_id(
    home: Path, config: dict[str, Any]
) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def before_the_answer() -> None:
        arrived.set()
        go_on.wait(30)

    with receiving(before_answer=before_the_answer) as receiver, killable(home, receiver) as backend:
        backend.start(notification_seconds=0.2)
        open_channel(backend, receiver)
        backend.fail(config)
        assert arrived.wait(30)
        backend.kill()  # the receiver has the message, and nobody hears its yes
        go_on.set()
        backend.start(notification_seconds=0.2)
        with backend.client() as user:
            wait_until(lambda: [one.status for one in user.deliveries().items] == ["sent"], 30, "the message")
            (delivery,) = user.deliveries().items
    assert (delivery.tries, len(receiver.asked)) == (2, 2)
    assert {headers["X-MemGen-Message"] for _, headers, _ in receiver.asked} == {delivery.message_id}
