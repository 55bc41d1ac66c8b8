"""Stages on a data set that a user registered: trained on, answered and resumed like on any other."""

import json
from pathlib import Path

import pytest

from memgen.contract.answers import read_answers
from memgen.contract.data_sets import registry
from memgen.contract.data_sets.registered import Columns, Registration
from memgen.contract.rundir import RunDir
from memgen.data.registered.examine import Given
from memgen.data.registered.keep import register
from tests.memgen.stages.running import config_of, run


@pytest.fixture
def name(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(registry, "_home", home)
    rows = tmp_path / "rows.jsonl"
    rows.write_text("\n".join(json.dumps({"q": f"{n} + 1?", "a": n + 1, "r": f"{n}+1"}) for n in range(40)))
    said = Registration(name="sums", columns=Columns(question="q", answer="a", rationale="r"))
    return str(register([Given(rows, rows.name)], said, home, lambda: 1.0).name)


def test_weaver_is_trained_on_registered_rows_and_evaluated_on_their_test_split(
    tmp_path: Path, home: Path, name: str
) -> None:
    training = config_of(stage="weaver_sft", data=name, max_steps=2, batch_size=2, eval_questions=4)
    assert run(home, tmp_path / "train", training)["steps"] == 2
    checkpoint = str(RunDir(tmp_path / "train", "weaver_sft").output)
    evaluation = config_of(
        stage="evaluate", data=name, setting="weaver", checkpoint=checkpoint, max_completion_length=8, batch_size=4
    )
    assert run(home, tmp_path / "evaluate", evaluation)["num_questions"] == 8
    answers, _ = read_answers(RunDir(tmp_path / "evaluate", "evaluate").answers)
    assert {one.id.partition(":")[0] for one in answers} == {name}
