"""Checkpoints between the backend and a machine with a disk of its own: fetched, handed in, broken off, damaged."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.api.client import ApiError, Client, Unreachable
from memgen.contract.errors import BadInput
from memgen.contract.manifest import CheckpointReport, survey
from tests.backend.conftest import API, Backend, Held, check_problem
from tests.checkpoints import write_checkpoint
from worker.checkpoint_cache import CheckpointCache
from worker.handing_in import hand_in

SFT: dict[str, object] = {"stage": "weaver_sft", "num_questions": None}
WEIGHTS = bytes(range(256)) * 40


def nothing() -> None:
    pass


class Pieces(httpx.SyncByteStream):
    """A body that comes in pieces, and breaks off after some bytes."""

    def __init__(self, content: bytes, most: int | None) -> None:
        self._content = content
        self._most = most

    def __iter__(self) -> Iterator[bytes]:
        end = len(self._content) if self._most is None else self._most
        for begin in range(0, min(end, len(self._content)), 1000):
            yield self._content[begin : min(begin + 1000, end)]
        if end < len(self._content):
            raise httpx.ReadError("the link was cut")


class Link(httpx.BaseTransport):
    """The way from a worker to the application: it can be cut, within a reply and after a request."""

    def __init__(self, backend: Backend) -> None:
        self._http = backend.http
        self.asked: list[str] = []
        self.ranges: list[str] = []
        self.break_after: int | None = None
        """Bytes of a reply with weights that still come."""
        self.lose_replies_to = ""
        """Ending of the paths whose next request is done, while its reply is lost."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix(API)
        self.asked.append(path)
        reply = self._http.request(
            request.method, str(request.url), content=request.read(), headers=dict(request.headers)
        )
        if self.lose_replies_to and path.endswith(self.lose_replies_to):
            self.lose_replies_to = ""
            raise httpx.ReadError("the link was cut")
        if path.endswith("/file"):
            self.ranges.append(request.headers["Range"])
            most = self.break_after if request.url.params["name"] == "parts.safetensors" else None
            headers = {name: value for name, value in reply.headers.items() if name != "content-length"}
            return httpx.Response(reply.status_code, headers=headers, stream=Pieces(reply.content, most))
        return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)


@pytest.fixture
def link(backend: Backend) -> Link:
    return Link(backend)


@pytest.fixture
def client_of(link: Link) -> Iterator[Callable[[Held], Client]]:
    made: list[Client] = []

    def client(held: Held) -> Client:
        made.append(Client("http://127.0.0.1", held.token, transport=link))
        return made[-1]

    yield client
    for one in made:
        one.close()


@pytest.fixture
def child(backend: Backend) -> Held:
    """An evaluation that starts from the checkpoint of a training."""
    training = backend.started(**SFT)
    folder = backend.leave_checkpoint(training)
    shutil.rmtree(folder)
    write_checkpoint(folder, "weaver", WEIGHTS)
    report = survey(folder).model_dump(mode="json")
    assert training.finish(result={"steps": 2}, checkpoint=report).status_code == 200
    return backend.started(setting="weaver", checkpoint=str(training.run_id))


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def source(backend: Backend, child: Held) -> Path:
    assert child.checkpoint is not None
    return backend.home / child.checkpoint


def test_checkpoint_is_fetched_once_and_is_what_the_backend_has(
    backend: Backend, link: Link, client_of: Callable[[Held], Client], child: Held, tmp_path: Path
) -> None:
    cache, client = CheckpointCache(tmp_path / "fetched", 10**9), client_of(child)
    with cache.held(client, child.id, nothing) as folder:
        assert content(folder) == content(source(backend, child))
        assert folder.name == survey(folder).manifest.content_hash
    asked = len(link.asked)
    with cache.held(client, child.id, nothing) as again:
        assert again == folder
    assert link.asked[asked:] == [f"/worker/attempts/{child.id}/start"]


def test_fetch_goes_on_where_the_link_was_cut(
    backend: Backend, link: Link, client_of: Callable[[Held], Client], child: Held, tmp_path: Path
) -> None:
    cache, client = CheckpointCache(tmp_path / "fetched", 10**9), client_of(child)
    for link.break_after in (0, 3000, 1):
        with pytest.raises(Unreachable), cache.held(client, child.id, nothing):
            pytest.fail("it has not come")
    link.break_after = None
    with cache.held(client, child.id, nothing) as folder:
        assert content(folder) == content(source(backend, child))
    assert link.ranges[-3:] == ["bytes=0-", "bytes=3000-", "bytes=3001-"]


def test_fetched_files_of_another_content_are_refused_and_nothing_of_them_stays(
    backend: Backend, client_of: Callable[[Held], Client], child: Held, tmp_path: Path
) -> None:
    (source(backend, child) / "parts.safetensors").write_bytes(bytes(len(WEIGHTS)))
    cache = CheckpointCache(tmp_path / "fetched", 10**9)
    with pytest.raises(BadInput) as caught, cache.held(client_of(child), child.id, nothing):
        pytest.fail("it is damaged")
    assert (caught.value.code, caught.value.value) == ("checkpoint_damaged", "parts.safetensors")
    assert [path for path in (tmp_path / "fetched").iterdir() if path.is_dir()] == []


def test_fetched_folder_that_has_lost_a_file_is_fetched_again(
    backend: Backend, client_of: Callable[[Held], Client], child: Held, tmp_path: Path
) -> None:
    cache, client = CheckpointCache(tmp_path / "fetched", 10**9), client_of(child)
    with cache.held(client, child.id, nothing) as folder:
        (folder / "parts.safetensors").unlink()
    with cache.held(client, child.id, nothing) as folder:
        assert content(folder) == content(source(backend, child))


def test_what_was_used_longest_ago_makes_room_and_what_a_run_uses_stays(
    backend: Backend, client_of: Callable[[Held], Client], child: Held, tmp_path: Path
) -> None:
    place = tmp_path / "fetched"
    old, older = write_checkpoint(place / "old", weights=b"o" * 900), write_checkpoint(place / "older")
    os.utime(older, (1, 1))
    os.utime(old, (2, 2))
    room = sum(len(data) for folder in (old, source(backend, child)) for data in content(folder).values())
    cache, client = CheckpointCache(place, room), client_of(child)
    with cache.held(client, child.id, nothing) as folder:
        assert (older.exists(), old.exists(), folder.exists()) == (False, True, True)
        CheckpointCache(place, 0).keep(write_checkpoint(tmp_path / "left"))
        assert folder.exists()
        assert not old.exists()


def test_run_without_a_checkpoint_and_files_that_it_has_not_are_refused(backend: Backend, child: Held) -> None:
    base = backend.started()
    headers = {"Authorization": f"Bearer {base.token}"}
    reply = backend.http.get(f"{API}/worker/attempts/{base.id}/start", headers=headers)
    check_problem(reply, 404, "no_checkpoint")
    for name in ("../config.json", "/etc/passwd", "nothing", ""):
        reply = backend.http.get(
            f"{API}/worker/attempts/{child.id}/start/file", params={"name": name},
            headers={"Authorization": f"Bearer {child.token}"},
        )  # fmt: skip
        check_problem(reply, 404, "no_such_file")
    reply = backend.http.get(f"{API}/worker/attempts/{child.id}/start", headers=headers)
    check_problem(reply, 401, "wrong_token")


@pytest.fixture
def left(tmp_path: Path) -> tuple[Path, CheckpointReport]:
    """What a training has left on a disk of its own."""
    folder = write_checkpoint(tmp_path / "elsewhere" / "weaver_sft", "weaver", WEIGHTS)
    return folder, survey(folder)


def test_checkpoint_is_handed_in_and_becomes_that_of_the_run(
    backend: Backend, client_of: Callable[[Held], Client], left: tuple[Path, CheckpointReport]
) -> None:
    training = backend.started(**SFT)
    folder, report = left
    hand_in(client_of(training), training.id, folder, report, nothing)
    hand_in(client_of(training), training.id, folder, report, nothing)  # a reply was lost: it is there already
    reply = training.finish(result={"steps": 2}, checkpoint=report.model_dump(mode="json"))
    assert reply.status_code == 200
    assert backend.run(training.run_id)["status"] == "succeeded"
    (one,) = backend.get("/checkpoints")["items"]
    assert content(backend.home / one["folder"]) == content(folder)
    assert backend.get(f"/checkpoints/{training.run_id}")["usable"]


@pytest.mark.parametrize("lost", ["/output", "/place"])
def test_handing_in_goes_on_where_the_link_was_cut(
    backend: Backend, link: Link, client_of: Callable[[Held], Client], left: tuple[Path, CheckpointReport],
    monkeypatch: pytest.MonkeyPatch, lost: str,
) -> None:  # fmt: skip
    monkeypatch.setattr("worker.handing_in.PIECE", 4000)
    training = backend.started(**SFT)
    client = client_of(training)
    link.lose_replies_to = lost
    with pytest.raises(Unreachable):
        hand_in(client, training.id, *left, nothing)
    hand_in(client, training.id, *left, nothing)
    assert training.finish(
        result={"steps": 2}, checkpoint=left[1].model_dump(mode="json")
    ).status_code == 200  # fmt: skip
    assert backend.run(training.run_id)["status"] == "succeeded"


def test_file_that_came_damaged_comes_again(
    backend: Backend, client_of: Callable[[Held], Client], left: tuple[Path, CheckpointReport]
) -> None:
    training, (folder, report) = backend.started(**SFT), left
    client = client_of(training)
    client.send_output(training.id, "parts.safetensors", 0, bytes(len(WEIGHTS)))
    with pytest.raises(ApiError) as caught:
        hand_in(client, training.id, folder, report, nothing)
    assert (caught.value.code, caught.value.problem.value) == ("output_incomplete", "parts.safetensors")
    hand_in(client, training.id, folder, report, nothing)


def refused(held: Held, **params: Any) -> httpx.Response:
    return held.post("output", params={"name": "parts.safetensors", "offset": 0} | params, content=b"abc")


def test_pieces_that_can_not_be_taken_are_refused(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    training = backend.started(**SFT)
    for name in ("../up", "/absolute", "a//b", "/".join("abcdefghi"), ""):
        check_problem(refused(training, name=name), 422, "unsafe_name")
    assert check_problem(refused(training, offset=5), 409, "wrong_offset")["value"] == "0"
    assert refused(training).json() == {"offset": 3}
    assert check_problem(refused(training), 409, "wrong_offset")["value"] == "3"
    usage = shutil.disk_usage(backend.home)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2**30))
    body = check_problem(refused(training, offset=3), 409, "disk_full")
    assert body["field"] == "MEMGEN_HOME"
    monkeypatch.undo()
    training.finish("failed", "error")
    check_problem(refused(training, offset=3), 409, "stale_attempt")


def test_checkpoint_that_has_not_come_whole_is_not_placed(
    backend: Backend, left: tuple[Path, CheckpointReport]
) -> None:
    training, report = backend.started(**SFT), left[1].model_dump(mode="json")
    check_problem(training.post("output/place", json=report), 409, "output_incomplete")
    assert training.finish(result={"steps": 2}, checkpoint=report).status_code == 200
    run = backend.run(training.run_id)
    assert (run["status"], run["failure"]["code"]) == ("failed", "bad_run_folder")
