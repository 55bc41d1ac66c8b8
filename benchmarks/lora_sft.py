"""Our stage `lora_sft` against trl's SFTTrainer run by hand: the same rows and steps; what is around them counts.

Each round loads a fresh base, which is not timed. Timed is everything from the rows to the final checkpoint, with one
checkpoint to resume from on the way; ours has events, a log and manifests beside.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from datasets import Dataset
from peft import LoraConfig
from transformers import PrinterCallback
from trl import SFTConfig, SFTTrainer  # type: ignore[attr-defined]  # it exports names as they are asked for

from benchmarks.ratio import Ratio, Side, measure
from benchmarks.setup import LORA_ALPHA, LORA_DROPOUT, LORA_R, SEED, local_model, plain, questions
from memgen.contract.presets import DEMO_PRESET
from memgen.contract.rundir import RunDir
from memgen.contract.stages.lora_sft import LoraSftConfig
from memgen.contract.weaver_variants import LORA_TARGETS
from memgen.data.questions import Question
from memgen.model.base import BaseModel
from memgen.monitor import Monitor
from memgen.parallel.team import Team
from memgen.stages.context import Context
from memgen.stages.loading import Loaded
from memgen.stages.lora_sft import as_row, train
from memgen.stages.weaver_sft import encode
from memgen.stages.width import fixed_width
from memgen.stop import StopRequest

ROWS, STEPS, ROUNDS, LIMIT = 32, 8, 5, 1.15


def run(name: str) -> Ratio:
    """Measure."""
    rows = questions(ROWS)
    config = LoraSftConfig(
        preset=DEMO_PRESET if name in ("tiny", "demo") else name, data=rows[0].id.partition(":")[0], seed=SEED,
        num_questions=ROWS, max_steps=STEPS, save_steps=STEPS // 2, eval_questions=0, lora_r=LORA_R,
        lora_alpha=LORA_ALPHA, lora_dropout=LORA_DROPOUT,
    )  # fmt: skip
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

    def ours(base: BaseModel, context: Context) -> None:
        train(config, context, Loaded(base, local_model(name).identity, None, None, fixed_width(config)), rows, [])

    def theirs(base: BaseModel, context: Context) -> None:
        by_hand(config, base, context, rows)

    return measure(_timed(name, ours), _timed(name, theirs), ROUNDS, LIMIT)


def by_hand(config: LoraSftConfig, base: BaseModel, context: Context, rows: list[Question]) -> None:
    """trl's trainer, as its documentation has it."""
    trainer = SFTTrainer(
        model=base.model,
        args=SFTConfig(
            str(context.run_dir.path), max_steps=STEPS, per_device_train_batch_size=config.batch_size, seed=config.seed,
            learning_rate=config.learning_rate, lr_scheduler_type="cosine", gradient_checkpointing=False, bf16=False,
            use_cpu=base.device.type == "cpu", logging_steps=1, report_to="none", disable_tqdm=True,
            save_strategy="steps", save_steps=config.save_steps, max_length=None,
            dataset_kwargs={"skip_prepare_dataset": True},
        ),
        train_dataset=Dataset.from_list([as_row(one) for one in encode(base, rows, config, context)]),
        processing_class=base.tokenizer,
        peft_config=LoraConfig(
            r=LORA_R, lora_alpha=LORA_ALPHA, lora_dropout=LORA_DROPOUT, target_modules=list(LORA_TARGETS["qv"]),
            task_type="CAUSAL_LM",
        ),
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    trainer.train()


def _timed(name: str, work: Callable[[BaseModel, Context], None]) -> Side:
    def side() -> float:
        base = plain(name)
        with tempfile.TemporaryDirectory() as folder:
            run_dir = RunDir(Path(folder), "lora_sft")
            with (run_dir.path / "log.txt").open("w") as log:
                monitor = Monitor(run_dir.events, show=log)
                context = Context(run_dir, None, run_dir.path, None, monitor, StopRequest(), Team())
                began = time.perf_counter()
                work(base, context)
                spent = time.perf_counter() - began
                monitor.close()
        return spent

    return side
