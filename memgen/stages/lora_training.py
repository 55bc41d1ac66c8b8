"""What both LoRA trainings share: how trl's trainers are set up, and a callback that makes them one of our trainings.

The loop is that of transformers' `Trainer`. The callback tells of its steps in our events, saves checkpoints with our
manifest, obeys a stop after each step and ends a training whose time is up. A checkpoint holds what the trainer itself
wrote for a resume: adapter, optimizer, learning rates, its random generators and its place in the rows.
"""

import json
import math
import shutil
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub import constants
from peft import LoraConfig, PeftModel
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.utils import logging as transformers_logging

from memgen.contract.config import config_hash
from memgen.contract.data_sets.registry import data_set
from memgen.contract.errors import BadInput, Diverged
from memgen.contract.json_file import Unreadable, read_object
from memgen.contract.manifest import LoraSettings, Manifest, damaged
from memgen.contract.presets import get_preset
from memgen.contract.stages import stage_of
from memgen.contract.stages.lora_trainings import LoraTraining, rank_of
from memgen.contract.status import StopMode
from memgen.contract.weaver_variants import LORA_TARGETS
from memgen.data.prompt import prompt_hash
from memgen.model.adapters import is_untrained
from memgen.model.checkpoint import lora_config, tokenizer_hash
from memgen.model.checkpoint_files import OPTIMIZER, save_files
from memgen.model.finite import is_finite
from memgen.model.lora import (
    ADAPTER,
    WEIGHTS,
    load_lora,
    lora_tensors,
    save_lora,
    settings_of_lora,
    write_config,
)
from memgen.stages.context import Context
from memgen.stages.loading import Loaded
from memgen.stages.pieces import Pieces
from memgen.stages.training import KEPT, LOWER, has_fused_adamw, tell_step
from memgen.stop import Stopped

NOTES, TOKENS = "notes.json", "tokens_seen"
BOXED = "completions/boxed"  # a share that our reward function logs
KEPT_FILES = (WEIGHTS, OPTIMIZER, "scheduler.pt", "rng_state.pth", "trainer_state.json")
TOLD = {  # of what trl logs, and its names in our metrics
    **{
        name: name
        for name in (
            "loss", "grad_norm", "learning_rate", "epoch", "entropy", "kl", "mean_token_accuracy", "reward",
            "reward_std", "frac_reward_zero_std", "completions/mean_length", BOXED,
        )
    },
    "num_tokens": TOKENS,
    "completions/clipped_ratio": "completions/truncated",
}  # fmt: skip
Validate = Callable[[Pieces], float | None]
"""Validation loss in nats per token; None where a stop came in between."""


def start(config: LoraTraining, loaded: Loaded) -> tuple[Any, LoraConfig | None]:
    """The model that a trainer of trl is given, and the LoRA that it is to put into it.

    Raises:
        BadInput: the checkpoint that the config names can't be used.
    """
    settings = LoraSettings(
        r=rank_of(config, get_preset(config.preset).dimensions),
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=sorted(LORA_TARGETS[config.lora_targets]),
    )
    if loaded.checkpoint is None:
        return loaded.base.model, lora_config(settings)
    model = load_lora(loaded.checkpoint, loaded.base, loaded.identity, None)
    before = settings_of_lora(model)[ADAPTER]
    for field, name in (("lora_r", "r"), ("lora_targets", "target_modules")):
        theirs = getattr(before, name)
        if theirs != getattr(settings, name):
            raise BadInput(
                "other_lora",
                f"the checkpoint's LoRA has {name} {theirs}",
                field=field,
                value=getattr(settings, name),
                way_out=f"Set {field} to what it has, or choose another checkpoint.",
            )
    return model, None


def arguments(config: LoraTraining, context: Context, loaded: Loaded, total_steps: int) -> dict[str, Any]:
    """What the configs of both trainers of trl are given; every default that would change numbers is set."""
    constants.HF_HUB_DISABLE_TELEMETRY = True  # trl would tell its makers of each training
    transformers_logging.set_verbosity_error()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")  # names that trl still uses
    constant = config.lr_scheduler_type == "constant"
    return {
        "output_dir": str(work_dir(context)),
        "max_steps": total_steps,
        "per_device_train_batch_size": config.batch_size,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": "constant_with_warmup" if constant else config.lr_scheduler_type,
        "warmup_steps": int(config.warmup_ratio * total_steps),
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
        "gradient_checkpointing": config.gradient_checkpointing,
        "optim": "adamw_torch_fused" if has_fused_adamw(loaded.base.device) else "adamw_torch",
        "bf16": False,  # the weights have their number format, the LoRA is in float32
        "use_cpu": loaded.base.device.type == "cpu",
        "seed": config.seed,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",  # the callback says when
        "eval_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": loaded.base.device.type != "cpu",
    }


def work_dir(context: Context) -> Path:
    """Where the trainer writes its checkpoints before they are ours."""
    return context.run_dir.path / ".trainer"


class Course(TrainerCallback):
    """The course of a training of trl's, told and kept as that of any training of ours.

    Args:
        config: of the run.
        context: of the run.
        loaded: the base, and the checkpoint that the config names.
        total_steps: steps of the whole training.
        resumed: checkpoint to go on from, and its step.
        validate: measures the validation loss, every so many steps; None measures none.
        block: steps that belong together; nothing is saved between them.
        epochs: passes over the rows that so many steps have made; None takes the trainer's word for it.
        after_step: is told of each step that is done, before a checkpoint of it is saved.
    """

    def __init__(
        self,
        config: LoraTraining,
        context: Context,
        loaded: Loaded,
        *,
        total_steps: int,
        resumed: tuple[Path, int] | None,
        validate: tuple[Validate, int] | None = None,
        block: int = 1,
        epochs: Callable[[int], float] | None = None,
        after_step: Callable[[int], None] = lambda _done: None,
    ) -> None:
        self._config = config
        self._epochs = epochs
        self._after_step = after_step
        self._context = context
        self._loaded = loaded
        self._total = total_steps
        self._resumed = resumed
        self._first = resumed[1] if resumed else 0
        self._validate = validate
        self._block = block
        self._notes = _notes(resumed[0]) if resumed else {}
        self._seconds_before = self._notes.pop("seconds", 0.0)
        self._tokens_before = self._notes.pop(TOKENS, None)
        self._tokens_missed = 0.0
        self._width = loaded.width
        self._width.rows = int(self._notes.get(config.width_field, self._width.rows))
        self._trainer: Pieces
        self._stopped: StopMode | None = None
        self._began = self._step_began = time.perf_counter()
        self._metrics: dict[str, float] = {}

    def run(self, trainer: Pieces) -> dict[str, float]:
        """Let the trainer do all steps that are left and save the final checkpoint; returns the run's numbers.

        Raises:
            Stopped: a stop was asked for; what its mode allows has been saved.
            Diverged: loss or gradient is not finite; the last checkpoint stands.
        """
        context = self._context
        self._trainer = trainer
        trainer.take_width(self._width)
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(self)
        context.stop.check()
        context.monitor.phase("train", f"{self._total} steps")
        context.monitor.progress(self._first, self._total, "steps")
        self._began = time.perf_counter()
        try:
            trainer.train(resume_from_checkpoint=str(self._resumed[0]) if self._resumed else None)
        finally:
            shutil.rmtree(work_dir(context), ignore_errors=True)
        if self._stopped is not None:
            raise Stopped(self._stopped)
        steps = trainer.state.global_step
        self._save_final(steps)
        numbers = sum(tensor.numel() for tensor in lora_tensors(self._model).values())
        return {
            **self._metrics, **self._notes, "steps": steps, "seconds": round(self._seconds(), 3),
            "trained_numbers": numbers,
        }  # fmt: skip

    @property
    def _model(self) -> PeftModel:
        model = self._trainer.model
        assert isinstance(model, PeftModel)
        return model

    def _seconds(self) -> float:
        """Time of the training so far, that of earlier attempts included."""
        return float(self._seconds_before + time.perf_counter() - self._began)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The first measurement."""
        if self._tokens_before is not None:  # SFTTrainer counts from 0 again, GRPOTrainer in the state that it resumes
            self._tokens_missed = self._tokens_before - state.num_input_tokens_seen
        self._measure(state.global_step)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The time of a step begins."""
        self._step_began = time.perf_counter()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> TrainerControl:
        """A step is done: tell of it, and say what comes next."""
        state.log_history.clear()  # it grows with each step, and nobody reads it
        numbers = logs or {}
        if "loss" not in numbers:  # the trainer's summary at its end
            return control
        loss, norm, done = float(numbers["loss"]), float(numbers.get("grad_norm", 0.0)), state.global_step
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise Diverged(f"loss {loss}, gradient norm {norm} at step {done}: the training has diverged", LOWER)
        told = {TOLD[name]: float(value) for name, value in numbers.items() if name in TOLD and value is not None}
        if TOKENS in told:
            told[TOKENS] += self._tokens_missed
        if self._epochs is not None:
            told["epoch"] = self._epochs(done)
        self._metrics = {**told, "step_seconds": time.perf_counter() - self._step_began}
        seconds = time.perf_counter() - self._began
        tell_step(self._context.monitor, self._metrics, done, self._total, seconds / (done - self._first))
        if self._config.width is None:
            self._notes[self._config.width_field] = self._width.rows
        self._after_step(done)
        is_last = done == self._total or self._time_is_up()
        self._measure(done, is_last=is_last)
        mode = None if is_last or done % self._block else self._stopped or self._context.stop.requested()
        self._stopped = mode
        control.should_training_stop = is_last or mode is not None
        control.should_save = not is_last and (mode is StopMode.SAVE or self._is_due(done))
        return control

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The trainer has written a checkpoint: what a resume needs of it becomes one of ours."""
        step, run_dir = state.global_step, self._context.run_dir
        self._check_weights(step)
        written, folder = work_dir(self._context) / f"checkpoint-{step}", run_dir.checkpoint(step)

        notes = {**self._notes, "seconds": self._seconds()}
        if TOKENS in self._metrics:
            notes[TOKENS] = self._metrics[TOKENS]

        def write(work: Path) -> None:
            for name in KEPT_FILES:
                shutil.move(written / name, work / name)
            write_config(self._model, work, self._loaded.identity)
            (work / NOTES).write_text(json.dumps(notes))

        if not folder.exists():
            save_files(folder, write, self._manifest(step))
            self._context.monitor.checkpoint(step, str(folder.relative_to(run_dir.path)))
        shutil.rmtree(written)
        for old in run_dir.saved_steps()[:-KEPT]:
            shutil.rmtree(run_dir.checkpoint(old), ignore_errors=True)

    def _time_is_up(self) -> bool:
        limit = self._config.max_seconds
        return limit is not None and self._seconds() >= limit

    def _is_due(self, done: int) -> bool:
        every = self._config.save_steps
        return done % self._block == 0 and done // every > (done - self._block) // every

    def _measure(self, done: int, *, is_last: bool = False) -> None:
        """Measure the validation loss where it is due."""
        if self._validate is None or not (done % self._validate[1] == 0 or is_last):
            return
        monitor = self._context.monitor
        loss = self._validate[0](self._trainer)
        if loss is None:
            self._stopped = self._context.stop.requested()
            return
        if not math.isfinite(loss):
            raise Diverged(f"the validation loss after step {done} is {loss}: the training has diverged", LOWER)
        self._notes.setdefault("eval_loss_before", loss)
        self._notes["eval_loss"] = loss
        monitor.metric("eval/loss", done, loss)
        monitor.say(f"validation loss {loss:.4f} nat per token after step {done}")

    def _save_final(self, steps: int) -> None:
        self._check_weights(steps)
        output, monitor = self._context.run_dir.output, self._context.monitor
        if output.exists():  # left by an attempt in this folder that ended before it had said so
            shutil.rmtree(output)
        manifest = save_lora(self._model, output, self._manifest(steps))
        if not manifest.trained:
            monitor.warn("nothing_learned", f"the LoRA has not moved in {steps} steps: every gradient was zero")
        monitor.say(f"checkpoint {manifest.content_hash} saved as {output.name}")

    def _check_weights(self, step: int) -> None:
        if not all(is_finite(tensor) for tensor in lora_tensors(self._model).values()):
            raise Diverged(f"the weights after step {step} are not finite: the training has diverged", LOWER)

    def _manifest(self, step: int) -> Manifest:
        before, kind = self._loaded.manifest, stage_of(self._config).makes
        assert kind is not None
        return Manifest(
            kind=kind,
            base_model=self._loaded.identity,
            tokenizer_hash=tokenizer_hash(self._loaded.base),
            latents={},
            trained=[] if is_untrained(lora_tensors(self._model)) else [ADAPTER],
            lora=settings_of_lora(self._model),
            stage=self._config.stage,
            step=step,
            config_hash=config_hash(self._config),
            prompt_hash=prompt_hash(data_set(self._config.data)),
            parent=before.content_hash if before else None,
        )


def _notes(folder: Path) -> dict[str, float]:
    """Numbers that the stage keeps over a stop and a resume.

    Raises:
        BadInput: `checkpoint_damaged`.
    """
    try:
        return {str(name): float(value) for name, value in read_object(folder / NOTES).items()}
    except (Unreadable, TypeError, ValueError) as error:
        raise damaged(NOTES, str(error)) from error
