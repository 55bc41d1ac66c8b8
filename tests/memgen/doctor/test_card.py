"""The measurement of a card in its reduced form, on the CPU: it runs through, goes on after failures, and resumes."""

import json
import time
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from memgen.cli import app
from memgen.doctor.card.__main__ import main
from memgen.doctor.card.bench import Bench
from memgen.doctor.card.large import run as large
from memgen.doctor.card.measure import STEPS, in_a_process, measure
from memgen.doctor.card.random_model import random_base
from memgen.doctor.card.sizes import full, tiny
from memgen.doctor.card_words import DONE, LEFT_OUT, NO_TIME

CPU = torch.device("cpu")


def bench_of(folder: Path, seconds: float = 60.0) -> Bench:
    bench = Bench(folder / "gpu.json", CPU, tiny(), time.time() + seconds, folder)
    bench.begin("card", 1.0)
    return bench


def kept(folder: Path) -> dict[str, dict[str, dict]]:
    return json.loads((folder / "gpu.json").read_text())


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


def test_models_that_are_larger_than_the_card_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memgen.doctor.card.bench.WITHOUT_GPU", 2**30)
    bench = Bench(tmp_path / "gpu.json", CPU, full(), time.time() + 60, tmp_path)
    bench.begin("large", 1.0)
    large(bench)
    assert {entry["status"] for entry in kept(tmp_path)["large"].values()} == {LEFT_OUT}
    assert len(kept(tmp_path)["large"]) == 8


def test_process_that_keeps_failing_is_started_again_until_the_time_is_up(tmp_path: Path) -> None:
    said: list[str] = []
    assert in_a_process(["py_compile", str(tmp_path / "missing.py")], time.time() + 60, said.append) == 1
    assert len(said) == 6


def test_measurements_for_which_no_time_was_given_are_kept_as_such(tmp_path: Path) -> None:
    main([str(tmp_path / "gpu.json"), "--until", "0", "--work", str(tmp_path), "--device", "cpu"])
    assert {entry["status"] for entry in kept(tmp_path)["card"].values()} == {NO_TIME}


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_doctor_measures_every_step_in_its_reduced_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    file = tmp_path / "doctor.json"
    done = CliRunner().invoke(app, ["doctor", "--gpu", "--device", "cpu", "--minutes", "15", "--json", str(file)])
    assert done.exit_code == 3, done.output  # the CPU was measured, and no card looked at
    card = json.loads(file.read_text())["card"]
    every = {f"{step}/{name}": entry for step, all_ in card.items() for name, entry in all_.items()}
    assert {name: entry for name, entry in every.items() if entry["status"] != "done"} == {}
    assert set(card) == set(STEPS) - {"batching"}  # which is for a GPU alone
    assert {"transformers 4", "base 4", "weaver 4"} <= card["speed"].keys()
    assert all(card["faithful"][f"golden {name}"]["result"]["holds"] for name in "abc")
    assert card["speed"]["weaver 4"]["result"]["passes"] > card["speed"]["base 4"]["result"]["passes"]
    assert card["stages"]["ltpo 10 steps"]["result"]["insertions"] > 0
    assert "its numbers are the authors' in float32 on cpu" in done.output


def test_second_measurement_with_the_same_file_measures_nothing_again(tmp_path: Path) -> None:
    steps = {"card": STEPS["card"]}
    for number in range(2):
        measure(Bench(tmp_path / "gpu.json", CPU, tiny(), time.time() + 600, tmp_path), steps)
        if number == 0:
            first = kept(tmp_path)
    assert {entry["status"] for entry in first["card"].values()} == {DONE}
    assert kept(tmp_path) == first
