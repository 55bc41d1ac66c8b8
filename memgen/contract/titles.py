"""What people read for a field of a config or a score: in forms, pages, API document and command line.

A field that no other stage has may say its title itself (`Field(title=...)`).
"""

_TITLES = {
    "preset": "Model",
    "revision": "Revision of the model",
    "max_prompt_length": "Longest prompt",
    "max_completion_length": "Longest answer",
    "dtype": "Number format",
    "num_questions": "Questions",
    "batch_size": "Batch size",
    "micro_batch_size": "At the same time",
    "prompt_latents_len": "Latents at the prompt",
    "inference_latents_len": "Latents in the answer",
    "max_prompt_aug_num": "Insertions at the prompt",
    "max_inference_aug_num": "Most insertions in the answer",
    "guard_numbers": "Guard of numbers",
    "insert_probability": "Probability of an insertion",
    "prompt_style": "Prompt",
    "num_examples": "Worked examples",
    "causal_check": "In place of the latents",
    "latents_factor": "Factor on the latents",
    "skip_probability": "Probability of a skipped insertion",
    "skip_among": "What may be skipped",
    "num_train_epochs": "Epochs",
    "max_steps": "Most steps",
    "gradient_accumulation_steps": "Batches per step",
    "learning_rate": "Learning rate",
    "latents_learning_rate": "Learning rate of the latents",
    "projections_learning_rate": "Learning rate of the projections",
    "head_learning_rate": "Learning rate of the trigger's head",
    "warmup_ratio": "Share of warm-up",
    "lr_scheduler_type": "Course of the learning rate",
    "max_grad_norm": "Largest gradient norm",
    "gradient_checkpointing": "Recompute activations",
    "stop_on_alarm": "Stop on an alarm",
    "save_steps": "Steps between checkpoints",
    "eval_questions": "Validation questions",
    "eval_steps": "Steps between validations",
    "lora_r": "LoRA rank",
    "lora_targets": "LoRA on",
    "lora_alpha": "LoRA alpha",
    "weaver_variant": "Weaver",
    "lora_dropout": "LoRA dropout",
    "num_generations": "Completions per question",
    "sample_tokens": "Sample tokens",
    "scale_rewards": "Scale of advantages",
    "beta": "Weight of the KL divergence",
    "num_iterations": "Steps per batch of completions",
    "kept_rollouts": "Steps with kept completions",
    "epsilon": "Clip range",
    "insertion_penalty": "Penalty on insertions",
    "insertion_penalty_form": "Form of the penalty",
    "update": "Update of the latents",
    "lr": "Step size",
    "sigma": "Exploration noise",
    "sigma_decay": "Decay of the noise",
    "top_k": "Tokens in the reward",
    "threshold": "Reward at which to stop",
    "positions": "Latents in the reward",
    "relative": "Relative step size and noise",
    "compute_reward": "Authors' score",
    "nll": "NLL of the solution",
}

_UNITS = {
    "max_prompt_length": "tokens",
    "max_completion_length": "tokens",
    "max_seconds": "seconds",
    "warmup_ratio": "0 to 1",
}


def label_of(field: str, title: str = "") -> str:
    """What stands above the field in a form: its title, and the unit of its number where the title does not say it."""
    unit = _UNITS.get(field)
    return f"{title or title_of(field)} ({unit})" if unit else title or title_of(field)


ON_OFF = {"0": "off", "1": "on"}
_WORDS = {"guard_numbers": ON_OFF}


def title_of(field: str) -> str:
    """`num_questions` -> `Questions`; a name without a title of its own as words, `max_steps` -> `Max steps`."""
    text = field.replace("_", " ").strip()
    return _TITLES.get(field, text[:1].upper() + text[1:])


def words_of(field: str, value: object) -> str:
    """What people read for a field's value: `off` for a guard of 0; most values are their own word."""
    return _WORDS.get(field, {}).get(str(value), str(value))
