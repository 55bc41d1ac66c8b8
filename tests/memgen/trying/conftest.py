"""Checkpoints of the tiny base for columns of a session."""

from pathlib import Path

import pytest

from memgen.contract.presets import get_preset
from memgen.model.authors_layout import import_authors
from memgen.monitor import Monitor
from tests.conftest import GOLDEN, TINY
from tests.memgen.stages.running import config_of, run


@pytest.fixture
def woven(home: Path, tmp_path: Path) -> str:
    """The golden checkpoint `a`: a weaver and a trigger that decides both ways."""
    folder = tmp_path / "woven"
    import_authors(GOLDEN / "a" / "checkpoint", get_preset(TINY), folder, home, Monitor(None))
    return str(folder)


@pytest.fixture
def other_woven(home: Path, tmp_path: Path) -> str:
    """The golden checkpoint `b`."""
    folder = tmp_path / "other"
    import_authors(GOLDEN / "b" / "checkpoint", get_preset(TINY), folder, home, Monitor(None))
    return str(folder)


@pytest.fixture
def lora(home: Path, tmp_path: Path) -> str:
    """A plain LoRA that has moved enough to change answers."""
    config = config_of(stage="lora_sft", num_questions=8, max_steps=2, learning_rate=0.1, max_completion_length=256)
    run(home, tmp_path / "training", config)
    return str(tmp_path / "training" / "lora_sft")
