"""LTPO at the prompt's insertion: per question in a batch of 8, against the whole sequence read again at each step."""

import torch

from benchmarks.ratio import Ratio, Side, measure, seconds
from benchmarks.setup import SEED, prompt_ids, questions, woven
from memgen.model.ltpo import LtpoSettings, optimise
from memgen.model.memgen_model import MemGenModel

ROWS, ROUNDS, LIMIT = 8, 5, 0.12
SETTINGS = LtpoSettings()  # 10 steps of Adam


def run(name: str) -> Ratio:
    """Seconds per question, from the starting latents on; the prompt is in our cache already, as in generation."""
    model = woven(name)
    model.train_part(None)
    prompts = [torch.tensor(prompt_ids(model.base, one), device=model.base.device) for one in questions(ROWS)]
    with torch.no_grad():
        embedded = [model.embed(prompt) for prompt in prompts]
        latents = model.weave(model.stream(ROWS), embedded, prompt=True)
    # the straightforward side gets a question of middle length
    middle = sorted(range(ROWS), key=lambda number: len(prompts[number]))[ROWS // 2]
    return measure(
        batched(model, embedded, latents),
        straightforward(model, embedded[middle][None], latents[middle][None]),
        ROUNDS,
        LIMIT,
    )


def batched(model: MemGenModel, embedded: list[torch.Tensor], latents: torch.Tensor) -> Side:
    """Ours."""
    prefix = model.row_stream(ROWS)
    prefix.read(range(ROWS), embedded)

    def work() -> None:
        with torch.no_grad():
            optimise(model, prefix.prefix(range(ROWS)), latents, SETTINGS)

    side = seconds(work)
    return lambda: side() / ROWS


def straightforward(model: MemGenModel, prompt: torch.Tensor, latents: torch.Tensor) -> Side:
    """Theirs: prompt (1, P, D) and latents (1, K, D) through the whole model, forward and backward, at each step."""

    def reward(candidate: torch.Tensor) -> torch.Tensor:
        logits = model.base.model(inputs_embeds=torch.cat([prompt, candidate], dim=1), use_cache=False).logits
        probabilities = torch.softmax(logits[:, -candidate.shape[1] :].float(), dim=-1)
        return -torch.log(probabilities.topk(SETTINGS.top_k, dim=-1).values + 1e-10).mean()

    def work() -> None:
        torch.manual_seed(SEED)
        moving = latents.detach().clone().requires_grad_()
        adam = torch.optim.Adam([moving], lr=SETTINGS.lr, maximize=True)
        with torch.no_grad():
            best, kept = float(reward(moving)), moving.detach().clone()
        for step in range(SETTINGS.max_steps):
            candidate = moving + SETTINGS.sigma * SETTINGS.sigma_decay**step * torch.randn_like(moving)
            said = reward(candidate)
            adam.zero_grad()
            said.backward()  # type: ignore[no-untyped-call]
            adam.step()
            found = float(said.detach())
            if found > best:
                best, kept = found, candidate.detach()
        assert kept.shape == latents.shape

    return seconds(work)
