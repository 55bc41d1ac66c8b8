"""The control: plain LoRA SFT through trl's SFTTrainer, on the rows, in the order and for the steps of the weaver's."""

import json
import time
from pathlib import Path
from typing import Any

from datasets import Dataset
from peft import LoraConfig
from transformers import PreTrainedModel, TrainerCallback, set_seed
from trl import SFTConfig, SFTTrainer  # type: ignore[attr-defined]

from benchmarks.learning.rows import trained_on
from memgen.contract.config import RunConfig
from memgen.contract.data_sets.registry import data_set
from memgen.contract.presets import get_preset
from memgen.contract.rundir import write_json
from memgen.contract.stages.weaver_sft import WeaverSftConfig
from memgen.data.prompt import answer_text, question_prompt
from memgen.model.base import BaseModel, load_base, use_threads
from memgen.model.checkpoint import TARGETS
from memgen.model.fetch import fetch_model
from memgen.monitor import Monitor


def train(config: RunConfig, home: Path, folder: Path) -> dict[str, float]:
    """Train, merge the LoRA into the base and save it as a model of its own; returns its last loss and seconds.

    Goes on from trl's newest whole checkpoint in the folder, if there is one.
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
    start = newest(work)
    clock = Clock(folder / "seconds.json", goes_on=start is not None)
    trainer.add_callback(clock)
    trainer.train(resume_from_checkpoint=start)
    seconds = clock.seconds()
    adapted: Any = trainer.model
    merged: PreTrainedModel = adapted.merge_and_unload()
    merged.save_pretrained(folder / "model")
    base.tokenizer.save_pretrained(folder / "model")
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return {"steps": config.max_steps, "loss": float(losses[-1]), "seconds": seconds}


class Clock(TrainerCallback):
    """Seconds of training up to here, those up to the checkpoint that it goes on from included."""

    def __init__(self, path: Path, *, goes_on: bool) -> None:
        self._path, self._began = path, time.perf_counter()
        self._before = json.loads(path.read_text(encoding="utf-8"))["seconds"] if goes_on and path.exists() else 0.0

    def seconds(self) -> float:
        """Seconds so far."""
        return float(self._before + time.perf_counter() - self._began)

    def on_save(self, *_: object, **__: object) -> None:
        """Keep them beside the checkpoint that was just written."""
        write_json(self._path, {"seconds": self.seconds()})


def newest(folder: Path) -> str | None:
    """Newest checkpoint that was written to its end: the trainer writes its state last."""
    whole = [path.parent for path in folder.glob("checkpoint-*/trainer_state.json")]
    return str(max(whole, key=lambda path: int(path.name.rpartition("-")[2]))) if whole else None


def rows(config: WeaverSftConfig, base: BaseModel) -> Dataset:
    """What the weaver's steps read, one after the other, in tokens."""
    encode: Any = base.tokenizer.encode
    found = []
    for question in trained_on(config):
        prompt = encode(question_prompt(data_set(config.data), question.question), add_special_tokens=False)
        answer = encode(answer_text(question.solution), add_special_tokens=False)
        found.append({"input_ids": prompt + answer, "completion_mask": [0] * len(prompt) + [1] * len(answer)})
    return Dataset.from_list(found)
