import errno
from pathlib import Path

import pytest

from memgen.contract.publish import link_log, publish
from memgen.contract.rundir import RunDir, attempt_dir


@pytest.fixture
def won(home: Path) -> RunDir:
    """The folder of an attempt with an answer file."""
    folder = attempt_dir(home, 7, 1, "evaluate")
    folder.output.mkdir(parents=True)
    folder.answers.write_text("answers")
    folder.log.write_text("log")
    return folder


def test_output_gets_its_place_and_the_newest_link_once_and_again(home: Path, won: RunDir, tiny_config) -> None:
    for _ in range(2):
        publish(home, tiny_config, 7, won)
        link_log(home, 7, won)
    place = home / "evaluate" / "wordproblems" / "qwen2-242k"
    assert (place / "7" / "evaluate" / "answer.json").read_text() == "answers"
    assert (place / "evaluate").readlink() == Path("7/evaluate")
    assert (home / "logs" / "7.log").read_text() == "log"
    assert not won.output.exists()


def test_checkpoints_to_resume_from_go_once_a_training_is_published(home: Path, tiny_config) -> None:
    lost, folder = (attempt_dir(home, 8, number, "weaver_sft") for number in (1, 2))
    for path in (lost.checkpoint(2), folder.output, folder.checkpoint(4)):
        path.mkdir(parents=True)
        (path / "manifest.json").write_text("{}")
    config = {"stage": "weaver_sft", "preset": tiny_config["preset"], "data": "wordproblems"}
    publish(home, config, 8, folder)
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
        publish(home, tiny_config, 7, won)
    assert (taken / "answer.json").read_text() == "of an earlier life"
    assert won.answers.read_text() == "answers"
    assert not (taken.parent.parent / "evaluate").exists()


def test_output_goes_to_another_disk_as_a_whole(home: Path, won: RunDir, tiny_config, monkeypatch) -> None:
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if self == won.output:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    (won.output / "endless").symlink_to("/dev/zero")
    place = home / "evaluate" / "wordproblems" / "qwen2-242k" / "7"
    (place / ".evaluate.copying").mkdir(parents=True)  # of one that was killed while it copied
    publish(home, tiny_config, 7, won)
    assert (place / "evaluate" / "answer.json").read_text() == "answers"
    assert (place / "evaluate" / "endless").is_symlink()
    assert [path.name for path in place.iterdir()] == ["evaluate"]
    assert not won.output.exists()
