"""A weaver that was trained for a few steps, for the stages that start from one."""

from pathlib import Path

import pytest

from tests.memgen.stages.running import config_of, run


@pytest.fixture
def weaver(home: Path, tmp_path: Path) -> Path:
    """Folder of a weaver checkpoint."""
    folder = tmp_path / "weaver"
    run(home, folder, config_of(stage="weaver_sft", num_questions=8, max_steps=2, learning_rate=0.01, eval_questions=0))
    return folder / "weaver_sft"
