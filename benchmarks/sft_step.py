"""A step of weaver SFT against one of plain LoRA SFT: forward, backward, optimizer; the same rows, rank, targets."""

import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from benchmarks.ratio import Ratio, Side, measure, seconds
from benchmarks.setup import LORA_ALPHA, LORA_DROPOUT, LORA_R, answer_ids, plain, prompt_ids, questions, woven
from memgen.model.base import BaseModel
from memgen.model.checkpoint import TARGETS
from memgen.model.generation import pad_left
from memgen.model.memgen_model import Row
from memgen.stages.training import has_fused_adamw

ROWS, ROUNDS, LIMIT = 4, 5, 2.4
IGNORED = -100


def run(name: str) -> Ratio:
    """Measure."""
    return measure(weaver_step(name), lora_step(name), ROUNDS, LIMIT)


def adamw(trained: list[nn.Parameter], base: BaseModel) -> torch.optim.Optimizer:
    """The optimizer of both sides."""
    return torch.optim.AdamW(trained, lr=1e-5, fused=has_fused_adamw(base.device))


def examples(base: BaseModel) -> list[tuple[list[int], list[int]]]:
    """Prompt and answer of each row."""
    return [(prompt_ids(base, question), answer_ids(base, question)) for question in questions(ROWS)]


def weaver_step(name: str) -> Side:
    """Ours: latents at each point, the loss on the answers alone."""
    model = woven(name)
    groups = model.train_part("weaver")
    optimizer = adamw([parameter for group in groups.values() for parameter in group], model.base)
    rows = [
        Row(
            torch.tensor(prompt + answer, device=model.base.device),
            model.augmentation_points(prompt + answer, len(prompt)),
            len(prompt),
        )
        for prompt, answer in examples(model.base)
    ]
    model.train()

    def step() -> None:
        loss = -torch.cat(model.token_logprobs(rows)).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()

    return seconds(step)


def lora_step(name: str) -> Side:
    """Theirs: a peft model, and the loss that transformers computes."""
    base = plain(name)
    pairs = examples(base)
    ids, mask = pad_left([prompt + answer for prompt, answer in pairs], base.pad_id)
    labels = torch.full_like(ids, IGNORED)
    for row, (_, answer) in enumerate(pairs):
        labels[row, -len(answer) :] = torch.tensor(answer)
    config = LoraConfig(
        r=LORA_R,
        lora_alpha=LORA_ALPHA,
        lora_dropout=LORA_DROPOUT,
        target_modules=TARGETS,
        bias="none",
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(base.model, config).train()
    optimizer = adamw([one for one in model.parameters() if one.requires_grad], base)
    batch = {"input_ids": ids, "attention_mask": mask, "labels": labels}
    batch = {key: value.to(base.device) for key, value in batch.items()}

    def step() -> None:
        model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return seconds(step)
