"""Clients that ask for too much, take nothing, or lie: a run goes on and everybody else is answered."""

import socket
from contextlib import ExitStack, closing

from backend.api.client import ApiError, Client
from backend.serving.slow_clients import MOST_CONNECTIONS
from memgen.contract.status import AttemptStatus as A
from memgen.contract.status import RunStatus
from tests.faults.house import House
from tests.faults.registry import fault
from tests.running_stack import wait_until

HEAD = "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"


@fault(quick=True)
def backend_at_its_limit_of_connections(house: House) -> None:
    """The run goes on while nobody gets in, and everybody gets in once the crowd is gone."""
    run_id = house.launch(questions=60)
    house.started(run_id)
    house.fault()
    with ExitStack() as crowd:
        for _ in range(MOST_CONNECTIONS + 20):
            line = crowd.enter_context(socket.create_connection(("127.0.0.1", house.backend_port), timeout=10))
            line.sendall(HEAD.format(path="/api/v1/health", token="x").encode())  # a head that never ends
        wait_until(lambda: _is_full(house), 10, "a crowd at the backend")
    house.started(run_id, 20)
    house.recovered()
    house.check(run_id, RunStatus.SUCCEEDED, [A.SUCCEEDED])


@fault()
def clients_that_never_read(house: House) -> None:
    """Replies that nobody takes hold up nobody else."""
    run_id = house.launch(questions=60)
    house.started(run_id)
    house.fault()
    ask = (HEAD.format(path="/api/v1/openapi.json", token=house.token) + "\r\n").encode()
    with ExitStack() as idle:
        for _ in range(50):
            line = idle.enter_context(closing(socket.socket()))
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.settimeout(10)
            line.connect(("127.0.0.1", house.backend_port))
            line.sendall(ask * 20)
        house.started(run_id, 20)
        house.recovered()
        house.check(run_id, RunStatus.SUCCEEDED, [A.SUCCEEDED])


@fault()
def worker_with_a_lying_announcement(house: House) -> None:
    """Figures that contradict each other are refused, and the queue, the lists and the next run are as ever."""
    token = (house.home / "backend" / "worker-token").read_text().strip()
    slot = {"name": "x", "device": "cpu", "total_memory": 2**40, "free": [0, 0]}
    house.fault()
    with Client(f"http://127.0.0.1:{house.backend_port}", token) as liar:
        try:
            liar._send("POST", "/worker/announce", json={"host": "liar", "boot_id": "b", "pid": 1, "slots": [slot]})
        except ApiError as error:
            assert error.problem.status == 422
        else:
            raise AssertionError("the announcement was taken")
    run_id = house.launch(questions=5)
    with house.client() as client:
        client.queue()
        client.runs()
        assert all(worker.host != "liar" for worker in client.workers().items)
    house.claimed(run_id, 1)
    house.recovered()
    house.check(run_id, RunStatus.SUCCEEDED, [A.SUCCEEDED])


def _is_full(house: House) -> bool:
    with Client(f"http://127.0.0.1:{house.backend_port}", house.token, sleep=lambda _: None) as client:
        try:
            client.health()
        except ApiError as error:
            return error.problem.status == 503
    return False
