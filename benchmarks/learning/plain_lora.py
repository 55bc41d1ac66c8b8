"""The control: plain LoRA SFT through trl's SFTTrainer, on the rows, in the order and for the steps of the weaver's."""

import shutil
from pathlib import Path
from typing import Any

from datasets import Dataset
from peft import LoraConfig
from transformers import PreTrainedModel, set_seed
from trl import SFTConfig, SFTTrainer  # type: ignore[attr-defined]

from memgen.contract.config import RunConfig
from memgen.contract.datasets import num_rows
from memgen.contract.presets import get_preset
from memgen.contract.stage_configs import WeaverSftConfig
from memgen.data import load_questions
from memgen.model.base import BaseModel, load_base, use_threads
from memgen.model.chat import END, question_messages, render
from memgen.model.checkpoint import TARGETS
from memgen.model.fetch import fetch_model
from memgen.monitor import Monitor
from memgen.stages.training import batch_of, drawn


def train(config: RunConfig, home: Path, folder: Path) -> dict[str, float]:
    """Train, merge the LoRA into the base and save it as a model of its own; returns its last loss and seconds.

    Goes on from trl's newest checkpoint in the folder, if there is one.
    """
    assert isinstance(config, WeaverSftConfig)
    assert config.max_steps is not None
    use_threads()
    set_seed(config.seed)  # for the LoRA's start
    base = load_base(fetch_model(get_preset(config.preset), config.revision, home, Monitor(None)), "float32")
    work = folder / "checkpoints"
    trainer = SFTTrainer(
        model=base.model,
        args=SFTConfig(
            output_dir=str(work),
            max_steps=config.max_steps,
            per_device_train_batch_size=config.batch_size,
            learning_rate=config.learning_rate,
            lr_scheduler_type=config.lr_scheduler_type,
            warmup_steps=int(config.warmup_ratio * config.max_steps),
            weight_decay=config.weight_decay,
            max_grad_norm=config.max_grad_norm,
            seed=config.seed,
            train_sampling_strategy="sequential",
            completion_only_loss=True,
            gradient_checkpointing=False,
            bf16=False,
            save_steps=config.save_steps,
            save_total_limit=1,
            logging_steps=10,
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=rows(config, base),
        processing_class=base.tokenizer,
        peft_config=LoraConfig(
            r=config.lora_r,
            lora_alpha=config.lora_alpha,
            lora_dropout=config.lora_dropout,
            target_modules=TARGETS,
            bias="none",
            task_type="CAUSAL_LM",
        ),
    )
    done = trainer.train(resume_from_checkpoint=any(work.glob("checkpoint-*")))
    adapted: Any = trainer.model
    merged: PreTrainedModel = adapted.merge_and_unload()
    merged.save_pretrained(folder / "model")
    base.tokenizer.save_pretrained(folder / "model")
    shutil.rmtree(work, ignore_errors=True)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return {"steps": config.max_steps, "loss": float(losses[-1]), "seconds": float(done.metrics["train_runtime"])}


def rows(config: WeaverSftConfig, base: BaseModel) -> Dataset:
    """What the weaver's steps read, one behind the other, in tokens."""
    questions = drawn(load_questions(config.data, "train", seed=config.seed), num_rows(config), config.seed)
    encode: Any = base.tokenizer.encode
    found = []
    for number in range(config.max_steps or 0):
        for index in batch_of(len(questions), config.batch_size, number, config.seed):
            prompt = encode(render(question_messages(questions[index].question)), add_special_tokens=False)
            answer = encode(f"{questions[index].solution}{END}\n", add_special_tokens=False)
            found.append({"input_ids": prompt + answer, "completion_mask": [0] * len(prompt) + [1] * len(answer)})
    return Dataset.from_list(found)
