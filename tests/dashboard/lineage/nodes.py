"""Runs of a lineage, as the backend tells of them."""

from typing import Any

from backend.api.schemas import LineageNode, OutsideNode


def node(run_id: int, parent_id: int | None = None, **changes: Any) -> LineageNode:
    """A run of a lineage."""
    usual: dict[str, Any] = {
        "run_id": run_id, "parent_id": parent_id, "parent_deleted": False, "stage": "evaluate", "setting": "base",
        "preset": "Qwen/Qwen2.5", "data": "gsm8k", "note": "", "step": None, "pipeline_id": None,
        "status": "succeeded", "attempts": [{"number": 1, "status": "succeeded", "cause": "done"}],
        "accuracy": None, "num_questions": None, "content_hash": None,
    }  # fmt: skip
    return LineageNode.model_validate(usual | changes)


def outside(number: int, **changes: Any) -> OutsideNode:
    """A checkpoint from outside."""
    usual: dict[str, Any] = {
        "id": number, "preset": "Qwen/Qwen2.5", "data": "", "note": "", "name": "of a lab", "content_hash": "ab12",
    }  # fmt: skip
    return OutsideNode.model_validate(usual | changes)
