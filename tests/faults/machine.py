"""Another machine: a worker in namespaces of its own, with its own name, id, network and home, behind a link to cut."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import SHUT_WR, create_connection, create_server, socket
from uuid import uuid4

import psutil

from backend.launcher.redis_server import socket_path
from memgen.contract.rundir import write_whole
from tests.faults.house import MACHINES, House
from tests.running_stack import wait_until

_LIFE = """
set -e
mount --make-rprivate /
mount --bind "$0" /etc/machine-id
hostname "$1"
ip link set lo up
read -r _
shift
exec "$@"
"""


def why_none() -> str:
    """Why no machine can be made here; empty where one can."""
    if os.geteuid() != 0:
        return "namespaces of its own take root"
    words = ["unshare", "--net", "--mount", "--uts", "ip", "link"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
    except OSError as error:
        return f"unshare of util-linux is not here ({error})"
    return done.stderr


class Machine:
    """A machine that runs a worker and nothing else.

    Args:
        house: whose backend it works for.
        name: one of `MACHINES`.
    """

    def __init__(self, house: House, name: str) -> None:
        self.home = house.home.parent / f"{name}-home"
        self._house = house
        self._name = name
        self._address = MACHINES[name]
        self._near, self._far = f"{name}0", f"{name}1"  # the ends of its link
        self._id = house.home.parent / f"{name}-machine-id"
        self._clock = house.home.parent / f"{name}-clock.txt"

    @contextmanager
    def working(self) -> Iterator[None]:
        """Inside the block its worker runs; its disk outlives it."""
        self.home.mkdir(mode=0o700, exist_ok=True)
        if not self._id.exists():
            self._id.write_text(f"{uuid4().hex}\n")
        server = create_server(("0.0.0.0", 0))
        words = ["unshare", "--net", "--mount", "--uts", "sh", "-c", _LIFE, str(self._id), self._name]
        log = (self.home.parent / f"{self._name}-worker.txt").open("ab")
        worker = subprocess.Popen(
            [*words, self._house.python, "-m", "worker"],
            env=self._environment(server.getsockname()[1]),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            self._link(worker.pid)
            threading.Thread(target=_relay, args=(server, self._house.backend_port), daemon=True).start()
            assert worker.stdin is not None
            worker.stdin.write(b"go\n")
            worker.stdin.close()
            with self._house.client() as client:
                wait_until(lambda: any(one.host == self._name for one in client.workers().items), 60, "its worker")
            yield
        finally:
            _end_all_in(_network(worker.pid))
            worker.kill()
            worker.wait()
            server.close()
            log.close()
            subprocess.run(["ip", "link", "delete", self._near], capture_output=True, check=False)

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Inside the block nothing comes through its link."""
        _ip("link", "set", self._near, "down")
        try:
            yield
        finally:
            _ip("link", "set", self._near, "up")

    def cut_off_for(self, seconds: float) -> None:
        """Nothing comes through its link for so long."""
        with self.cut_off():
            time.sleep(seconds)

    @contextmanager
    def clock_shifted(self, seconds: float) -> Iterator[None]:
        """Inside the block the clock of its processes is wrong by so much, and that of the backend is right."""
        write_whole(self._clock, str(seconds))
        try:
            yield
        finally:
            self._clock.unlink()

    def attempt(self, run_id: int, number: int = 1) -> Path:
        """Folder of an attempt on its disk."""
        return self.home / "runs" / str(run_id) / "attempts" / str(number)

    def fetched(self) -> list[Path]:
        """Checkpoints that have come, or are coming."""
        return [path for path in (self.home / "fetched").glob("*") if path.is_dir()]

    def _environment(self, port: int) -> dict[str, str]:
        token = (self._house.home / "backend" / "worker-token").read_text().strip()
        return self._house.environment | {
            "MEMGEN_HOME": str(self.home),
            "MEMGEN_BACKEND_URL": f"http://{self._address}:{port}",
            "MEMGEN_WORKER_TOKEN": token,
            "MEMGEN_SLOTS": "cpu",
            "FAULTS_CLOCK": str(self._clock),
            "REDIS_URL": f"unix://{socket_path(self._house.home)}",
        }

    def _link(self, pid: int) -> None:
        """A link between here and the namespaces of a process, as soon as it has any."""
        wait_until(lambda: _network(pid) not in {"", _network(os.getpid())}, 20, "namespaces")
        _ip("link", "add", self._near, "type", "veth", "peer", "name", self._far, "netns", str(pid))
        _ip("address", "add", f"{self._address}/30", "dev", self._near)
        _ip("link", "set", self._near, "up")
        inside = ["nsenter", "--target", str(pid), "--net"]
        there = self._address.removesuffix("1") + "2"
        _run(*inside, "ip", "address", "add", f"{there}/30", "dev", self._far)
        _run(*inside, "ip", "link", "set", self._far, "up")


def _network(pid: int) -> str:
    """The network namespace of a process; empty where there is no such process."""
    try:
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return ""


def _end_all_in(network: str) -> None:
    """Power off: worker, supervisors and trainers at once."""
    if network not in {"", _network(os.getpid())}:
        for pid in psutil.pids():
            if _network(pid) == network:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _relay(server: socket, port: int) -> None:
    """Hand on what comes over the link to the backend, which listens on loopback alone."""
    while True:
        try:
            link, _ = server.accept()
        except OSError:  # closed
            return
        try:
            backend = create_connection(("127.0.0.1", port))
        except OSError:  # it is away: so is what stands for it
            link.close()
            continue
        for source, target in ((link, backend), (backend, link)):
            threading.Thread(target=_copy, args=(source, target), daemon=True).start()


def _copy(source: socket, target: socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(SHUT_WR)


def _ip(*words: str) -> None:
    _run("ip", *words)


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=20)
