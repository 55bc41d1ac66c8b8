from pathlib import Path

import pytest

from memgen.contract.config import parse_config
from memgen.contract.publish import link_log, point, point_newest, publish
from memgen.contract.rundir import RunDir, attempt_dir


@pytest.fixture
def won(home: Path) -> RunDir:
    """The folder of an attempt with an answer file."""
    folder = attempt_dir(home, 7, 1, "evaluate")
    folder.output.mkdir(parents=True)
    folder.answers.write_text("answers")
    folder.log.write_text("log")
    return folder


def test_output_gets_its_public_path_and_the_newest_link_once_and_again(home: Path, won: RunDir, tiny_config) -> None:
    config = parse_config(tiny_config)
    for _ in range(2):
        publish(home, config, 7, won)
        point_newest(home, config, 7)
        link_log(home, 7, won)
    place = home / "evaluate" / "wordproblems" / "qwen2-242k"
    assert (place / "7" / "evaluate" / "answer.json").read_text() == "answers"
    assert (place / "evaluate").readlink() == Path("7/evaluate")
    assert (home / "logs" / "7.log").read_text() == "log"
    assert won.answers.read_text() == "answers"
    assert sorted(path.name for path in place.iterdir()) == ["7", "evaluate"]


def test_checkpoints_to_resume_from_go_once_a_training_is_published(home: Path, tiny_config) -> None:
    lost, folder = (attempt_dir(home, 8, number, "weaver_sft") for number in (1, 2))
    for path in (lost.checkpoint(2), folder.output, folder.checkpoint(4)):
        path.mkdir(parents=True)
        (path / "manifest.json").write_text("{}")
    config = {"stage": "weaver_sft", "preset": tiny_config["preset"], "data": "wordproblems"}
    publish(home, parse_config(config), 8, folder)
    assert (home / "train" / "wordproblems" / "qwen2-242k" / "8" / "weaver_sft" / "manifest.json").exists()
    assert not folder.checkpoints.exists()
    assert not lost.checkpoints.exists()
    assert lost.path.exists()


def test_output_that_is_there_already_is_neither_replaced_nor_taken_for_ours(
    home: Path, won: RunDir, tiny_config
) -> None:
    taken = home / "evaluate" / "wordproblems" / "qwen2-242k" / "7" / "evaluate"
    taken.mkdir(parents=True)
    (taken / "answer.json").write_text("of an earlier life")
    with pytest.raises(FileExistsError, match="stays in"):
        publish(home, parse_config(tiny_config), 7, won)
    assert (taken / "answer.json").read_text() == "of an earlier life"
    assert won.answers.read_text() == "answers"


def test_link_moves_in_one_step_and_an_interrupted_one_leaves_it_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("old", "new"):
        (tmp_path / name).write_text(name)
    link = tmp_path / "links" / "newest"
    point(link, tmp_path / "old")

    def fail(*_: object) -> Path:
        assert link.read_text() == "old"
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(Path, "replace", fail)
        with pytest.raises(OSError, match="No space"):
            point(link, tmp_path / "new")
    assert [path.name for path in link.parent.iterdir()] == ["newest"]
    point(link, tmp_path / "new")
    assert link.read_text() == "new"


def test_links_of_a_moved_home_still_lead_to_its_files(home: Path, won: RunDir, tiny_config) -> None:
    publish(home, parse_config(tiny_config), 7, won)
    moved = home.rename(home.with_name("moved"))
    place = moved / "evaluate" / "wordproblems" / "qwen2-242k" / "7" / "evaluate"
    assert (place / "answer.json").read_text() == "answers"


def test_link_from_a_folder_on_another_disk_is_absolute(home: Path, won: RunDir, tmp_path: Path) -> None:
    (tmp_path / "far" / "away" / "disk").mkdir(parents=True)
    (home / "evaluate").symlink_to(tmp_path / "far" / "away" / "disk")
    point(home / "evaluate" / "x" / "link", won.output)
    assert (home / "evaluate" / "x" / "link").readlink() == won.output
    point(home / "evaluate" / "newest", home / "evaluate" / "x")
    assert (home / "evaluate" / "newest").readlink() == Path("x")
