"""Checkpoints from outside: added, used as parents, named in lineage, deleted; what is wrong with them is said."""

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from backend.services import adding
from memgen.contract.rundir import added_checkpoints_dir
from memgen.contract.service_files import uploads_dir
from tests.backend.conftest import Backend, check_problem
from tests.backend.outside import added, files_of, send
from tests.checkpoints import write_checkpoint
from tests.conftest import GOLDEN, TINY

AUTHORS = GOLDEN / "b" / "checkpoint"


@pytest.fixture
def weaver(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "elsewhere" / "weaver_sft")


def nothing_is_left(backend: Backend) -> bool:
    place = added_checkpoints_dir(backend.home)
    return not place.exists() or list(place.iterdir()) == []


def test_added_checkpoint_has_a_number_of_its_own_and_is_offered_like_any_other(backend: Backend, weaver: Path) -> None:
    first = backend.submit()
    number = added(backend, weaver, data="gsm8k", note="from the other lab")
    assert (first, number, backend.submit()) == (1, 2, 3)
    (one,) = backend.get("/checkpoints", stage="evaluate", setting="weaver", preset=TINY)["items"]
    assert (one["id"], one["usable"], one["from_outside"], one["stage"]) == (2, True, True, "")
    assert (one["made_by"], one["kind"], one["trained"]) == ("from outside: mine", "weaver", ["weaver"])
    assert (one["data"], one["note"], one["run_status"], one["parent_id"]) == (
        "gsm8k",
        "from the other lab",
        None,
        None,
    )
    assert one["folder"] == "checkpoints/2"
    assert files_of(backend.home / one["folder"]).keys() == {"manifest.json", "parts.safetensors"}
    assert backend.get("/checkpoints/2")["usable"]
    assert list(uploads_dir(backend.home).iterdir()) == []
    (listed,) = backend.get("/checkpoints/results", sort="stage")["items"]
    assert (listed["checkpoint"]["id"], listed["best"]) == (2, None)


def test_run_starts_from_it_and_lineage_labels_and_lists_say_from_outside(backend: Backend, weaver: Path) -> None:
    number = added(backend, weaver)
    run_id = backend.submit(setting="weaver", checkpoint=str(number))
    assert backend.run(run_id)["status"] == "queued"
    held = backend.held()
    assert held.checkpoint == f"checkpoints/{number}"
    held.answer(*range(6))
    backend.complete(held)
    run = backend.run(run_id)
    assert (run["parent_id"], run["parent_outside"], run["trainings"]) == (number, True, "from outside")
    child = backend.submit(stage="trigger_grpo", checkpoint=str(number), num_questions=8, batch_size=8)
    for asked in ({}, {"run": run_id}, {"run": number}):
        lineage = backend.get("/lineage", **asked)
        assert [node["run_id"] for node in lineage["nodes"]] == [run_id, child]
        assert not any(node["parent_deleted"] for node in lineage["nodes"])
        (outside,) = lineage["outside"]
        assert (outside["id"], outside["name"], outside["preset"]) == (number, "mine", TINY)
    (listed,) = backend.get("/checkpoints/results", sort="-accuracy")["items"]
    assert (listed["best"]["run"]["id"], listed["num_evaluations"]) == (run_id, 1)


def test_validation_split_is_refused_as_nobody_knows_its_training_rows(backend: Backend, weaver: Path) -> None:
    number = added(backend, weaver)
    config = backend.config | {"setting": "weaver", "checkpoint": str(number), "split": "validation"}
    assert (
        check_problem(backend.user("POST", "/runs", json={"config": config}), 422, "unknown_rows")["field"] == "split"
    )


def test_same_key_gets_the_same_reply_and_the_same_weights_are_added_once(backend: Backend, weaver: Path) -> None:
    files = files_of(weaver)
    first = send(backend, files, key="k")
    body = json.loads(first.request.content)
    again = backend.user("POST", "/checkpoints", json=body, headers={"Idempotency-Key": "k"})
    assert (first.status_code, again.status_code, first.json()) == (201, 201, again.json())
    problem = check_problem(send(backend, files), 409, "checkpoint_known")
    assert "checkpoint 1 already" in problem["title"]
    assert [path.name for path in added_checkpoints_dir(backend.home).iterdir()] == ["1"]


def test_folder_around_the_files_and_what_resumes_a_training_stay_out(backend: Backend, weaver: Path) -> None:
    manifest = json.loads((weaver / "manifest.json").read_text())
    state = b"never read"
    (weaver / "manifest.json").write_text(json.dumps(manifest | {"optimizer": hashlib.sha256(state).hexdigest()}))
    files = {f"weaver_sft/{name}": content for name, content in files_of(weaver).items()}
    reply = send(backend, files | {"weaver_sft/optimizer.pt": state, "weaver_sft/deep/er/x.bin": b"x"})
    number = reply.json()["id"]
    kept = files_of(backend.home / "checkpoints" / str(number))
    assert kept.keys() == {"manifest.json", "parts.safetensors"}
    assert json.loads(kept["manifest.json"])["optimizer"] is None


def test_checkpoint_of_the_authors_layout_is_turned_into_ours(backend: Backend) -> None:
    reply = send(backend, {f"checkpoint/{name}": content for name, content in files_of(AUTHORS).items()})
    assert reply.status_code == 201, reply.text
    made = reply.json()
    assert (made["kind"], made["trained"], made["usable"]) == ("import", ["weaver", "trigger"], True)
    assert "parts.safetensors" in made["files"]
    (one,) = backend.get("/checkpoints", stage="evaluate", setting="weaver+trigger", preset=TINY)["items"]
    assert one["usable"]


def flipped(files: dict[str, bytes]) -> dict[str, bytes]:
    return files | {"parts.safetensors": b"weightz"}


def without(name: str) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda files: {path: content for path, content in files.items() if path != name}


def with_manifest(**changes: Any) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda files: files | {
        "manifest.json": json.dumps(json.loads(files["manifest.json"]) | changes).encode()
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said", "code", "word"),
    [
        (flipped, {}, "checkpoint_damaged", "hash"),
        (without("parts.safetensors"), {}, "checkpoint_damaged", "missing"),
        (without("manifest.json"), {}, "not_a_checkpoint", "manifest.json"),
        (with_manifest(kind="no such"), {}, "checkpoint_damaged", "kind"),
        (with_manifest(trained=[]), {}, "checkpoint_damaged", "nothing was trained"),
        (with_manifest(files={"../../x": "0" * 64}), {}, "checkpoint_damaged", "folder"),
        (lambda files: files | {"../x": b"1"}, {}, "unsafe_name", "path"),
        (lambda files: files | {"/etc/x": b"1"}, {}, "unsafe_name", "path"),
        (lambda files: files | {"manifest.json/x": b"1"}, {}, "file_named_twice", "Two files"),
        (dict, {"preset": None}, "no_preset", "folder:1"),
        (dict, {"preset": "none such"}, "unknown_preset", "preset"),
        (with_manifest(base_model="hub:some/body@main"), {}, "foreign_base", "some/body"),
        (lambda _: {"projs.bin": b"1"}, {"preset": None}, "no_preset", "authors"),
        (lambda _: {"projs.bin": b"1", "config.json": b"{"}, {}, "checkpoint_damaged", "config.json"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_by_name_and_nothing_of_it_stays(
    backend: Backend, weaver: Path, change: Callable[..., dict[str, bytes]], said: dict[str, Any], code: str, word: str
) -> None:
    problem = check_problem(send(backend, change(files_of(weaver)), **said), 422, code)
    assert word in json.dumps(problem)
    assert problem["way_out"]
    assert nothing_is_left(backend)
    assert backend.get("/checkpoints")["items"] == []


def test_conversion_without_torch_or_without_end_says_how_to_do_it_by_hand(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adding, "PATIENCE", 0.01)
    problem = check_problem(send(backend, files_of(AUTHORS)), 422, "not_converted")
    assert "import-checkpoint" in problem["way_out"]
    monkeypatch.setattr(adding.importlib.util, "find_spec", lambda _: None)
    problem = check_problem(send(backend, files_of(AUTHORS)), 422, "no_torch")
    assert "import-checkpoint" in problem["way_out"]
    assert nothing_is_left(backend)


def test_revision_of_its_manifest_is_that_of_the_runs_that_start_from_it(backend: Backend, weaver: Path) -> None:
    files = with_manifest(base_model="hub:Qwen/Qwen2.5-1.5B-Instruct@0123abc")(files_of(weaver))
    made = send(backend, files, preset=None).json()
    assert (made["preset"], made["revision"]) == ("Qwen/Qwen2.5-1.5B-Instruct", "0123abc")
    config = backend.config | {"setting": "weaver", "checkpoint": str(made["id"]), "preset": made["preset"]}
    wrong = backend.user("POST", "/preflight", json={"config": config | {"revision": "feed"}}).json()
    assert wrong["problems"][0]["code"] == "foreign_base"


def test_deletion_tells_first_waits_for_live_runs_and_leaves_those_that_started_from_it(
    backend: Backend, weaver: Path
) -> None:
    number = added(backend, weaver)
    run_id = backend.submit(setting="weaver", checkpoint=str(number))
    check_problem(backend.user("DELETE", f"/checkpoints/{number}"), 409, "checkpoint_in_use")
    backend.work()
    preview = backend.user("DELETE", f"/checkpoints/{number}").json()
    assert (preview["runs"], preview["bytes"] > 0) == (1, True)
    assert (backend.home / "checkpoints" / str(number)).is_dir()
    assert backend.user("DELETE", f"/checkpoints/{number}", params={"confirm": True}).status_code == 200
    assert nothing_is_left(backend)
    check_problem(backend.user("GET", f"/checkpoints/{number}"), 404, "checkpoint_not_found")
    (node,) = backend.get("/lineage")["nodes"]
    assert (node["run_id"], node["parent_deleted"]) == (run_id, True)
    check_problem(backend.user("DELETE", f"/checkpoints/{number}"), 404, "checkpoint_not_found")
    assert added(backend, weaver) == run_id + 1


def test_checkpoint_of_a_training_goes_with_its_run_alone(backend: Backend) -> None:
    backend.submit(stage="weaver_sft", num_questions=8, batch_size=4)
    number = backend.work()
    problem = check_problem(backend.user("DELETE", f"/checkpoints/{number}"), 409, "checkpoint_of_a_run")
    assert problem["way_out"] == f"Delete run {number}."


def test_number_is_given_once_whatever_lies_in_the_folders(backend: Backend, weaver: Path, start: Any) -> None:
    """A home whose database is older than its folders, and a folder of an addition that was cut off."""
    number = added(backend, weaver)
    shutil.copytree(backend.home / "checkpoints" / str(number), backend.home / "checkpoints" / "7")
    again = start()
    assert again.submit() == 8
    (again.home / "checkpoints" / "9").mkdir()
    with again.context.database.read() as session:
        assert session.execute(text("SELECT seq FROM sqlite_sequence WHERE name = 'run'")).scalar() == 8
    (weaver / "parts.safetensors").write_bytes(b"others")
    (weaver / "manifest.json").write_text(
        (weaver / "manifest.json").read_text().replace(
            hashlib.sha256(b"weights").hexdigest(), hashlib.sha256(b"others").hexdigest()
        )
    )  # fmt: skip
    assert added(again, weaver) == 9
    assert again.get("/checkpoints/9")["usable"]


def test_homes_folders_may_lie_on_several_disks_and_a_killed_addition_is_swept_away(
    backend: Backend, weaver: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_disk(*_: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    place = added_checkpoints_dir(backend.home)
    for name, age in ((".adding-old", 7200), (".adding-new", 0)):
        (place / name).mkdir(parents=True)
        os.utime(place / name, (time.time() - age,) * 2)
    monkeypatch.setattr(adding.os, "link", other_disk)
    number = added(backend, weaver)
    assert backend.get(f"/checkpoints/{number}")["usable"]
    assert {path.name for path in place.iterdir()} == {".adding-new", str(number)}
