"""Checkpoints for the stages that start from one; each is made once."""

import shutil
from pathlib import Path

import pytest

from memgen.contract.presets import get_preset
from memgen.model.authors_layout import import_authors
from memgen.monitor import Monitor
from tests.conftest import GOLDEN, TINY
from tests.memgen.stages.running import config_of, run


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, presets_file: Path) -> str:
    """The golden checkpoint `a`, which nobody changes: a weaver and a trigger that decides both ways."""
    folder = tmp_path_factory.mktemp("golden")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEMGEN_PRESETS", str(presets_file))
        layout = GOLDEN / "a" / "checkpoint"
        import_authors(layout, get_preset(TINY), folder / "checkpoint", folder / "home", Monitor(None))
    return str(folder / "checkpoint")


@pytest.fixture(scope="session")
def trained_weaver(tmp_path_factory: pytest.TempPathFactory, presets_file: Path) -> Path:
    """Folder of a weaver that was trained for a few steps, and that nobody changes."""
    folder = tmp_path_factory.mktemp("weaver")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEMGEN_PRESETS", str(presets_file))
        short = config_of(stage="weaver_sft", num_questions=8, max_steps=2, learning_rate=0.01, eval_questions=0)
        run(folder / "home", folder / "run", short)
    return folder / "run" / "weaver_sft"


@pytest.fixture
def weaver(trained_weaver: Path, home: Path, tmp_path: Path) -> Path:
    """Folder of a weaver checkpoint that is the test's own."""
    return Path(shutil.copytree(trained_weaver, tmp_path / "weaver" / "weaver_sft"))
