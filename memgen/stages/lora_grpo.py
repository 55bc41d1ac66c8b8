"""Stage `lora_grpo`: a plain LoRA learns from the reward of its completions, by trl's `GRPOTrainer`; the control.

Questions, prompt and reward are those of our own GRPO stages, and so is the order of the questions: trl is given those
of all epochs one after the other, as it would shuffle them by a generator whose state none of its checkpoints holds. It
draws the tokens, all of a step together.
"""

from collections.abc import Callable
from typing import Any

from datasets import Dataset
from peft import PeftModel
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from memgen.contract.data_sets.registry import data_set
from memgen.contract.errors import BadInput
from memgen.contract.rows import num_rows, num_steps
from memgen.contract.stages.lora_grpo import LoraGrpoConfig
from memgen.contract.stages.trainings import rows_of_a_step
from memgen.data.prompt import question_prompt
from memgen.data.questions import Question
from memgen.environment import REWARD_CONDITIONS
from memgen.model.base import BaseModel
from memgen.model.batch_dropout import put_back, random_states
from memgen.model.generation import encode_prompts
from memgen.scoring import format_ok
from memgen.stages.advantages import group_advantages
from memgen.stages.context import Context
from memgen.stages.loading import load
from memgen.stages.lora_training import BOXED, Course, arguments, start
from memgen.stages.pieces import Batch, Pieces
from memgen.stages.rollout import Facts, Judged, correctness
from memgen.stages.rollout_book import RolloutBook
from memgen.stages.slices import slices
from memgen.stages.training import drawn, resume_point, shuffled
from memgen.stages.width import Width


def lora_grpo(config: LoraGrpoConfig, context: Context, questions: list[Question]) -> dict[str, float]:
    """Run the stage; returns its last metrics.

    Raises:
        BadInput: model, checkpoint or the folder to resume can't be used, or the questions do not fill a step.
        Stopped: a stop was asked for.
    """
    loaded = load(config, context, REWARD_CONDITIONS, may_halve=True)
    chosen, kind = drawn(questions, num_rows(config, context.data_folder), config.seed), data_set(config.data).answer
    prompts = [question_prompt(data_set(config.data), question.question) for question in chosen]
    _check_prompts(loaded.base, prompts, encode_prompts(loaded.base, prompts, config.max_prompt_length))
    total_steps = num_steps(config, len(chosen))
    if not total_steps:
        raise _too_few(config, len(chosen))
    resumed = resume_point(context)
    model, lora = start(config, loaded)

    book = RolloutBook(config, context, total_steps, resumed[1] if resumed else 0)
    newest: list[Judged] = []

    def reward(
        completions: list[str],
        completion_ids: list[list[int]],
        place: list[int],
        solution: list[str],
        log_metric: Callable[[str, float], None],
        **_: Any,
    ) -> list[float | None]:
        scores = correctness(completions, solution, kind)
        facts = [_facts(loaded.base, *one) for one in zip(completions, completion_ids, scores, strict=True)]
        newest[:] = [_judged(config, [chosen[index] for index in place[:: config.num_generations]], facts)]
        log_metric(BOXED, sum(one.boxed for one in facts) / len(facts))
        return [*scores]

    rows = [
        {"prompt": text, "solution": one.solution, "place": place}
        for place, (text, one) in enumerate(zip(prompts, chosen, strict=True))
    ]
    per_step = rows_of_a_step(config) // config.num_generations
    needed = -(-total_steps // config.num_iterations) * per_step
    trainer = GrpoInPieces(
        model=model,
        reward_funcs=reward,
        args=GRPOConfig(
            **arguments(config, context, loaded, total_steps),
            gradient_accumulation_steps=config.gradient_accumulation_steps,
            num_generations=config.num_generations,
            max_completion_length=config.max_completion_length,
            temperature=config.temperature,
            loss_type=config.loss_type,
            scale_rewards=config.scale_rewards,
            beta=config.beta,
            num_iterations=config.num_iterations,
            epsilon=config.epsilon,
            shuffle_dataset=False,
        ),
        train_dataset=Dataset.from_list(rows).select(order(len(rows), needed, config.seed)),
        processing_class=loaded.base.tokenizer,
        peft_config=lora,
    )
    course = Course(
        config,
        context,
        loaded,
        total_steps=total_steps,
        resumed=resumed,
        block=config.num_iterations,
        epochs=lambda done: -(-done // config.num_iterations) * per_step / len(chosen),
        after_step=lambda done: book.keep(done, *newest),
    )
    return {**course.run(trainer), "num_prompts": len(chosen)}


class GrpoInPieces(GRPOTrainer, Pieces):  # type: ignore[misc]  # transformers' step may be given less than trl's
    """trl's, with batches in pieces, and completions, too, where memory runs out while those of a step are generated.

    Pieces of completions have their tokens drawn apart: by the same rules, and others than all together would get.
    """

    _together: Width

    def take_width(self, width: Width) -> None:
        """Say how many rows go through the model at the same time, before the training."""
        super().take_width(width)
        args: Any = self.args
        self._together = width.of(args.generation_batch_size)

    def _generate_single_turn(self, prompt_ids: list[list[int]], *others: Any, **more: Any) -> tuple[Any, None]:
        """Token ids of a completion for each prompt."""
        generate: Any = super()._generate_single_turn
        states, model = random_states(), self.model
        assert isinstance(model, PeftModel)

        def in_pieces() -> list[list[int]]:
            put_back(states)
            if self.args.gradient_checkpointing and not model.is_gradient_checkpointing:  # an error has left it off
                model.gradient_checkpointing_enable(self.args.gradient_checkpointing_kwargs)
            parts = slices(prompt_ids, self._together.rows)
            return [tokens for part in parts for tokens in generate(part, *others, **more)[0]]

        return self._together.halving(in_pieces), None

    def _get_per_token_logps_and_entropies(self, *inputs: Any, batch_size: int | None = None, **more: Any) -> Any:
        """Of a piece, or of all completions of a step as they are before it: those by no more rows than learn."""
        measure = super()._get_per_token_logps_and_entropies
        if batch_size is None:
            return measure(*inputs, **more)
        return self._width.halving(lambda: measure(*inputs, batch_size=min(batch_size, self._width.rows), **more))

    def tokens_of(self, rows: Batch) -> int:
        """How many tokens the completions have."""
        return int(rows["completion_mask"].sum())

    def weight_of(self, rows: Batch, batch: Batch, num_items: Any) -> float:  # noqa: ARG002
        """The share of the batch's tokens where those count alike, else that of its completions."""
        if self.loss_type == "bnpo":
            return self.tokens_of(rows) / max(1, self.tokens_of(batch))
        return len(rows["completion_mask"]) / len(batch["completion_mask"])


def _facts(base: BaseModel, text: str, ids: list[int], score: float) -> Facts:
    """How one completion did, whose token ids are `<|im_end|>` included if it came."""
    ended = bool(ids) and ids[-1] == base.eos_id
    return Facts(
        score=score,
        insertions=0,
        decisions=(),
        length=len(ids) - ended,
        tokens=len(ids),
        ended=ended,
        text=text,
        boxed=format_ok(text),
    )


def _judged(config: LoraGrpoConfig, questions: list[Question], facts: list[Facts]) -> Judged:
    """The completions of a step, with the advantages that trl learns from."""
    rewards = [one.score for one in facts]
    scale = config.scale_rewards == "group"
    return Judged(questions, facts, rewards, group_advantages(rewards, config.num_generations, scale=scale))


def order(count: int, needed: int, seed: int) -> list[int]:
    """The first rows of a training on `count` of them: each epoch has all, in the order of our own stages."""
    epochs = -(-needed // count)
    return [row for epoch in range(epochs) for row in shuffled(count, seed, "epoch", epoch)][:needed]


def _check_prompts(base: BaseModel, texts: list[str], ours: list[list[int]]) -> None:
    """Refuse a tokenizer that would give trl other prompts than it gives us: trl leaves it the special tokens."""
    if base.tokenizer(text=texts[:1])["input_ids"] != ours[:1]:
        raise BadInput(
            "special_tokens",
            "the tokenizer puts special tokens of its own around a prompt, and trl's trainer can't leave them out",
            field="preset",
            way_out="Choose another model, or train it with lora_sft.",
        )


def _too_few(config: LoraGrpoConfig, count: int) -> BadInput:
    needed = rows_of_a_step(config) // config.num_generations
    return BadInput(
        "too_few_questions",
        f"a step takes {needed} questions, and all epochs together have {count * config.num_train_epochs}",
        field="num_questions",
        value=count,
        way_out="Take more questions, a smaller batch_size or fewer gradient_accumulation_steps.",
    )
