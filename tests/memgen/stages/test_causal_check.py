"""Causal checks on the tiny base: what stands in the place of a weaver's latents, and what is said of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from memgen.contract.answers import AnswerRecord, CheckedLatents, read_answers
from memgen.contract.config import InvalidConfig, RunConfig
from memgen.contract.data_sets.wordproblems import WORDPROBLEMS
from memgen.contract.errors import BadInput
from memgen.contract.rundir import RunDir
from memgen.contract.stages import stage_of
from memgen.data import load_questions
from memgen.data.prompt import Prompt
from memgen.data.questions import Question
from memgen.model.memgen_model import MemGenModel, Row
from memgen.monitor import Monitor
from memgen.parallel.team import Team
from memgen.stages.causal_check import LatentsCheck, draw_references
from memgen.stages.context import Context
from memgen.stages.evaluate import evaluate
from memgen.stop import Stopped, StopRequest
from tests.memgen.stages.running import StopWhen, config_of, run

CHECKS: list[dict[str, Any]] = [
    {"causal_check": "other_question"}, {"causal_check": "mean"}, {"causal_check": "noise"}, {"causal_check": "none"},
    {"causal_check": "scaled", "latents_factor": 0.5},
]  # fmt: skip
each_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check["causal_check"])


def evaluation(checkpoint: str, **fields: Any) -> RunConfig:
    usual = {"setting": "weaver", "num_questions": 6, "batch_size": 4, "max_completion_length": 96}
    return config_of(stage="evaluate", checkpoint=checkpoint, **(usual | fields))


def answers(folder: Path) -> list[AnswerRecord]:
    found, _ = read_answers(RunDir(folder).answers)
    return sorted(found, key=lambda answer: answer.index)


def told(folder: Path) -> list[tuple[Any, ...]]:
    """What must be the same however the questions were batched."""
    return [(one.completion, one.augmentations, _shape(one.causal_check)) for one in answers(folder)]


def _shape(checked: CheckedLatents | None) -> Any:
    return checked and (checked.check, checked.taken_from, [one.token for one in checked.insertions])


@pytest.mark.parametrize("setting", ["weaver", "weaver+trigger"])
def test_latents_times_one_are_the_weavers_own_token_for_token(
    home: Path, tmp_path: Path, checkpoint: str, setting: str
) -> None:
    run(home, tmp_path / "own", evaluation(checkpoint, setting=setting))
    run(home, tmp_path / "one", evaluation(checkpoint, setting=setting, causal_check="scaled", latents_factor=1.0))
    own, one = answers(tmp_path / "own"), answers(tmp_path / "one")
    assert [(answer.completion, answer.augmentations) for answer in own] == [
        (answer.completion, answer.augmentations) for answer in one
    ]
    assert all(answer.causal_check is None for answer in own)
    for answer in one:
        assert answer.causal_check is not None
        assert [(at.used_norm, at.cosine) for at in answer.causal_check.insertions] == [
            (at.norm, 1.0) for at in answer.causal_check.insertions
        ]


@pytest.mark.parametrize("setting", ["weaver", "weaver+trigger"])
def test_no_latents_equal_a_weaver_that_may_insert_nowhere(
    home: Path, tmp_path: Path, checkpoint: str, setting: str
) -> None:
    nowhere = {"max_prompt_aug_num": 0, "max_inference_aug_num": 0}
    run(home, tmp_path / "nowhere", evaluation(checkpoint, **nowhere))
    metrics = run(home, tmp_path / "none", evaluation(checkpoint, setting=setting, causal_check="none"))
    assert [one.completion for one in answers(tmp_path / "none")] == [
        one.completion for one in answers(tmp_path / "nowhere")
    ]
    assert (metrics["insert_rate"], metrics["mean_insertions"]) == (0.0, 0.0)
    for answer in answers(tmp_path / "none"):
        assert answer.causal_check == CheckedLatents(check="no latents")
        assert not any(point.asked or point.inserted for point in answer.augmentations)


@each_check
def test_answers_do_not_depend_on_the_batch_and_survive_a_stop(
    home: Path, tmp_path: Path, checkpoint: str, check: dict[str, Any]
) -> None:
    fields = check | {"num_questions": 9, "setting": "weaver+random", "insert_probability": 0.7}
    whole = evaluation(checkpoint, batch_size=8, **fields)
    run(home, tmp_path / "eight", whole)
    run(home, tmp_path / "one", evaluation(checkpoint, batch_size=1, **fields))
    assert told(tmp_path / "one") == told(tmp_path / "eight")
    first = RunDir(tmp_path / "first")
    done = StopWhen(lambda: first.answers.exists() and first.answers.read_bytes().count(b"\n") >= 3)
    with pytest.raises(Stopped):
        run(home, first.path, whole, stop=done)
    assert 3 <= len(answers(first.path)) < 9
    run(home, tmp_path / "second", whole, resume=first.path)
    assert told(tmp_path / "second") == told(tmp_path / "eight")
    if check["causal_check"] not in ("none", "scaled", "mean"):
        run(home, tmp_path / "other", evaluation(checkpoint, batch_size=8, seed=7, **check, num_questions=9))
        assert told(tmp_path / "other") != told(tmp_path / "eight")


@each_check
def test_what_is_inserted_is_recorded_for_each_insertion(
    home: Path, tmp_path: Path, checkpoint: str, check: dict[str, Any]
) -> None:
    config = evaluation(checkpoint, **check)
    metrics = run(home, tmp_path / "run", config)
    assert config.measured == f"weaver, {answers(tmp_path / 'run')[0].causal_check.check}"  # type: ignore[union-attr]
    training = {row.id for row in load_questions("wordproblems", "train")}
    name = check["causal_check"]
    for answer in answers(tmp_path / "run"):
        assert answer.causal_check is not None
        inserted = answer.causal_check.insertions
        assert [at.token for at in inserted] == [point.token for point in answer.augmentations if point.inserted]
        assert (answer.causal_check.taken_from in training) == (name == "other_question")
        for at in inserted:
            if name == "noise":
                assert at.used_norm == pytest.approx(at.norm, rel=1e-5)
                assert abs(at.cosine) < 0.5
            elif name == "scaled":
                assert (at.used_norm, at.cosine) == (pytest.approx(at.norm / 2, rel=1e-5), pytest.approx(1.0))
    assert ("latents_cosine" in metrics) == (name != "none")
    if name == "mean":  # the same for every question, at the prompt and after it
        done = [at for one in answers(tmp_path / "run") if one.causal_check for at in one.causal_check.insertions]
        assert len({(at.token == 0, at.used_norm) for at in done}) == 2
    environment = json.loads(RunDir(tmp_path / "run").environment.read_text())
    drawn = environment.get("reference_questions", [])
    assert len(drawn) == (64 if name in ("mean", "other_question") else 0)
    assert set(drawn) <= training


class Watching:
    """The stage with a look at its model and at what each insertion became."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[tuple[str, int, torch.Tensor, torch.Tensor]] = []
        self.model: MemGenModel | None = None
        whole = LatentsCheck.insert

        def watched(this: LatentsCheck, question: str, latents: torch.Tensor, token: int) -> torch.Tensor:
            used = whole(this, question, latents, token)
            self.model = this._model
            self.seen.append((question, token, latents.clone(), used.clone()))
            return used

        monkeypatch.setattr(LatentsCheck, "insert", watched)


def own_latents(model: MemGenModel, question: Question, most: int = 96) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Latents at the prompt and at the points among the first tokens of the solution, as a training has them."""
    encode = model.base.tokenizer.encode
    prompt = encode(Prompt(WORDPROBLEMS).text(question.question), add_special_tokens=False)
    answer = encode(f"{question.solution}<|im_end|>\n", add_special_tokens=False)
    points = model.augmentation_points(prompt + answer, len(prompt))
    with torch.no_grad():
        first, *others = model.latents_of([Row(torch.tensor(prompt + answer), points)])[0]
    return first, [latents for latents, point in zip(others, points[1:], strict=True) if point < len(prompt) + most]


@pytest.mark.parametrize("most", [96, 16], ids=["whole_solutions", "longer_solutions_than_answers_may_be"])
def test_latents_of_another_question_are_those_of_the_one_that_is_named(
    home: Path, tmp_path: Path, checkpoint: str, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    watching = Watching(monkeypatch)
    run(home, tmp_path / "run", evaluation(checkpoint, causal_check="other_question", max_completion_length=most))
    rows = {row.id: row for row in load_questions("wordproblems", "train")}
    named = {one.id: one.causal_check.taken_from for one in answers(tmp_path / "run") if one.causal_check}
    assert len(set(named.values())) > 1
    assert watching.model is not None
    for question, donor in named.items():
        first, others = own_latents(watching.model, rows[str(donor)], most)
        used = [latents for one, _, _, latents in watching.seen if one == question]
        torch.testing.assert_close(used[0], first, rtol=1e-4, atol=1e-5)
        for place, latents in enumerate(used[1:]):
            torch.testing.assert_close(latents, others[place % len(others)], rtol=1e-4, atol=1e-5)


def test_mean_latents_are_the_mean_over_the_recorded_questions(
    home: Path, tmp_path: Path, checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = Watching(monkeypatch)
    run(home, tmp_path / "run", evaluation(checkpoint, causal_check="mean"))
    rows = {row.id: row for row in load_questions("wordproblems", "train")}
    recorded = json.loads(RunDir(tmp_path / "run").environment.read_text())["reference_questions"]
    assert watching.model is not None
    read = [own_latents(watching.model, rows[one]) for one in recorded]
    mean_first = torch.stack([first for first, _ in read]).mean(0)
    mean_other = torch.stack([latents for _, others in read for latents in others]).mean(0)
    assert {token == 0 for _, token, _, _ in watching.seen} == {True, False}
    for _, token, _, used in watching.seen:
        torch.testing.assert_close(used, mean_first if token == 0 else mean_other, rtol=1e-4, atol=1e-4)


def test_replaced_latents_move_the_logits(home: Path, tmp_path: Path, checkpoint: str, monkeypatch) -> None:
    """The first token's logits after the prompt's insertion, with the weaver's latents and with each check's."""
    watching = Watching(monkeypatch)
    first: dict[str, torch.Tensor] = {}
    for check in [{"causal_check": "scaled", "latents_factor": 1.0}, *CHECKS]:
        watching.seen.clear()
        run(home, tmp_path / str(len(first)), evaluation(checkpoint, num_questions=1, **check))
        if not watching.seen:
            continue
        model, (_, _, _, used) = watching.model, watching.seen[0]
        assert model is not None
        prompt = Prompt(WORDPROBLEMS).text(load_questions("wordproblems", "test", limit=1)[0].question)
        ids = torch.tensor(model.base.tokenizer.encode(prompt, add_special_tokens=False))
        with torch.no_grad():
            hidden = model.stream(1).read([torch.cat([model.embed(ids), used])])[0]
            first[f"{check}"] = model.logits(hidden[-1])
    own, *others = first.values()
    assert len(others) == 4
    assert all((logits - own).abs().max() > 0.01 for logits in others)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"setting": "base", "causal_check": "noise"}, "causal_check"),
        ({"setting": "lora", "checkpoint": "1", "causal_check": "noise"}, "causal_check"),
        ({"setting": "weaver", "checkpoint": "1", "causal_check": "scaled"}, "latents_factor"),
        ({"setting": "weaver", "checkpoint": "1", "latents_factor": 2.0}, "latents_factor"),
        ({"setting": "weaver", "checkpoint": "1", "causal_check": "noise", "latents_factor": 2.0}, "latents_factor"),
        ({"setting": "weaver", "checkpoint": "1", "causal_check": "shuffled"}, "causal_check"),
        ({"stage": "ltpo_evaluate", "checkpoint": "1", "causal_check": "noise"}, "causal_check"),
    ],
)
def test_check_that_makes_no_sense_is_refused_by_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        config_of(**({"stage": "evaluate"} | fields))
    assert field in [problem.field for problem in caught.value.problems]


@pytest.mark.usefixtures("home")
def test_no_training_question_is_left_where_all_are_evaluated(checkpoint: str) -> None:
    rows = load_questions("wordproblems", "train")
    config = evaluation(checkpoint, causal_check="mean", split="train", num_questions=None)
    with pytest.raises(BadInput) as caught:
        draw_references(config, rows, rows)  # type: ignore[arg-type]
    assert (caught.value.code, caught.value.field) == ("no_reference_questions", "causal_check")
    assert {one.id for one in draw_references(config, rows[:-3], rows)} == {one.id for one in rows[-3:]}  # type: ignore[arg-type]


@pytest.mark.parametrize("check", ["mean", "other_question"])
def test_resume_is_refused_where_the_rows_that_latents_are_taken_from_have_changed(
    home: Path, tmp_path: Path, checkpoint: str, check: str
) -> None:
    config = evaluation(checkpoint, causal_check=check, num_questions=3, batch_size=1)
    questions, training = (
        load_questions("wordproblems", split, limit=limit) for split, limit in (("test", 3), ("train", 8))
    )
    first = RunDir(tmp_path / "first")

    def attempt(name: str, rows: list[Question], stop: StopRequest | None = None) -> dict[str, float]:
        run_dir, earlier = RunDir(tmp_path / name), None if stop else first
        run_dir.path.mkdir()
        context = Context(run_dir, earlier, home, None, Monitor(run_dir.events), stop or StopRequest(), Team())
        return evaluate(config, context, questions, rows)  # type: ignore[arg-type]

    with pytest.raises(Stopped):
        attempt("first", training, StopWhen(lambda: first.answers.exists() and bool(first.answers.read_bytes())))
    environment = json.loads(first.environment.read_text())
    assert attempt("as it was", training)["num_questions"] == 3
    changed = [replace(training[0], solution=rf"None, then.\boxed{{{training[0].answer}}}"), *training[1:]]
    for name, rows in (("another solution", changed), ("one row less", training[1:])):
        with pytest.raises(BadInput, match="reference_rows") as caught:
            attempt(name, rows)
        assert caught.value.code == "resume_mismatch"

    del environment["reference_rows"]  # as versions before wrote it
    first.environment.write_text(json.dumps(environment))
    assert attempt("of a version before", training)["num_questions"] == 3
    with pytest.raises(BadInput, match="reference_rows"):
        attempt("of a version before, one row less", training[1:])


def test_solution_without_a_delimiter_gives_the_latents_at_its_end(home: Path, tmp_path: Path, checkpoint: str) -> None:
    config = evaluation(checkpoint, causal_check="mean")
    questions, training = (
        [without_rationale(row) for row in load_questions("wordproblems", split, limit=4)]
        for split in ("test", "train")
    )
    run_dir = RunDir(tmp_path / "run")
    run_dir.path.mkdir()
    context = Context(run_dir, None, home, None, Monitor(run_dir.events), StopRequest(), Team())
    assert stage_of(config).work.reads(config) == (("test", 6), ("train", None))
    metrics = evaluate(config, context, questions, training)  # type: ignore[arg-type]
    assert metrics["latents_norm"] > 0
    assert any(at.token > 0 for one in answers(run_dir.path) if one.causal_check for at in one.causal_check.insertions)


def without_rationale(row: Question) -> Question:
    return replace(row, solution=rf"\boxed{{{row.answer}}}")


def test_likelihood_of_the_solutions_is_measured_with_what_the_check_inserts(
    home: Path, tmp_path: Path, checkpoint: str
) -> None:
    def likelihoods(name: str, **fields: Any) -> list[float]:
        run(home, tmp_path / name, evaluation(checkpoint, nll=True, max_completion_length=48, **fields))
        return [answer.metrics["nll"] for answer in answers(tmp_path / name)]

    own = likelihoods("own")
    assert likelihoods("one", causal_check="scaled", latents_factor=1.0) == own
    nowhere = likelihoods("nowhere", max_prompt_aug_num=0, max_inference_aug_num=0)
    assert likelihoods("none", causal_check="none") == pytest.approx(nowhere, rel=1e-5)
    for check in CHECKS:
        name = check["causal_check"]
        moved = likelihoods(f"{name}-4", **check) if name != "none" else nowhere
        assert all(abs(one - other) > 1e-5 for one, other in zip(moved, own, strict=True))
    assert likelihoods("noise-1", batch_size=1, **CHECKS[2]) == pytest.approx(
        likelihoods("noise-8", batch_size=8, **CHECKS[2]), rel=1e-4
    )
