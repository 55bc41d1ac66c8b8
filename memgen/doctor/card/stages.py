"""Steps of the trainings and LTPO's searches, through the stages' own classes: time, tokens, memory against plan."""

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import torch

from memgen.contract.config import RunConfig, stage_class
from memgen.contract.data_sets.registry import DEMO
from memgen.contract.planner.memory import plan
from memgen.contract.planner.shapes import Shape
from memgen.contract.presets import Preset
from memgen.contract.rundir import RunDir
from memgen.data import load_questions
from memgen.doctor.card import peak
from memgen.doctor.card.bench import Bench, seconds_of, synchronize
from memgen.doctor.card.random_model import FIRST_ID, LAST_ID, prompts, random_base, regularly, woven
from memgen.model.memgen_model import MemGenModel
from memgen.model.woven_generation import Sampling, generate_woven
from memgen.monitor import Monitor
from memgen.parallel.team import Team
from memgen.stages.context import Context
from memgen.stages.latent_search import LatentSearch
from memgen.stages.loading import Loaded
from memgen.stages.training import TrainingLoop
from memgen.stages.trigger_grpo import Learner, trigger_parameters
from memgen.stages.weaver_sft import Example, Teacher
from memgen.stages.width import fixed_width
from memgen.stop import StopRequest

INSERTIONS = 5  # after the prompt's, in an example's answer
DELIMITER_EVERY = 13  # looks at newest tokens, about as often as delimiters come in GSM8K's solutions
LEFT_FREE = 6 * 2**30  # bytes of the card that are not counted on


def run(bench: Bench) -> None:
    """The step."""
    preset, sizes = bench.sizes.models[0], bench.sizes
    ltpo = [f"ltpo {steps} steps" for steps in (0, 10)]
    grpo = [f"trigger_grpo {rows}" for rows in sizes.grpo_rows]
    sft = [f"weaver_sft {rows}" for rows in sizes.sft_rows]
    if not bench.pending(*ltpo, *grpo, *sft):
        return
    model = woven(random_base(bench, preset))
    for rows in sizes.sft_rows[:1]:
        bench.measure(f"weaver_sft {rows}", lambda rows=rows: weaver_step(bench, model, preset, rows))  # type: ignore[misc]
    bench.measure(ltpo[0], lambda: latents(bench, model, preset, 0))
    bench.measure(ltpo[1], lambda: latents(bench, model, preset, 10), limit=90)
    for rows in sizes.grpo_rows:
        bench.measure(f"trigger_grpo {rows}", lambda rows=rows: trigger_step(bench, model, preset, rows), limit=90)  # type: ignore[misc]
    bench.measure("draw", lambda: draw(bench, preset))
    for rows in sizes.sft_rows[1:]:  # the last may keep its layers' inputs alone, which stays so
        bench.measure(f"weaver_sft {rows}", lambda rows=rows: weaver_step(bench, model, preset, rows))  # type: ignore[misc]


def weaver_step(
    bench: Bench, model: MemGenModel, preset: Preset, rows: int, steps: int | None = None
) -> dict[str, Any]:
    """Steps of weaver SFT; with gradient checkpointing where the plan without exceeds the card."""
    sizes = bench.sizes
    steps = steps or sizes.sft_steps
    shape = Shape(rows, sizes.sft_prompt, sizes.sft_answer, insertions=INSERTIONS)
    config = _config(
        "weaver_sft",
        preset=preset.name,
        batch_size=rows,
        max_steps=steps,
        eval_questions=0,
        learning_rate=1e-4,
        dtype="bfloat16",
    )
    if plan(config, preset, "cuda", shape).total > bench.total_memory - LEFT_FREE:
        config = config.model_copy(update={"gradient_checkpointing": True})
    gap = sizes.sft_answer // (INSERTIONS + 1)
    places = [sizes.sft_prompt + number * gap for number in range(INSERTIONS + 1)]
    model.augmentation_points = lambda ids, prompt_length, keeps=None: places  # type: ignore[method-assign]  # noqa: ARG005
    generator = torch.Generator().manual_seed(3)
    length = sizes.sft_prompt + sizes.sft_answer
    examples = [
        Example(torch.randint(FIRST_ID, LAST_ID, (length,), generator=generator).tolist(), sizes.sft_prompt)
        for _ in range(rows * 2)
    ]
    with tempfile.TemporaryDirectory(dir=bench.work) as name:
        context = _context(Path(name), config)
        loop = _loop(config, context, model, "weaver", steps)
        teacher = Teacher(config, context, model, examples, [], loop.notes)
        figures = _train(bench, loop, teacher.step)
    median = figures["step_seconds"]
    return {
        "rows": rows,
        "tokens_of_a_row": length,
        "gradient_checkpointing": config.gradient_checkpointing,
        **figures,
        "tokens_per_s": rows * length / median,
        **peak.against_plan(bench.device, config, preset, shape),
    }


def trigger_step(bench: Bench, model: MemGenModel, preset: Preset, rows: int) -> dict[str, Any]:
    """Steps of trigger GRPO; each second one learns from the completions of the one before."""
    sizes, size = bench.sizes, min(8, rows)
    config = _config(
        "trigger_grpo",
        preset=preset.name,
        checkpoint="none",
        data=DEMO,
        batch_size=rows,
        gradient_accumulation_steps=1,
        num_generations=size,
        num_iterations=2,
        max_steps=4,
        max_completion_length=sizes.grpo_tokens,
        dtype="bfloat16",
    )
    looks = count(1)  # whatever random weights write, every n-th look at a newest token finds a delimiter
    model.is_delimiter = lambda token: next(looks) % DELIMITER_EVERY == 0  # type: ignore[method-assign]  # noqa: ARG005
    questions = load_questions(DEMO, "train", limit=2 * rows // size)
    asked = prompts(len(questions), sizes.prompt, sizes.shortest_prompt)
    steps = 4 if rows == sizes.grpo_rows[0] else 2  # the first rollout warms up; the wide one is long
    with tempfile.TemporaryDirectory(dir=bench.work) as name:
        context = _context(Path(name), config)
        loop = _loop(config, context, model, "trigger", steps, block=2)
        initial = [parameter.detach().clone() for parameter in trigger_parameters(model)]
        learner = Learner(config, context, model, initial, questions, asked)
        said: list[dict[str, float]] = []

        def step(number: int) -> dict[str, float]:
            said.append(learner.step(number))
            return said[-1]

        figures = _train(bench, loop, step)
    return {
        "rows": rows,
        "tokens_of_a_completion": sizes.grpo_tokens,
        "rollout_and_update_seconds": figures["each_step_seconds"][::2],
        "update_seconds": figures["each_step_seconds"][1::2],
        "rollout_tokens_per_s": rows * sizes.grpo_tokens / figures["each_step_seconds"][::2][-1],
        "said": said[-1],
        **peak.against_plan(bench.device, config, preset, Shape(rows, sizes.prompt, sizes.grpo_tokens)),
    }


def draw(bench: Bench, preset: Preset) -> dict[str, Any]:
    """Seconds in which a rollout draws one token for each row."""
    rows = bench.sizes.grpo_rows[-1]
    sampling = Sampling(1.0, True, [torch.Generator().manual_seed(row) for row in range(rows)])
    logits = torch.randn(rows, preset.dimensions.vocab_size, device=bench.device)
    sampling.draw(logits, range(rows))
    return {"rows": rows, "seconds": seconds_of(bench.device, lambda: sampling.draw(logits, range(rows)), repeat=3)}


def latents(bench: Bench, model: MemGenModel, preset: Preset, steps: int) -> dict[str, Any]:
    """An LTPO evaluation with so many steps at each insertion."""
    sizes = bench.sizes
    config = _config(
        "ltpo_evaluate",
        preset=preset.name,
        checkpoint="none",
        setting="weaver+ltpo",
        batch_size=sizes.ltpo_rows,
        max_completion_length=sizes.ltpo_tokens,
        max_steps=steps,
        dtype="bfloat16",
    )
    model.train_part(None)
    model.is_delimiter = lambda token: True  # type: ignore[method-assign]  # noqa: ARG005
    rows = prompts(sizes.ltpo_rows, sizes.prompt, sizes.shortest_prompt)
    ids = [torch.tensor(row, device=bench.device) for row in rows]
    search = (
        LatentSearch(config, model, [f"question {row}" for row in range(len(rows))], StopRequest()) if steps else None
    )
    passes: list[float] = []
    peak.reset(bench.device)
    took = seconds_of(
        bench.device,
        lambda: generate_woven(
            model,
            ids,
            sizes.ltpo_tokens,
            trigger=False,
            choose=regularly(sizes.every, sizes.every // 4),
            improve=search,
            on_pass=lambda: passes.append(time.perf_counter()),
        ),
    )
    traces = [trace for row in search.traces for trace in row] if search else []
    gains = [max(trace.rewards) - trace.rewards[0] for trace in traces]
    return {
        "rows": len(rows),
        "tokens": sizes.ltpo_tokens,
        "steps": steps,
        "seconds": took,
        "passes": len(passes),
        "first_pass_seconds": passes[1] - passes[0] if len(passes) > 1 else None,
        "insertions": len(traces),
        "mean_reward_gain": statistics.fmean(gains) if gains else None,
        **peak.against_plan(
            bench.device,
            config,
            preset,
            Shape(len(rows), sizes.prompt, sizes.ltpo_tokens, insertions=sizes.ltpo_tokens // sizes.every),
        ),
    }


def _train(bench: Bench, loop: TrainingLoop, step: Callable[[int], dict[str, float]]) -> dict[str, Any]:
    """Run a training; the first step warms up and does not count in the median."""
    ends: list[float] = []
    losses: list[float] = []
    began = time.perf_counter()

    def told(number: int) -> dict[str, float]:
        metrics = step(number)
        losses.append(metrics["loss"])
        return metrics

    def between(*_: object) -> None:
        synchronize(bench.device)
        ends.append(time.perf_counter())

    peak.reset(bench.device)
    loop.run(told, between)
    each = [after - before for before, after in itertools.pairwise(ends)]
    return {
        "step_seconds": statistics.median(each[1:] or each),
        "each_step_seconds": each,
        "losses": losses,
        "with_checkpoint_seconds": time.perf_counter() - began,
    }


def _config(stage: str, **fields: Any) -> Any:
    """A config whose model need not be a preset."""
    return stage_class(stage).model_validate({"stage": stage, **fields})


def _loop(
    config: Any,
    context: Context,
    model: MemGenModel,
    part: Any,
    steps: int,
    block: int = 1,
) -> TrainingLoop:
    loaded = Loaded(model.base, "random weights", None, None, fixed_width(config))
    return TrainingLoop(
        config, context, loaded, model, part=part, rates={}, total_steps=steps, resumed=None, block=block
    )


def _context(folder: Path, config: RunConfig) -> Context:
    return Context(RunDir(folder, config.stage), None, folder, None, Monitor(None), StopRequest(), Team())
