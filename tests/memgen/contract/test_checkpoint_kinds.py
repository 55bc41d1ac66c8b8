"""The records of what a checkpoint can be, and the manifests that name them."""

from typing import Any

import pytest
from pydantic import ValidationError

from memgen.contract.checkpoint_kinds import KINDS, least
from memgen.contract.manifest import Manifest
from memgen.contract.stages import STAGES

LATENTS = {"prompt_latents_len": 8, "inference_latents_len": 8, "max_prompt_aug_num": 1, "max_inference_aug_num": 5}


def manifest(kind: str, **changes: Any) -> Manifest:
    layout = KINDS[kind].layout if kind in KINDS else KINDS["weaver"].layout
    fields = {
        "kind": kind, "base_model": "b", "tokenizer_hash": "t", "latents": LATENTS if layout.has_latents else {},
        "trained": list(layout.adapters), "lora": {}, "prompt_hash": "p",
    }  # fmt: skip
    return Manifest.model_validate(fields | changes)


@pytest.mark.parametrize("kind", KINDS)
def test_manifest_takes_each_kind_with_its_own_adapters(kind: str) -> None:
    assert manifest(kind).kind == kind
    assert KINDS[kind].offers and set(KINDS[kind].offers) <= set(KINDS)


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        ("wever", {}, "none of weaver, trigger"),
        ("weaver", {"trained": ["wever"]}, "none of weaver, trigger"),
        ("weaver", {"latents": {}}, "has latents"),
        ("weaver", {"latents": LATENTS | {"max_prompt_aug_num": 2}}, "max_prompt_aug_num is 2"),
    ],
)
def test_manifest_refuses_what_its_kind_does_not_have(kind: str, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        manifest(kind, **changes)


def test_what_stages_make_and_need_are_kinds_and_each_need_can_be_made() -> None:
    made = {stage.makes for stage in STAGES if stage.makes is not None}
    needed = {need for stage in STAGES for need in stage.needs.values() if need is not None}
    assert made <= set(KINDS)
    assert needed <= {offer for kind in made for offer in KINDS[kind].offers}


def test_least_of_some_needs_is_the_first_in_the_table() -> None:
    assert least(["trigger", None, "weaver"]) == "weaver"
    assert least([None]) is None
