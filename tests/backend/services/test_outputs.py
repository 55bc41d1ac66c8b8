"""What an attempt leaves: what of it the backend believes, and the public paths that lead to it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeout

from memgen.contract.config import parse_config
from memgen.contract.manifest import survey
from memgen.contract.rundir import attempt_dir, newest_link, published_dir
from tests.backend.conftest import Backend, Held

TRAINING = {"stage": "weaver_sft", "num_questions": 8, "batch_size": 4}


def trained(backend: Backend) -> tuple[Held, Path]:
    """A training whose trainer has ended, and the folder that it left."""
    held = backend.started(**TRAINING)
    return held, backend.leave_checkpoint(held)


def report(folder: Path) -> dict[str, Any]:
    return survey(folder).model_dump(mode="json")


def answered(backend: Backend) -> Held:
    """An evaluation whose trainer has ended."""
    held = backend.started()
    answers = attempt_dir(backend.home, held.run_id, held.number, "evaluate").answers
    answers.parent.mkdir(parents=True)
    answers.write_text(f"answers of run {held.run_id}")
    return held


def public_path(backend: Backend, run_id: int) -> Path:
    return published_dir(backend.home, parse_config(backend.run(run_id)["config"]), run_id)


def newest(backend: Backend) -> Path:
    return newest_link(backend.home, parse_config(backend.config))


def test_public_path_leads_to_what_the_winner_left_and_the_newest_link_to_that(backend: Backend) -> None:
    for run_id in (1, 2):
        assert answered(backend).finish().status_code == 200
        backend.clock.pass_time(1)
        place = backend.home / "evaluate" / "wordproblems" / "qwen2-242k" / str(run_id) / "evaluate"
        assert (place / "answer.json").read_text() == f"answers of run {run_id}"
        assert str(place.readlink()) == f"../../../../runs/{run_id}/attempts/1/evaluate"
        assert str(newest(backend).readlink()) == f"{run_id}/evaluate"


def test_checkpoint_lies_where_the_trainer_left_it_and_what_it_resumes_from_goes(backend: Backend) -> None:
    held, folder = trained(backend)
    resumable = attempt_dir(backend.home, 1, 1, "weaver_sft").checkpoint(4)
    resumable.mkdir(parents=True)
    assert held.finish(checkpoint=report(folder)).status_code == 200
    assert folder.is_dir()
    assert not folder.is_symlink()
    assert public_path(backend, 1).resolve() == folder
    assert not resumable.exists()
    assert backend.get("/checkpoints/1")["usable"]


def test_end_that_tells_of_no_checkpoint_is_taken_as_the_folder_shows_it(backend: Backend) -> None:
    held, folder = trained(backend)  # a supervisor of a version before knows of no manifest
    reply = held.finish()
    assert reply.json() == {"publish": False}  # else it would move the output away
    assert backend.run(1)["status"] == "succeeded"
    assert backend.get("/checkpoints/1")["size_bytes"] == sum(path.stat().st_size for path in folder.iterdir())


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda folder: (folder / "parts.safetensors").unlink(), "the file is missing"),
        (lambda folder: (folder / "parts.safetensors").write_bytes(b"torn"), "other files than its supervisor"),
        (lambda folder: (folder / "manifest.json").write_text("{}"), "can't be used"),
        (lambda folder: shutil.rmtree(folder), "no manifest.json"),
        (lambda folder: folder.rename(folder.with_name("x")).joinpath("../weaver_sft").symlink_to("x"), "it is a link"),
    ],
)
def test_checkpoint_that_is_not_what_its_supervisor_tells_of_fails_the_run_by_name(
    backend: Backend, harm: Callable[[Path], object], reason: str
) -> None:
    held, folder = trained(backend)
    told = report(folder)
    harm(folder)
    assert held.finish(checkpoint=told).status_code == 200
    run = backend.run(1)
    assert (run["status"], run["failure"]["code"]) == ("failed", "bad_run_folder")
    assert reason in run["failure"]["message"]
    assert not os.path.lexists(public_path(backend, 1))
    [one] = backend.get("/checkpoints", stage="evaluate", setting="weaver")["items"]
    assert not one["usable"]


@pytest.mark.parametrize(("outcome", "cause"), [("failed", "error"), ("stopped", "stopped")])
def test_what_an_attempt_tells_of_that_has_not_succeeded_is_no_checkpoint(
    backend: Backend, outcome: str, cause: str
) -> None:
    held, folder = trained(backend)
    assert held.finish(outcome, cause, checkpoint=report(folder)).status_code == 200
    assert not os.path.lexists(public_path(backend, 1))
    [one] = backend.get("/checkpoints", stage="evaluate", setting="weaver")["items"]
    assert (one["usable"], one["content_hash"]) == (False, None)


def test_checkpoint_of_another_stage_is_refused(backend: Backend) -> None:
    held = backend.started(**TRAINING)
    backend.leave_checkpoint(held, stage="trigger_grpo")
    held.finish()
    assert "of another stage" in backend.run(1)["failure"]["message"]


@pytest.mark.parametrize(
    "sizes", [{}, {"manifest.json": 1}, {"manifest.json": -1, "parts.safetensors": 1}, {"../x": 1}]
)
def test_report_whose_sizes_make_no_sense_is_refused(backend: Backend, sizes: dict[str, int]) -> None:
    held, folder = trained(backend)
    assert held.finish(checkpoint=report(folder) | {"sizes": sizes}).status_code == 422
    assert backend.run(1)["status"] == "running"


def test_training_whose_checkpoint_was_not_handed_in_has_failed(backend: Backend) -> None:
    held, folder = trained(backend)
    told = report(folder)
    shutil.rmtree(attempt_dir(backend.home, 1, 1, "weaver_sft").path)
    held.finish(checkpoint=told)
    assert (backend.run(1)["status"], backend.run(1)["failure"]["code"]) == ("failed", "bad_run_folder")
    assert not os.path.lexists(public_path(backend, 1))


def test_disk_that_can_not_be_written_holds_up_no_end_and_no_child_and_the_path_comes_later(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, folder = trained(backend)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(Path, "symlink_to", refuse)
        assert held.finish(checkpoint=report(folder)).status_code == 200
        backend.reconciler.round()
    assert backend.run(1)["status"] == "succeeded"
    child = backend.submit(setting="weaver", checkpoint="1")
    assert backend.held().run_id == child
    assert not os.path.lexists(public_path(backend, 1))
    backend.reconciler.round()
    assert public_path(backend, 1).resolve() == folder


def test_database_that_is_busy_after_an_end_was_stored_fails_no_report_and_the_path_comes_later(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = answered(backend)
    with monkeypatch.context() as busy:
        busy.setattr("backend.services.outputs.winner_of", _refuse_connection)
        assert held.finish().status_code == 200
    assert not os.path.lexists(public_path(backend, 1))
    backend.reconciler.round()
    assert (public_path(backend, 1) / "answer.json").exists()


def _refuse_connection(*_: object) -> None:
    raise PoolTimeout("too many")


def test_what_lies_at_a_public_path_already_is_neither_replaced_nor_taken_for_ours(backend: Backend) -> None:
    held = answered(backend)
    place = public_path(backend, 1)
    place.mkdir(parents=True)
    (place / "answer.json").write_text("of an earlier life")
    held.finish()
    assert backend.run(1)["status"] == "succeeded"
    assert (place / "answer.json").read_text() == "of an earlier life"
    assert attempt_dir(backend.home, 1, 1, "evaluate").answers.exists()


@pytest.mark.parametrize("area", ["evaluate", "runs"])
def test_links_hold_where_a_folder_of_the_home_lies_on_another_disk(
    backend: Backend, tmp_path: Path, area: str
) -> None:
    (tmp_path / "other" / "disk").mkdir(parents=True)
    (backend.home / area).symlink_to(tmp_path / "other" / "disk")
    answered(backend).finish()
    assert (newest(backend) / "answer.json").read_text() == "answers of run 1"


def test_public_paths_that_a_killed_backend_left_out_are_made_at_the_next_start(
    backend: Backend, start: Callable[..., Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(backend.context.publisher, "publish", lambda _: None)
        for _ in range(2):
            answered(backend).finish()
            backend.clock.pass_time(1)
    assert not newest(backend).is_symlink()
    start(clock=backend.clock)
    for run_id in (1, 2):
        assert (public_path(backend, run_id) / "answer.json").read_text() == f"answers of run {run_id}"
    assert newest(backend).resolve() == attempt_dir(backend.home, 2, 1, "evaluate").output
    newest(backend).unlink()  # killed between the two links
    start(clock=backend.clock)
    assert newest(backend).resolve() == attempt_dir(backend.home, 2, 1, "evaluate").output


@pytest.mark.parametrize("moved", ["not yet", "already"])
def test_training_whose_end_the_version_before_has_taken_is_known_after_the_start(
    backend: Backend, start: Callable[..., Backend], moved: str
) -> None:
    held, folder = trained(backend)
    held.finish(checkpoint=report(folder))
    with backend.context.database.write() as session:
        session.execute(text("DELETE FROM checkpoint"))
    place = public_path(backend, 1)
    place.unlink()
    newest_link(backend.home, parse_config(backend.run(1)["config"])).unlink()
    if moved == "already":
        folder.rename(place)
    again = start(clock=backend.clock)
    one = again.get("/checkpoints/1")
    assert one["usable"], one
    again.submit(setting="weaver", checkpoint="1")
    expected = folder if moved == "not yet" else place
    assert backend.home / str(again.held().checkpoint) == expected
    # a supervisor of the version before that comes late finds its place taken, and leaves everything as it is
    if moved == "not yet":
        with pytest.raises(OSError, match="directory"):
            folder.rename(place)
    assert again.get("/checkpoints/1")["usable"]
