"""The LoRA stages on a running stack: over REST, from training to evaluation, published and in the lineage."""

import pytest

from backend.api.client import ApiError
from memgen.contract.status import RunStatus
from tests.conftest import TINY
from tests.running_stack import RunningStack, wait_until

SHARED = {"preset": TINY, "data": "wordproblems", "max_completion_length": 24}
SFT = SHARED | {
    "stage": "lora_sft", "max_completion_length": 128, "num_questions": 8, "max_steps": 3, "learning_rate": 0.01,
    "eval_questions": 4, "save_steps": 1,
}  # fmt: skip
GRPO = SHARED | {
    "stage": "lora_grpo", "num_questions": 8, "max_steps": 2, "batch_size": 4, "num_generations": 2,
    "learning_rate": 0.01,
}  # fmt: skip
MEASURED = SHARED | {"stage": "evaluate", "num_questions": 4}


def finished(stack: RunningStack, **config: object) -> int:
    with stack.client() as client:
        run_id = client.submit(config).id
    run = stack.run_ended(run_id)
    assert run.status is RunStatus.SUCCEEDED, run.failure
    return run_id


@pytest.mark.timeout(500)
def test_lora_is_trained_on_solutions_then_by_rewards_and_both_are_compared_with_the_base(stack: RunningStack) -> None:
    sft = finished(stack, **SFT)
    folder = stack.home / "train" / "wordproblems" / "qwen2-242k"
    wait_until((folder / str(sft) / "lora_sft" / "manifest.json").exists, 20, "the published LoRA")
    grpo = finished(stack, **GRPO | {"checkpoint": str(sft)})
    wait_until((folder / str(grpo) / "lora_grpo" / "manifest.json").exists, 20, "the published LoRA by GRPO")
    base = finished(stack, **MEASURED)
    lora = finished(stack, **MEASURED | {"setting": "lora", "checkpoint": str(sft)})
    by_grpo = finished(stack, **MEASURED | {"setting": "lora+grpo", "checkpoint": str(grpo)})
    with stack.client() as client:
        compared = client.compare([base, lora, by_grpo]).items
        assert [(one.run_id, one.setting) for one in compared] == [
            (base, "base"), (lora, "lora"), (by_grpo, "lora+grpo"),
        ]  # fmt: skip
        nodes = {node.run_id: (node.stage, node.parent_id) for node in client.lineage(run=by_grpo).nodes}
        assert {sft: ("lora_sft", None), grpo: ("lora_grpo", sft), by_grpo: ("evaluate", grpo)}.items() <= nodes.items()
        assert client.checkpoint(sft).trained == ["lora"]
        names = {series.name for series in client.metrics(sft).series}
        assert {"train/loss", "eval/loss", "train/grad_norm", "train/learning_rate"} <= names
        for setting, checkpoint in (("weaver", sft), ("lora", grpo)):
            with pytest.raises(ApiError, match="LoRA"):
                client.submit(MEASURED | {"setting": setting, "checkpoint": str(checkpoint)})
        usable = {one.id for one in client.checkpoints(stage="evaluate", setting="lora").items if one.usable}
        assert usable == {sft}
