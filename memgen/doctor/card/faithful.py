"""The golden numbers in float32 on the device, and how far bfloat16 and other widths lead answers away."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from memgen.contract.data_sets.registry import DEMO, data_set
from memgen.data import load_questions
from memgen.data.prompt import question_prompt
from memgen.doctor.card.bench import Bench
from memgen.doctor.card.golden import GOLDEN, compare
from memgen.model.authors_layout import load_authors
from memgen.model.base import load_base
from memgen.model.fetch import LocalModel
from memgen.model.memgen_model import MemGenModel, Row
from memgen.model.woven_generation import generate_woven


def run(bench: Bench) -> None:
    """The step."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    for name in ("a", "b", "c"):
        bench.measure(f"golden {name}", lambda folder=GOLDEN / name: golden(folder), limit=120)  # type: ignore[misc]
    bench.measure("noise", lambda: noise(bench), limit=90)


def golden(folder: Path) -> dict[str, Any]:
    """Worst difference of each quantity beside its limit."""
    differences = compare(folder)
    return {
        "device": str(load_base(LocalModel(GOLDEN / "tiny_base", "golden"), "float32").device),
        "holds": all(one.holds for one in differences),
        "differences": [asdict(one) | {"holds": one.holds} for one in differences],
    }


def noise(bench: Bench) -> dict[str, Any]:
    """Answers of the tiny model that differ between devices, number formats and widths, and log-probabilities."""
    few, many = 8, bench.sizes.noise_questions
    first = _answers(bench, _model("float32"), few)
    low = _model("bfloat16")
    low_first = _answers(bench, low, few)
    pairs = {
        "float32, width 8 and all": (first, _answers(bench, _model("float32"), many)),
        "float32, device and CPU": (first, _answers(bench, _model("float32", cpu=True), few)),
        "bfloat16 and float32": (low_first, first),
        "bfloat16, width 8 and all": (low_first, _answers(bench, low, many)),
        "bfloat16, width 8 twice": (low_first, _answers(bench, low, few)),
    }
    exact, rounded = _logprobs(_model("float32")), _logprobs(low)
    gaps = (exact - rounded).abs()
    return {name: _differing(*pair) for name, pair in pairs.items()} | {
        "questions": many,
        "tokens": bench.sizes.noise_tokens,
        "logprob_gap_bfloat16": {"mean": float(gaps.mean()), "max": float(gaps.max()), "tokens": gaps.numel()},
    }


def _model(dtype: str, *, cpu: bool = False) -> MemGenModel:
    base = load_base(LocalModel(GOLDEN / "tiny_base", "golden"), dtype)
    if cpu:
        base = replace(base, model=base.model.to("cpu"), device=torch.device("cpu"))  # type: ignore[arg-type]
    return load_authors(GOLDEN / "a" / "checkpoint", base).model.eval()


def _answers(bench: Bench, model: MemGenModel, width: int) -> list[list[int]]:
    questions = load_questions(DEMO, "test", limit=bench.sizes.noise_questions)
    texts = [question_prompt(data_set(DEMO), one.question) for one in questions]
    ids = [
        torch.tensor(model.base.tokenizer.encode(text, add_special_tokens=False), device=model.base.device)
        for text in texts
    ]
    answers = generate_woven(model, ids, bench.sizes.noise_tokens, trigger=True, width=width)
    return [answer.ids for answer in answers]


def _differing(left: list[list[int]], right: list[list[int]]) -> dict[str, Any]:
    firsts = []
    for one, other in zip(left, right, strict=True):
        if one != other:
            firsts.append(_common(one, other))
    return {"differing": len(firsts), "of": len(left), "first_differing_tokens": sorted(firsts)[:64]}


def _common(left: list[int], right: list[int]) -> int:
    """How many tokens both begin with."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(left), len(right)))


def _logprobs(model: MemGenModel) -> torch.Tensor:
    """Teacher-forced log-probabilities of word problems' solutions, latents in place."""
    rows = []
    for one in load_questions(DEMO, "test", limit=8):
        prompt, answer = (
            model.base.tokenizer.encode(text, add_special_tokens=False)
            for text in (question_prompt(data_set(DEMO), one.question), one.solution)
        )
        ids = torch.tensor(prompt + answer, device=model.base.device)
        rows.append(Row(ids, model.augmentation_points(prompt + answer, len(prompt)), len(prompt)))
    with torch.no_grad():
        return torch.cat(model.token_logprobs(rows)).cpu()
