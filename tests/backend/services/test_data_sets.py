"""Data sets of users over HTTP: uploads that stream, rows that are refused, and what deleting one takes away."""

import json
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.api import schemas as s
from backend.api.client import Client
from backend.http.lanes import FILES
from backend.services import data_sets, uploads
from memgen.contract.data_sets.registered import Columns, Registration
from memgen.contract.service_files import data_set_rows, registered_dir, uploads_dir
from memgen.data.registered.files import SETTING
from tests.backend.conftest import Backend, check_problem
from tests.ports import free_port
from tests.serving import serving

SUMS = {"name": "sums", "columns": {"question": "q", "answer": "a"}}
ROWS = b"".join(json.dumps({"q": f"{n} + {n}?", "a": 2 * n}).encode() + b"\n" for n in range(40))


def upload(backend: Backend, data: bytes = ROWS, name: str = "sums.jsonl") -> str:
    reply = backend.user("POST", "/data-sets/uploads", params={"name": name}, content=data)
    assert reply.status_code == 201, reply.text
    return str(reply.json()["id"])


def register(backend: Backend, data: bytes = ROWS, **changes: Any) -> httpx.Response:
    body = {"files": [{"upload": upload(backend, data)}], "registration": SUMS | changes}
    return backend.user("POST", "/data-sets", json=body)


def named(backend: Backend, data: bytes = ROWS, **changes: Any) -> str:
    reply = register(backend, data, **changes)
    assert reply.status_code == 201, reply.text
    return str(reply.json()["name"])


def test_upload_becomes_a_data_set_that_runs_can_use_and_the_upload_goes(backend: Backend) -> None:
    check = {"files": [{"upload": upload(backend)}]}
    report = backend.user("POST", "/data-sets/preview", json=check).json()
    assert (report["columns"], report["first_rows"][0]) == (["q", "a"], {"q": "0 + 0?", "a": "0"})
    report = backend.user("POST", "/data-sets/preview", json=check | {"registration": SUMS}).json()
    assert report["sizes"] == {"train": 28, "validation": 4, "test": 8}
    assert "Question: 0 + 0?" in report["samples"][0]["prompt"]
    reply = backend.user("POST", "/data-sets", json=check | {"registration": SUMS})
    assert reply.status_code == 201, reply.text
    name = reply.json()["name"]
    assert name == report["name"]
    assert list(uploads_dir(backend.home).iterdir()) == []

    (item,) = [one for one in backend.get("/data-sets")["items"] if one["name"] == name]
    assert (item["registered"], item["sizes"]) == (True, {"train": 28, "validation": 4, "test": 8})
    assert backend.get("/schema/evaluate")["properties"]["data"]["x-words"][name].startswith("sums (")
    preflight = backend.user("POST", "/preflight", json={"config": backend.config | {"data": name}}).json()
    assert (preflight["ok"], preflight["num_questions"]) == (True, 6)
    preflight = backend.user(
        "POST", "/preflight", json={"config": backend.config | {"data": name, "num_questions": 9}}
    ).json()
    assert "has 8 questions" in preflight["problems"][0]["message"]
    run = backend.run(backend.submit(data=name))
    assert run["data"] == name
    detail = backend.get(f"/data-sets/{name}")
    assert (detail["runs"], detail["record"]["sources"][0]["name"]) == (1, "sums.jsonl")
    assert backend.get("/data-sets/wordproblems")["record"] is None


def test_rows_with_problems_are_refused_with_each_and_nothing_is_kept(backend: Backend) -> None:
    bad = [*ROWS.splitlines(), b'{"q": "1 + 1?", "a": 2}', b'{"q": "empty?", "a": ""}']
    reply = register(backend, b"\n".join(bad))
    problem = check_problem(reply, 422, "bad_data_row")
    assert [one["code"] for one in problem["errors"]] == ["bad_data_row", "duplicate_question"]
    assert "sums.jsonl, row 42, column a" in problem["errors"][0]["message"]
    assert not registered_dir(backend.home).exists()
    assert len(list(uploads_dir(backend.home).iterdir())) == 1, "the upload can be tried with another mapping"


def test_registering_the_same_rows_again_is_the_same_and_other_rows_are_a_new_version(backend: Backend) -> None:
    first = named(backend)
    assert named(backend) == first
    second = named(backend, ROWS + b'{"q": "one more?", "a": 1}\n')
    assert first != second
    assert {first, second} <= {one["name"] for one in backend.get("/data-sets")["items"]}


def test_registration_that_is_sent_again_with_its_key_gets_the_same_reply(backend: Backend) -> None:
    body = {"files": [{"upload": upload(backend)}], "registration": SUMS}
    headers = {"Idempotency-Key": "once"}
    first, second = (backend.user("POST", "/data-sets", json=body, headers=headers) for _ in range(2))
    assert (first.status_code, second.json()) == (201, first.json())
    check_problem(backend.user("POST", "/data-sets", json=body), 404, "upload_not_found")


def test_data_set_is_not_deleted_under_a_run_and_leaves_ended_ones(backend: Backend) -> None:
    name = named(backend)
    run_id = backend.submit(data=name)
    problem = check_problem(backend.user("DELETE", f"/data-sets/{name}"), 409, "data_set_in_use")
    assert f"run {run_id}" in problem["title"]
    backend.stop(run_id)
    preview = backend.user("DELETE", f"/data-sets/{name}").json()
    assert (preview["runs"], preview["deleted"]) == (1, False)
    assert preview["bytes"] >= data_set_rows(registered_dir(backend.home) / name).stat().st_size
    assert backend.user("DELETE", f"/data-sets/{name}", params={"confirm": True}).json()["deleted"]
    assert list(registered_dir(backend.home).iterdir()) == []
    assert backend.run(run_id)["data"] == name
    check_problem(backend.user("DELETE", f"/data-sets/{name}"), 404, "data_set_not_found")
    check_problem(backend.user("DELETE", "/data-sets/wordproblems"), 404, "data_set_not_found")
    check_problem(backend.user("DELETE", "/data-sets/..%2F..%2Fruns"), 404, "no_such_route")
    reply = backend.user("POST", "/runs", json={"config": backend.config | {"data": name}})
    assert "It was deleted, or registered in another home" in check_problem(reply, 422, "invalid_config")["way_out"]


# files of the machine


def test_only_files_in_allowed_folders_are_read_whatever_a_client_names(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = tmp_path / "allowed"
    (allowed / "mine").mkdir(parents=True)
    (allowed / "mine" / "test.jsonl").write_bytes(ROWS)
    (tmp_path / "secret.jsonl").write_bytes(ROWS)
    (allowed / "mine" / "train.jsonl").symlink_to(tmp_path / "secret.jsonl")

    def look(**file: str) -> httpx.Response:
        return backend.user("POST", "/data-sets/preview", json={"files": [file], "registration": SUMS})

    inside = str(allowed / "mine" / "test.jsonl")
    problem = check_problem(look(path=inside), 422, "path_not_allowed")
    assert SETTING in problem["errors"][0]["way_out"] if problem["errors"] else SETTING in problem["way_out"]
    monkeypatch.setenv(SETTING, f"{allowed}{os.pathsep}")
    assert inside in backend.get("/data-sets/files")["paths"]
    assert look(path=inside).json()["rows"] == 40
    for path in (
        str(tmp_path / "secret.jsonl"),
        str(allowed / ".." / "secret.jsonl"),
        str(allowed / "mine"),
        "/etc/passwd",
    ):
        check_problem(look(path=path), 422, "path_not_allowed")
    check_problem(look(upload="../../secret"), 422, "invalid_request")
    check_problem(look(upload="0" * 16), 404, "upload_not_found")


def test_only_data_sets_of_the_hub_that_the_operator_names_are_asked_for(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(repository: str) -> httpx.Response:
        return backend.user("POST", "/data-sets/preview", json={"files": [{"hub": {"repository": repository}}]})

    check_problem(look("lab/sums"), 422, "repository_not_allowed")
    monkeypatch.setenv("MEMGEN_HUB_DATA_SETS", "lab/sums, lab/more")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert backend.get("/data-sets/files")["hub"] == ["lab/sums", "lab/more"]
    check_problem(look("lab/other"), 422, "repository_not_allowed")
    problem = check_problem(look("lab/sums"), 422, "dataset_unavailable")
    assert problem["value"] == "hub:lab/sums"


@pytest.mark.parametrize("name", ["../rows.jsonl", "a/b.csv", ".hidden.csv", "x\0.csv", "a\\b.csv", "", "x" * 250])
def test_name_of_an_upload_that_is_no_file_name_is_refused(backend: Backend, name: str) -> None:
    reply = backend.user("POST", "/data-sets/uploads", params={"name": name}, content=b"{}")
    check_problem(reply, 422, "unsafe_name")
    assert not uploads_dir(backend.home).exists() or not list(uploads_dir(backend.home).iterdir())


# bursts and what is hostile


def test_upload_above_the_limit_is_refused_before_and_while_it_comes(start: Callable[..., Backend]) -> None:
    backend = start(upload_bytes=2**20)
    big = b"x" * (2**20 + 1)
    check_problem(
        backend.user("POST", "/data-sets/uploads", params={"name": "a.csv"}, content=big), 413, "body_too_large"
    )
    pieces = (b"x" * 2**18 for _ in range(6))
    reply = backend.user("POST", "/data-sets/uploads", params={"name": "a.csv"}, content=pieces)
    check_problem(reply, 413, "body_too_large")
    assert list(uploads_dir(backend.home).iterdir()) == []


def test_upload_of_200_mb_that_is_cut_off_in_the_middle_leaves_nothing_and_another_goes_on(
    start: Callable[..., Backend],
) -> None:
    backend = start()
    with serving(backend.http.app, free_port()) as url:
        sent = threading.Event()

        class CutOff(BytesIO):
            def __init__(self) -> None:
                super().__init__()
                self.left = 100

            def read(self, size: int | None = -1) -> bytes:
                self.left -= 1
                if not self.left:
                    sent.set()
                    raise OSError("the cable was pulled")
                return b"x" * 2**20

        with Client(url, backend.context.user_token) as client:
            with pytest.raises(OSError, match="cable"):
                client.upload(CutOff, "rows.csv", 200 * 2**20)
            assert sent.is_set()
            progress: list[int] = []
            out = client.upload(lambda: BytesIO(ROWS), "sums.jsonl", len(ROWS), progress.append)
            assert progress == [len(ROWS)]
            check = s.DataSetCreate(
                files=[s.GivenFile(upload=out.id)],
                registration=Registration(name="sums", columns=Columns(question="q", answer="a")),
            )
            report = client.register_data_set(check)
            assert client.data_set(str(report.name)).registered
        assert list(uploads_dir(backend.home).iterdir()) == []


def test_process_that_reads_hostile_rows_dies_alone(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_sets, "_READER", ["sh", "-c", "echo terrible >&2; kill -SEGV $$"])
    problem = check_problem(register(backend), 422, "rows_unreadable")
    assert "ended with code -11: terrible" in problem["title"]
    monkeypatch.setattr(data_sets, "_READER", ["sleep", "60"])
    monkeypatch.setattr(data_sets, "PATIENCE", 0.2)
    assert "took more than 0.2 s" in check_problem(register(backend), 422, "rows_unreadable")["title"]


def test_uploads_that_became_nothing_go_after_a_day_and_too_many_are_refused(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = upload(backend)
    monkeypatch.setattr(uploads, "MOST_KEPT", 2)
    upload(backend)
    reply = backend.user("POST", "/data-sets/uploads", params={"name": "a.csv"}, content=b"q,a\n")
    check_problem(reply, 400, "too_many_uploads")
    old = uploads_dir(backend.home) / first
    os.utime(old, (time.time() - uploads.KEPT_SECONDS - 1,) * 2)
    upload(backend)
    assert not old.exists()


def test_two_files_that_are_read_for_long_keep_no_run_waiting(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [upload(backend) for _ in range(FILES)]
    begun, go_on = threading.Semaphore(0), threading.Event()
    read = data_sets._read

    def wait_first(order: Any) -> Any:
        begun.release()
        assert go_on.wait(60)
        return read(order)

    monkeypatch.setattr(data_sets, "_read", wait_first)
    with ThreadPoolExecutor(FILES) as pool:
        bodies = [{"files": [{"upload": one}], "registration": SUMS} for one in ids]
        replies = [pool.submit(backend.user, "POST", "/data-sets/preview", json=body) for body in bodies]
        assert all(begun.acquire(timeout=60) for _ in ids)
        backend.submit()
        go_on.set()
        assert [reply.result().status_code for reply in replies] == [200] * FILES
