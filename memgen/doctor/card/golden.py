"""Our method against one golden folder, quantity by quantity (`golden/README.md` says what the numbers are)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from memgen.model.authors_layout import load_authors
from memgen.model.base import load_base
from memgen.model.fetch import LocalModel
from memgen.model.ltpo import LtpoSettings, optimise
from memgen.model.memgen_model import MemGenModel, Row
from memgen.model.woven_generation import Completion, generate_woven
from memgen.scoring import compute_reward

GOLDEN = Path(__file__).parents[1] / "golden"
"""The folders that this package brings."""
ROWS = 4
EXACT = 0.0
NOTHING = float("inf")  # where nothing was compared


@dataclass(frozen=True)
class Difference:
    """The worst difference of one quantity; for what must be identical, the number of places that differ."""

    quantity: str
    worst: float
    limit: float

    @property
    def holds(self) -> bool:
        """Whether the difference is within its limit; a NaN is not."""
        return self.worst <= self.limit


class Golden:
    """One golden folder, with our model loaded from its checkpoint."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.facts = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
        base = load_base(LocalModel(folder.parent / "tiny_base", "golden"), "float32")
        self.tensors = load_file(folder / "golden.safetensors", device=str(base.device))
        self.model: MemGenModel = load_authors(folder / "checkpoint", base).model.eval()

    def row(self, number: int) -> tuple[Row, torch.Tensor]:
        """A teacher-forced example with our own points, and its labels."""
        ids, labels = self.tensors[f"forward/{number}/input_ids"], self.tensors[f"forward/{number}/labels"]
        prompt_length = int((labels != -100).nonzero()[0])
        return Row(ids, self.model.augmentation_points(ids.tolist(), prompt_length)), labels


def compare(folder: Path) -> list[Difference]:
    """All differences of a golden folder."""
    golden = Golden(folder)
    found = [*_forward(golden), *_gradients(golden), *_generation(golden), *_ltpo(golden)]
    scoring = folder.parent / "scoring.json"
    return [*found, _scoring(scoring)] if scoring.exists() else found


def _forward(golden: Golden) -> Iterator[Difference]:
    examples = [golden.row(number) for number in range(ROWS)]
    facts = golden.facts["rows"]
    wrong = sum(row.points != fact["augmentation_points"] for (row, _), fact in zip(examples, facts, strict=True))
    yield Difference("augmentation points", wrong, EXACT)
    with torch.no_grad():
        ours = golden.model.token_logprobs([row for row, _ in examples])
    pairs = [(mine, golden.tensors[f"forward/{number}/logprobs"]) for number, mine in enumerate(ours)]
    yield Difference("log-probabilities", max(_gap(mine, theirs) for mine, theirs in pairs), 1e-4)
    losses = [_loss(mine, labels) for mine, (_, labels) in zip(ours, examples, strict=True)]
    worst = max(abs(float(loss) - fact["loss"]) for loss, fact in zip(losses, facts, strict=True))
    yield Difference("losses", worst, 1e-4)


def _gradients(golden: Golden) -> Iterator[Difference]:
    model = golden.model
    model.adapters.train("weaver")
    examples = [golden.row(number) for number in range(ROWS)]
    logprobs = model.token_logprobs([row for row, _ in examples])
    sum(_loss(mine, labels) for mine, (_, labels) in zip(logprobs, examples, strict=True)).backward()  # type: ignore[union-attr]
    lora = {
        f"weaver.model.base_model.model.{name.replace('.weight', '.weaver.weight')}": parameter.grad
        for name, parameter in model.adapters.parameters("weaver").items()
    }
    parts = {
        name if "_to_" in name else f"weaver.{name}": parameter.grad
        for name, parameter in model.weaver.named_parameters()
    }
    ours = {name: gradient for name, gradient in {**lora, **parts}.items() if gradient is not None}
    norms = golden.facts["gradient_norms_of_summed_loss"]
    missing = sum(name not in ours for name in norms)
    yield Difference("gradients that did not arrive", missing + len(lora) + len(parts) - len(norms), EXACT)
    gaps = [_relative(ours[name].norm(), norm) for name, norm in norms.items() if name in ours]
    yield Difference("gradient norms (relative)", max(gaps, default=NOTHING), 1e-3)
    theirs = {key.removeprefix("grad/"): value for key, value in golden.tensors.items() if key.startswith("grad/")}
    gaps = [float((ours[key] - value).norm() / value.norm()) for key, value in theirs.items() if key in ours]
    yield Difference("gradients (relative)", max(gaps, default=NOTHING), 1e-3)
    foreign = [*model.adapters.parameters("trigger").values(), *model.trigger_head.parameters()]
    yield Difference("gradients outside the weaver", sum(parameter.grad is not None for parameter in foreign), EXACT)
    model.adapters.train(None)


def _generation(golden: Golden) -> Iterator[Difference]:
    for mode in ("inactive", "active"):
        tensors = {name: golden.tensors[f"generate/{mode}/{name}"] for name in ("prompt_ids", "prompt_mask")}
        prompts = [ids[mask.bool()] for ids, mask in zip(tensors["prompt_ids"], tensors["prompt_mask"], strict=True)]
        theirs = golden.tensors[f"generate/{mode}/completion_ids"]
        points = golden.tensors[f"generate/{mode}/augmentation"]
        ours = generate_woven(golden.model, prompts, theirs.shape[1], trigger=mode == "active")
        lengths = [_until_end(row.tolist(), golden.model.base.eos_id) for row in theirs]
        tokens = sum(ours[i].ids != theirs[i, :n].tolist() for i, n in enumerate(lengths))
        decisions = sum(_decisions(ours[i], n) != points[i, :n].tolist() for i, n in enumerate(lengths))
        yield Difference(f"tokens ({mode} trigger)", tokens, EXACT)
        yield Difference(f"decisions ({mode} trigger)", decisions, EXACT)
        if mode == "active":
            said = golden.tensors["trigger/logprobs"]
            gaps = [
                abs(decision.logprob - float(said[i, decision.token]))
                for i, n in enumerate(lengths)
                for decision in ours[i].decisions
                if decision.token < n
            ]
            yield Difference("trigger log-probabilities", max(gaps, default=NOTHING), 1e-4)


def _ltpo(golden: Golden) -> Iterator[Difference]:
    model, tensors, facts = golden.model, golden.tensors, golden.facts["ltpo"]
    prompt = model.embed(tensors["ltpo/prompt_ids"])
    with torch.no_grad():
        latents = model.weave(model.stream(1), [prompt], prompt=True)
        reasoner = model.row_stream(1)
        reasoner.read([0], [prompt])
    yield Difference("LTPO initial latents", _gap(latents[0], tensors["ltpo/initial_latents"]), 1e-3)
    settings = LtpoSettings(lr=facts["lr"], sigma=facts["sigma"], max_steps=facts["steps"], top_k=facts["top_k"])
    path: list[torch.Tensor] = []
    found = optimise(model, reasoner.prefix([0]), latents, settings, on_step=path.append)
    yield Difference("LTPO rewards", _gap(found.rewards[1:, 0], torch.tensor(facts["rewards"])), 1e-3)
    yield Difference("LTPO latents", _gap(torch.cat(path), tensors["ltpo/latents_after_step"]), 1e-3)


def _scoring(path: Path) -> Difference:
    cases = json.loads(path.read_text(encoding="utf-8"))
    wrong = sum(compute_reward(case["completion"], case["solution"]) != case["reward"] for case in cases)
    return Difference(f"scores ({len(cases)} cases)", wrong if cases else NOTHING, EXACT)


def _loss(logprobs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return -logprobs[labels[1:] != -100].mean()


def _decisions(completion: Completion, length: int) -> list[int]:
    said = [-100] * length
    for decision in completion.decisions:
        if decision.token < length:
            said[decision.token] = int(decision.inserted)
    return said


def _until_end(ids: list[int], eos_id: int) -> int:
    return ids.index(eos_id) + 1 if eos_id in ids else len(ids)


def _gap(mine: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((mine.cpu() - theirs.cpu()).abs().max()) if mine.shape == theirs.shape else float("inf")


def _relative(mine: torch.Tensor, theirs: float) -> float:
    return abs(float(mine) - theirs) / max(abs(theirs), 1e-12)
