"""The loop that both trainings share: steps, learning rates, checkpoints, stop and resume.

Every random choice of a step comes from the run's seed and the step's number alone (`seed_of`), and so does the order
of the rows: a training that was killed goes on from its last checkpoint exactly as if nothing had happened, without a
saved state of any random generator. What a step computes is the stage's business.

Several ranks share the rows of a step. Their gradients are summed, so that each takes the same optimizer step and all
have the same weights; the main one saves them.
"""

import hashlib
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import get_scheduler

from memgen.contract.config import config_hash
from memgen.contract.data_sets.registry import data_set
from memgen.contract.errors import BadInput, Diverged
from memgen.contract.manifest import MANIFEST, Manifest, damaged
from memgen.contract.stage_configs import Training
from memgen.contract.status import StopMode
from memgen.contract.weaver_variants import VARIANTS
from memgen.data.prompt import prompt_hash
from memgen.model.adapters import ADAPTERS, Adapter, is_untrained
from memgen.model.checkpoint import lora_settings, save_checkpoint, tokenizer_hash
from memgen.model.checkpoint_files import OPTIMIZER, load_optimizer, verify
from memgen.model.drawing import DRAWINGS, NEWEST, OLDEST
from memgen.model.finite import is_finite
from memgen.model.memgen_model import MemGenModel
from memgen.monitor import Monitor
from memgen.stages.context import Context
from memgen.stages.loading import Loaded
from memgen.stop import Stopped

KEPT = 2  # newest resumable checkpoints
LOWER = "Lower learning_rate and start again; the last checkpoint is whole."
LINES = 200  # lines about steps in the log of a training, roughly
SAID = ("loss", "reward", "frac_reward_zero_std", "insert_rate", "completions/mean_length", "grad_norm", "step_seconds")
Step = Callable[[int], dict[str, float]]
"""Runs the forward and backward pass of a step for this rank's rows; returns the metrics of all rows by name
without `train/`, with `loss`. The losses of the ranks, and so their gradients, add up to those of the step."""


def has_fused_adamw(device: torch.device) -> bool:
    """Whether torch has AdamW for this device as one operation over all parameters."""
    return device.type in ("cpu", "cuda")


def seed_of(seed: int, *what: object) -> int:
    """A seed for one purpose of a run, e.g. `seed_of(42, "step", 7)`."""
    text = ":".join(map(str, (seed, *what)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")


def shuffled(count: int, seed: int, *what: object) -> list[int]:
    """The numbers below `count` in an order that depends on the seed and the purpose alone."""
    generator = torch.Generator().manual_seed(seed_of(seed, *what))
    return torch.randperm(count, generator=generator).tolist()


def batch_of(count: int, size: int, number: int, seed: int) -> list[int]:
    """Rows of the n-th batch: each epoch has all `count` rows once, in its own order; its last batch may be smaller."""
    epoch, place = divmod(number, math.ceil(count / size))
    return shuffled(count, seed, "epoch", epoch)[place * size : (place + 1) * size]


def epochs_after(steps: int, count: int, size: int) -> float:
    """Passes over `count` rows after so many steps of `size`: whole at the end of each, whose last batch is smaller."""
    whole, place = divmod(steps, math.ceil(count / size))
    return whole + place * size / count


def resume_point(context: Context) -> tuple[Path, int] | None:
    """Newest whole checkpoint of the attempt to resume, and its step; None to start from the beginning.

    Damaged ones are skipped; in the folder that the run goes on in they also make room for those that it will save.
    """
    if context.resume is None:
        return None
    for step in reversed(context.resume.saved_steps()):
        folder = context.resume.checkpoint(step)
        try:
            if (saved := verify(folder).step) != step:
                raise damaged(MANIFEST, f"it is that of step {saved}")
        except BadInput as error:
            context.monitor.warn("checkpoint_damaged", f"the checkpoint of step {step} can't be used: {error.message}")
            if context.resume.path == context.run_dir.path and context.team.is_main:
                aside = folder.with_name(f"damaged-{folder.name}")
                shutil.rmtree(aside, ignore_errors=True)
                folder.rename(aside)
            continue
        context.monitor.say(f"resumed: continuing after step {step}")
        return folder, step
    context.monitor.say("resumed: there is no checkpoint yet, starting from the beginning")
    return None


class TrainingLoop:
    """Takes a model from its first to its last step.

    Args:
        config: of the run.
        context: of the run.
        loaded: the base, and the checkpoint that the config names.
        model: at the step of `resumed`.
        part: what is trained.
        rates: own learning rates by group of `MemGenModel.train_part`; None or absent takes the config's.
        total_steps: steps of the whole training.
        resumed: checkpoint to go on from, and its step.
        block: steps that belong together; nothing is saved between them.
    """

    def __init__(
        self,
        config: Training,
        context: Context,
        loaded: Loaded,
        model: MemGenModel,
        *,
        part: Adapter,
        rates: dict[str, float | None],
        total_steps: int,
        resumed: tuple[Path, int] | None,
        block: int = 1,
    ) -> None:
        self._config = config
        self._context = context
        self._loaded = loaded
        self._model = model
        self._part = part
        self._total = total_steps
        self._block = block
        groups = model.train_part(part)
        self._of = "'s LoRA" if "lora" in groups else ""
        if config.gradient_checkpointing:
            model.recompute_layers()
        self._parameters = [parameter for group in groups.values() for parameter in group]
        self._optimizer = torch.optim.AdamW(
            [{"params": own, "lr": rates.get(name) or config.learning_rate} for name, own in groups.items()],
            weight_decay=config.weight_decay,
            fused=has_fused_adamw(model.base.device),  # a resumed training keeps what its checkpoint's state says
        )
        self._scheduler = get_scheduler(
            config.lr_scheduler_type if config.lr_scheduler_type != "constant" else "constant_with_warmup",
            self._optimizer,
            num_warmup_steps=int(config.warmup_ratio * total_steps),
            num_training_steps=total_steps,
        )
        self._width = loaded.width
        self.notes: dict[str, float] = {}
        """Numbers that the stage keeps over a stop and a resume; they are part of the result."""
        self.drawing = NEWEST
        """How its rollouts draw; a resumed training draws as it began."""
        self._first, self._seconds_before = 0, 0.0
        if resumed is not None:
            folder, self._first = resumed
            self._take_up(load_optimizer(folder))
            self._width.rows = int(self.notes.get(config.width_field, self._width.rows))
        self._done = self._first
        self._began = time.perf_counter()

    def _take_up(self, state: Mapping[str, Any]) -> None:
        """Go on with the optimizer's state of a checkpoint.

        Raises:
            BadInput: `checkpoint_damaged`, if it is that of another training.
        """
        try:
            self._optimizer.load_state_dict(state["optimizer"])
            self._scheduler.load_state_dict(state["scheduler"])
            self.notes = {str(name): float(value) for name, value in state["notes"].items()}
            self._seconds_before = float(state["seconds"])
            self.drawing = DRAWINGS[DRAWINGS.index(state.get("drawing", OLDEST))]
        except (KeyError, ValueError, TypeError, AttributeError, IndexError, RuntimeError) as error:
            raise damaged(OPTIMIZER, f"it is not of this training ({type(error).__name__}: {error})"[:500]) from error
        for parameter in self._parameters:
            if parameter not in self._optimizer.state:  # it never had a gradient
                continue
            moments = [self._optimizer.state[parameter].get(name) for name in ("exp_avg", "exp_avg_sq")]
            if not all(isinstance(one, torch.Tensor) and one.shape == parameter.shape for one in moments):
                raise damaged(OPTIMIZER, "it lacks moments of a parameter, or has some of another shape")
            if not all(is_finite(one) for one in moments):
                raise damaged(OPTIMIZER, "its moments are not finite")

    def run(self, step: Step, between: Callable[[int, bool], None] = lambda *_: None) -> dict[str, float]:
        """Do all steps that are left and save the final checkpoint; returns the last step's metrics and the time.

        Args:
            step: computes one step's loss and gradients.
            between: called before the first and after each step with the steps done and whether they are all.

        Raises:
            Stopped: a stop was asked for; what its mode allows has been saved.
            Diverged: loss or gradient is not finite; the last checkpoint stands.
        """
        self._began = began = time.perf_counter()
        self._context.monitor.phase("train", f"{self._total} steps")
        self._context.monitor.progress(self._done, self._total, "steps")
        metrics: dict[str, float] = {}
        try:
            between(self._done, self._done == self._total)
            for number in range(self._done, self._total):
                if number % self._block == 0:
                    self._context.team.check_stop(self._context.stop)
                metrics = self._step(number, step)
                self._done = number + 1
                pace = (time.perf_counter() - began) / (self._done - self._first)
                tell_step(self._context.monitor, metrics, self._done, self._total, pace)
                between(self._done, self._done == self._total)
                if self._is_due():
                    self._save()
        except Stopped as stopped:  # the weights are those of the steps done so far
            if stopped.mode is StopMode.SAVE and self._done > self._first:
                self._save()
            raise
        self._save_final()
        numbers = sum(parameter.numel() for parameter in self._parameters)
        return {
            **metrics, **self.notes, "steps": self._total, "seconds": round(self._seconds(), 3),
            "trained_numbers": numbers,
        }  # fmt: skip

    def _seconds(self) -> float:
        """Time of the training so far, that of earlier attempts included."""
        return self._seconds_before + time.perf_counter() - self._began

    def _step(self, number: int, step: Step) -> dict[str, float]:
        began = time.perf_counter()
        metrics = self._compute(number, step)
        self._note_width()
        self._context.team.sum_gradients(self._parameters)
        norm = float(nn.utils.clip_grad_norm_(self._parameters, self._config.max_grad_norm))
        if not (math.isfinite(metrics["loss"]) and math.isfinite(norm)):
            raise Diverged(
                f"loss {metrics['loss']}, gradient norm {norm} at step {number + 1}: the training has diverged", LOWER
            )
        metrics |= {"grad_norm": norm, "learning_rate": self._optimizer.param_groups[0]["lr"]}
        self._optimizer.step()
        self._scheduler.step()
        self._optimizer.zero_grad()
        return metrics | {"step_seconds": time.perf_counter() - began}

    def _compute(self, number: int, step: Step) -> dict[str, float]:
        """Loss and gradients of a step."""
        rank = self._context.team.rank
        torch.manual_seed(seed_of(self._config.seed, "step", number, *((rank,) if rank else ())))  # own dropout masks
        return step(number)

    def _note_width(self) -> None:
        """Keep a width that the config leaves open over a stop and a resume; it is part of the result."""
        if self._config.width is None:
            self.notes[self._config.width_field] = min(self._context.team.gather([self._width.rows]))

    def _is_due(self) -> bool:
        every, done = self._config.save_steps, self._done
        return done < self._total and done % self._block == 0 and done // every > (done - self._block) // every

    def _save(self) -> None:
        self._check_weights()
        run_dir, step = self._context.run_dir, self._done
        folder = run_dir.checkpoint(step)
        if folder.exists() or not self._context.team.is_main:
            return
        state: dict[str, Any] = {
            "optimizer": self._optimizer.state_dict(),
            "scheduler": self._scheduler.state_dict(),
            "notes": dict(self.notes),
            "drawing": self.drawing,
            "seconds": self._seconds(),
        }
        save_checkpoint(self._model, folder, self._manifest(step), state)
        self._context.monitor.checkpoint(step, str(folder.relative_to(run_dir.path)))
        for old in run_dir.saved_steps()[:-KEPT]:
            shutil.rmtree(run_dir.checkpoint(old), ignore_errors=True)

    def _save_final(self) -> None:
        self._check_weights()
        if not self._context.team.is_main:
            return
        output = self._context.run_dir.output
        if output.exists():  # left by an attempt in this folder that ended before it had said so
            shutil.rmtree(output)
        manifest = save_checkpoint(self._model, output, self._manifest(self._total))
        if self._part not in manifest.trained:
            self._context.monitor.warn(
                "nothing_learned",
                f"the {self._part}{self._of} has not moved in {self._total} steps: every gradient was zero",
            )
        self._context.monitor.say(f"checkpoint {manifest.content_hash} saved as {output.name}")

    def _check_weights(self) -> None:
        """Refuse to save weights that are no numbers, or not those of all ranks."""
        if not all(is_finite(parameter) for parameter in self._parameters):
            raise Diverged(f"the weights after step {self._done} are not finite: the training has diverged", LOWER)
        if self._context.team.size == 1:
            return
        digest = hashlib.sha256()
        for parameter in self._parameters:
            digest.update(parameter.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
        if len(set(self._context.team.gather([digest.hexdigest()]))) > 1:
            raise Diverged(
                f"the weights of the {self._context.team.size} processes differ after step {self._done}: nothing is "
                "saved",
                "Go on with --resume; the last checkpoint is whole.",
            )

    def _has_learned(self, name: Adapter) -> bool:
        """Whether a part was trained, here or before, and has moved."""
        before = self._loaded.manifest
        trained_before = before is not None and name in before.trained
        if name == "weaver" and "lora" not in VARIANTS[self._model.variant].trains:
            return trained_before or (name == self._part and self._had_gradients())
        moved = not is_untrained(self._model.adapters.parameters(name))
        return moved and (trained_before or name == self._part)

    def _had_gradients(self) -> bool:
        moments = [state["exp_avg_sq"] for state in self._optimizer.state.values()]
        return any(bool(moment.any()) for moment in moments)

    def _manifest(self, step: int) -> Manifest:
        before = self._loaded.manifest
        return Manifest(
            kind=self._part,
            base_model=self._loaded.identity,
            tokenizer_hash=tokenizer_hash(self._model.base),
            latents=vars(self._model.settings),
            trained=[name for name in ADAPTERS if self._has_learned(name)],
            weaver_variant=self._model.variant,
            lora=lora_settings(self._model),
            stage=self._config.stage,
            step=step,
            config_hash=config_hash(self._config),
            prompt_hash=prompt_hash(data_set(self._config.data)),
            parent=before.content_hash if before else None,
        )


def tell_step(monitor: Monitor, metrics: Mapping[str, float], done: int, total: int, pace: float) -> None:
    """Tell of a step that is done.

    Args:
        monitor: of the run.
        metrics: of the step, by name without `train/`, with `loss`.
        done: steps so far.
        total: steps of the training.
        pace: seconds of a step.
    """
    for name, value in metrics.items():
        monitor.metric(f"train/{name}", done, value)
    monitor.machine(done)
    said = ", ".join(f"{name} {metrics[name]:.3g}" for name in SAID if name in metrics)
    monitor.progress(done, total, "steps", f"loss {metrics['loss']:.4g}")
    if done % max(1, total // LINES) == 0 or done == total:
        monitor.say(f"step {done}/{total}: {said}; {pace * (total - done):.0f} s left")


def drawn(rows: Sequence[Any], count: int, seed: int) -> list[Any]:
    """`count` of the rows, drawn by the seed."""
    return [rows[index] for index in shuffled(len(rows), seed, "rows")[:count]]
