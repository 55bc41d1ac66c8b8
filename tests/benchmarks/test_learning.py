"""The plan of the learning benchmark is one that the core takes, and its table says what the records hold."""

from pathlib import Path

import pytest

from benchmarks.learning import record
from benchmarks.learning.plan import FULL, QUICK, STEPS, Scale
from benchmarks.learning.table import PAIRS, table
from memgen.contract.config import parse_config
from memgen.contract.datasets import num_rows


@pytest.mark.parametrize("scale", [FULL, QUICK])
def test_every_step_is_a_config_of_the_core(scale: Scale, tmp_path: Path, monkeypatch) -> None:
    presets = tmp_path / "presets.json"
    folder = Path(__file__).parents[1] / "golden" / "tiny_base"
    presets.write_text(f'[{{"name": "learning/plain-lora", "folder": "{folder}"}}]')
    monkeypatch.setenv("MEMGEN_PRESETS", str(presets))
    for step in STEPS:
        fields = step.config(scale, 3, {"trigger_eval": {"insert_rate": 0.25}})
        config = parse_config({**fields, **({"checkpoint": "x"} if step.checkpoint else {})})
        assert (config.seed, config.data) == (3, "wordproblems_easy")
        assert num_rows(config) >= scale.questions
    assert {name for pair in PAIRS for name in pair} <= {step.name for step in STEPS}


def lines(step: str, right: list[bool], **fields) -> list[record.Line]:
    return [record.Line(step=step, question=f"q{n}", right=one, **fields) for n, one in enumerate(right)]


def test_table_pairs_answers_by_question(tmp_path: Path) -> None:
    base = lines("base", [False] * 8 + [True] * 2, tokens=40)
    weaver = lines("weaver_eval", [True] * 9 + [False], tokens=30, format_ok=True, points=4, insertions=3)
    sft = record.Line(
        step="weaver_sft",
        numbers={"loss": 0.5, "eval_loss_before": 2.0, "eval_loss": 0.4, "steps": 7, "seconds": 61.2},
    )
    own = [*base, *reversed(weaver), sft]
    (tmp_path / "seed-5.jsonl").write_text("".join(f"{line.model_dump_json(exclude_defaults=True)}\n" for line in own))
    assert record.read(tmp_path / "seed-5.jsonl") == own
    said = table(tmp_path)
    assert "| base | 5 | 10 | 20.0 % (5.7-51.0) | 0 % | 0 % | 40 | 0.00 | - | 0 |" in said
    assert "| weaver | 5 | 10 | 90.0 % (59.6-98.2) | 100 % | 0 % | 30 | 3.00 | 0.75 | 0 |" in said
    assert "| weaver against base | 5 | 10 | +70.0 (" in said
    assert "| 8 / 1 | 0.039 |" in said
    assert "| weaver SFT | 5 | 7 | 0.500 | 2.000 | 0.400 | - | - | - | - | - | 61 |" in said
    assert "| against | seeds |" not in said


def test_table_shows_the_spread_over_seeds(tmp_path: Path) -> None:
    for seed, right in ((0, 9), (1, 7)):
        own = [*lines("base", [False] * 8 + [True] * 2), *lines("weaver_eval", [True] * right + [False] * (10 - right))]
        path = tmp_path / f"seed-{seed}.jsonl"
        path.write_text("".join(f"{line.model_dump_json(exclude_defaults=True)}\n" for line in own))
    assert "| weaver against base | 2 | +60.0 | +50.0 | +70.0 | 0.18 |" in table(tmp_path)
