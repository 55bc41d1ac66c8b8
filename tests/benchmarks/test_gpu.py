"""The benchmark of a GPU in its reduced form, on the CPU: what it measures beside doctor, and its script."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from benchmarks.gpu.__main__ import STEPS, main, measure
from memgen.doctor.card import measure as doctors

ROOT = Path(__file__).parents[2]


def kept(folder: Path) -> dict[str, dict[str, dict]]:
    return json.loads((folder / "gpu.json").read_text())


def test_benchmark_has_every_step_of_doctor() -> None:
    assert set(STEPS) - set(doctors.STEPS) == {"traced", "command"}
    assert set(doctors.STEPS) <= set(STEPS)


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_passes_are_traced(tmp_path: Path) -> None:
    assert measure(tmp_path / "gpu.json", time.time() + 600, ["traced"], True, tmp_path) == 0
    entries = kept(tmp_path)["traced"]
    assert {name: entry for name, entry in entries.items() if entry["status"] != "done"} == {}
    assert entries["base 4"]["result"]["operations"] > 0


def test_machine_without_gpu_is_refused(tmp_path: Path, capfd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # of the processes that it starts
    assert main(["--out", str(tmp_path)]) == 2
    assert "sees no GPU" in capfd.readouterr().err


def test_script_measures_with_the_python_that_is_there(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(ROOT / "benchmarks" / "gpu.sh"), "--out", str(tmp_path), "--tiny", "--only", "card"],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert kept(tmp_path)["card"]["environment"]["result"]["packages"]["torch"] == torch.__version__
