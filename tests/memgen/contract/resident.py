"""`python -m tests.memgen.contract.resident PHASE ROWS PROMPT COMPLETION`: resident bytes that a phase adds, at most.

A model of the demo preset's dimensions with random numbers, so nothing is downloaded; what the process has resident
before the model is made is taken off. The phases are the code of the stages: `evaluate`, `weaver_sft`, `trigger_grpo`.
"""

import sys

import psutil
import torch

import memgen.stages.stages  # noqa: F401  a trainer has it loaded, too
from benchmarks.machine import peak_resident
from memgen.contract.presets import BUILT_IN
from memgen.model.memgen_model import MemGenModel, Row
from memgen.model.woven_generation import generate_woven
from tests.memgen.contract.on_meta import model_of

STEPS = 2


def rows_of(count: int, prompt: int, completion: int) -> list[Row]:
    """Rows that get a little shorter, each with an insertion after the prompt and five in the answer."""
    rows = []
    for number in range(count):
        start = prompt - 3 * number
        points = [start, *(start + 1 + place * (completion - 2) // 5 for place in range(1, 6))]
        rows.append(Row(torch.randint(1, 1000, (start + completion,)), points, start))
    return rows


def train(model: MemGenModel, phase: str, rows: list[Row]) -> None:
    """Steps of a training, forward, backward and optimizer."""
    groups = model.train_part("weaver" if phase == "weaver_sft" else "trigger")
    model.train(phase == "weaver_sft")
    optimizer = torch.optim.AdamW(parameter for group in groups.values() for parameter in group)
    for _ in range(STEPS):
        logprobs = model.token_logprobs(rows) if phase == "weaver_sft" else model.decision_logprobs(rows)
        torch.cat(logprobs).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()


def main(phase: str, count: int, prompt: int, completion: int) -> int:
    """Resident bytes that the phase adds."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    before = psutil.Process().memory_info().rss
    model = model_of(BUILT_IN[0], "cpu", torch.float32)
    rows = rows_of(count, prompt, completion)
    if phase == "evaluate":
        model._ends_in_delimiter[::9] = True
        prompts = [row.ids[: row.first_label] for row in rows]
        generate_woven(model, prompts, completion, trigger=True)
    elif phase != "load":
        train(model, phase, rows)
    return peak_resident() - before


if __name__ == "__main__":
    sys.stdout.write(str(main(sys.argv[1], *map(int, sys.argv[2:]))))
