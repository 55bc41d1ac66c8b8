"""The measurement of a GPU in its reduced form, on the CPU: it runs through, goes on after failures, and resumes."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from benchmarks.gpu.__main__ import STEPS, main, measure
from benchmarks.gpu.bench import NO_TIME, Bench
from benchmarks.gpu.random_model import random_base
from benchmarks.gpu.sizes import full, tiny

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")


def bench_of(folder: Path, seconds: float = 60.0) -> Bench:
    bench = Bench(folder / "gpu.json", CPU, tiny(), time.time() + seconds, folder)
    bench.begin("card", 1.0)
    return bench


def kept(folder: Path) -> dict[str, dict[str, dict]]:
    return json.loads((folder / "gpu.json").read_text())


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_every_step_measures_and_a_second_call_measures_nothing_again(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("MEMGEN_GSM8K_DIR", raising=False)
    steps = [step for step in STEPS if step != "command"]  # that one starts two trainers
    assert measure(tmp_path / "gpu.json", time.time() + 600, steps, True, tmp_path) == 0
    first = kept(tmp_path)
    failed = {f"{step}/{name}": entry for step, all_ in first.items() for name, entry in all_.items()}
    assert {name: entry for name, entry in failed.items() if entry["status"] != "done"} == {}
    assert set(first) == set(steps) - {"batching"}  # which is for a GPU alone
    assert {"transformers 4", "base 4", "weaver 4"} <= first["speed"].keys()
    assert all(first["faithful"][f"golden {name}"]["result"]["holds"] for name in "abc")
    assert first["speed"]["weaver 4"]["result"]["passes"] > first["speed"]["base 4"]["result"]["passes"]
    assert first["stages"]["ltpo 10 steps"]["result"]["insertions"] > 0
    assert measure(tmp_path / "gpu.json", time.time() + 600, steps, True, tmp_path) == 0
    assert kept(tmp_path) == first


def test_failure_leaves_its_traceback_and_the_next_measurement_is_made(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    bench.measure("broken", lambda: {"x": 1 / 0})
    bench.measure("whole", lambda: {"x": 1})
    broken, whole = kept(tmp_path)["card"]["broken"], kept(tmp_path)["card"]["whole"]
    assert broken["status"] == "failed"
    assert "ZeroDivisionError" in broken["traceback"]
    assert whole["result"] == {"x": 1}


def test_step_whose_shared_model_can_not_be_made_is_kept_as_failed(tmp_path: Path) -> None:
    def step(_: Bench) -> None:
        raise RuntimeError("no room")

    bench_of(tmp_path).attempt(step)
    assert "no room" in kept(tmp_path)["card"]["all"]["error"]


def test_measurement_that_ended_the_process_is_not_made_again(tmp_path: Path) -> None:
    (tmp_path / "gpu.json").write_text(json.dumps({"card": {"hangs": {"status": "running"}}}))
    bench = bench_of(tmp_path)
    bench.measure("hangs", lambda: pytest.fail("made again"))
    assert kept(tmp_path)["card"]["hangs"]["status"] == "ended the process"


def test_measurement_without_time_is_made_by_a_later_call(tmp_path: Path) -> None:
    bench_of(tmp_path, seconds=-1).measure("late", lambda: {"x": 1})
    assert kept(tmp_path)["card"]["late"]["status"] == NO_TIME
    bench = bench_of(tmp_path)
    assert bench.pending("late")
    bench.measure("late", lambda: {"x": 1})
    assert kept(tmp_path)["card"]["late"]["result"] == {"x": 1}


def test_random_models_have_as_many_weights_as_the_planner_counts(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "gpu.json", torch.device("meta"), full(), 0.0, tmp_path)
    for preset in full().models:
        assert random_base(bench, preset).model.dtype is torch.bfloat16


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
