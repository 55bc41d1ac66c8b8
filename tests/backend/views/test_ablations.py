"""What was ablated is said wherever a training or what came of it is shown."""

from typing import Any

import pytest

from memgen.contract.config import config_hash, stored_config
from memgen.contract.stages import set_apart
from memgen.contract.stages.weaver_sft import WeaverSftConfig
from tests.backend.conftest import Backend
from tests.backend.views.test_compare import evaluation


def trained(backend: Backend, **config: Any) -> int:
    backend.submit(num_questions=8, batch_size=4, **{"stage": "weaver_sft", **config})
    run_id = backend.work()
    backend.reconciler.round()
    return run_id


def test_checkpoint_lineage_and_comparison_name_the_ablation_and_expect_nothing(backend: Backend) -> None:
    weaver = trained(backend, weaver_variant="static", prompt_latents_len=4)
    base = evaluation(backend, [True, False])
    tuned = evaluation(backend, [True, True], setting="weaver", checkpoint=str(weaver))
    words = "static latents, 4 latents at the prompt"
    assert backend.get(f"/checkpoints/{weaver}")["ablation"] == words
    assert {node["run_id"]: node["ablation"] for node in backend.get("/lineage")["nodes"]} == {
        weaver: words,
        base: "",
        tuned: words,
    }
    first, second = backend.get("/compare", runs=f"{base},{tuned}")["items"]
    assert (first["ablation"], second["ablation"]) == ("", words)
    assert second["change"]["points"] == 50.0
    assert second["change"]["expected"] is None


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, []),
        ({"weaver_variant": "no_lora"}, ["no LoRA"]),
        ({"max_inference_aug_num": 0}, ["no insertions in the answer"]),
        ({"lora_r": 4, "lora_targets": "all", "skip_probability": 0.5},
         ["LoRA on q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj", "rank 4",
          "random insertion, 50% skipped"]),
    ],
)  # fmt: skip
def test_words_name_what_differs_from_the_usual_training(config: dict[str, Any], words: list[str]) -> None:
    assert set_apart("weaver_sft", config) == words


def test_weaver_from_rewards_is_told_of_where_its_numbers_are_not_the_usual_ones() -> None:
    assert set_apart("weaver_grpo", {"lora_r": None, "prompt_latents_len": 8}) == []
    assert set_apart("weaver_grpo", {"lora_r": 4, "max_inference_aug_num": 0}) == [
        "rank 4",
        "no insertions in the answer",
    ]


def test_config_stored_before_there_were_ablations_keeps_meaning_and_hash() -> None:
    stored = WeaverSftConfig().model_dump(mode="json")
    for name in ("weaver_variant", "lora_targets", "skip_among", "micro_batch_size"):
        del stored[name]
    config = stored_config(stored)
    assert (config.weaver_variant, config.lora_targets) == ("full", "qv")  # type: ignore[attr-defined]
    assert config_hash(config) == "5422b32789020356"  # as a version without these fields has computed it
    assert config_hash(WeaverSftConfig(weaver_variant="static")) != config_hash(WeaverSftConfig())
