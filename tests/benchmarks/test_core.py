"""The benchmark of the core runs through and keeps what it measured; its figures are not judged here."""

import json
from pathlib import Path

import pytest

from benchmarks import core
from benchmarks.ratio import Ratio, measure

IN_PROCESS = [key for key in core.KEYS if key not in ("memory", "generate_growth")]  # these take long


@pytest.mark.parametrize("key", IN_PROCESS)
def test_each_key_measures_both_sides_on_the_tiny_model(key: str, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.delenv("MEMGEN_GSM8K_DIR", raising=False)
    for name, value in (("ROUNDS", 1), ("ROWS", 4), ("STEPS", 2)):  # its sides are whole trainings
        monkeypatch.setattr(f"benchmarks.lora_sft.{name}", value)
    file = tmp_path / "figures.json"
    file.write_text(json.dumps({"kept": 1}))
    code = core.main(["--json", str(file), "--only", key, "--model", "tiny"])
    figures = json.loads(file.read_text())
    assert figures["kept"] == 1
    assert figures[key]["ours"] > 0
    assert figures[key]["theirs"] > 0
    assert figures[key]["least"] <= figures[key]["median"] <= figures[key]["most"]
    assert {"machine", "threads", "torch", "transformers", "model"} <= figures[key].keys()
    assert code == (0 if figures[key]["median"] <= figures[key]["limit"] else 1)
    assert key in capsys.readouterr().out


def test_ratio_is_the_median_of_the_rounds_and_sides_take_turns() -> None:
    order: list[str] = []
    costs = {"ours": iter([9.0, 2.0, 6.0, 2.0]), "theirs": iter([9.0, 1.0, 2.0, 2.0])}

    def side(name: str):
        def run() -> float:
            order.append(name)
            return next(costs[name])

        return run

    found = measure(side("ours"), side("theirs"), 3, 1.5)
    assert found == Ratio(2.0, 1.0, 3.0, 1.5, 2.0, 2.0, 3)
    assert order == ["ours", "theirs", "ours", "theirs", "theirs", "ours", "ours", "theirs"]


def test_unknown_key_is_refused(tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit) as end:
        core.main(["--json", str(tmp_path / "figures.json"), "--only", "speed"])
    assert end.value.code == 2
    assert "sft_step" in capsys.readouterr().err
