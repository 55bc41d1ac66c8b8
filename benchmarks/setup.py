"""What the measurements share: a model, and rows of real length."""

import os
from pathlib import Path

import torch

from memgen.contract.data_sets.folders import folder_of
from memgen.contract.data_sets.gsm8k import GSM8K
from memgen.contract.data_sets.registry import data_set
from memgen.contract.home import home_of_environment
from memgen.contract.presets import DEMO_PRESET, get_preset
from memgen.data import Question, load_questions
from memgen.data.prompt import answer_text, question_prompt
from memgen.model.base import BaseModel, load_base
from memgen.model.checkpoint import new_model
from memgen.model.fetch import LocalModel, fetch_model
from memgen.model.memgen_model import LatentSettings, MemGenModel
from memgen.monitor import Monitor

TINY = Path(__file__).parents[1] / "tests" / "golden" / "tiny_base"
LORA_R, LORA_ALPHA, LORA_DROPOUT = 16, 32, 0.1
SEED = 42


def local_model(name: str) -> LocalModel:
    """`tiny`, the base of the golden folders, or a preset from MEMGEN_HOME, fetched if it is not there."""
    if name == "tiny":
        return LocalModel(TINY, "golden")
    home = home_of_environment()
    return fetch_model(get_preset(DEMO_PRESET if name == "demo" else name), None, home, Monitor(None))


def plain(name: str) -> BaseModel:
    """The base alone, in float32."""
    return load_base(local_model(name), "float32")


def woven(name: str) -> MemGenModel:
    """An untrained MemGen model on a base of its own, with the numbers of a run's defaults."""
    torch.manual_seed(SEED)
    return new_model(plain(name), LatentSettings(), lora_r=LORA_R, lora_alpha=LORA_ALPHA, lora_dropout=LORA_DROPOUT)


def questions(count: int) -> list[Question]:
    """The first training questions of GSM8K, where MEMGEN_GSM8K_DIR names its folder, else of our word problems."""
    folder = folder_of(GSM8K, os.environ)
    data = "gsm8k" if folder else "wordproblems"
    return load_questions(data, "train", limit=count, folder=folder)


def prompt_ids(base: BaseModel, question: Question) -> list[int]:
    """The question's prompt in tokens."""
    ids: list[int] = base.tokenizer.encode(
        question_prompt(data_set(question.id.partition(":")[0]), question.question), add_special_tokens=False
    )
    return ids


def answer_ids(base: BaseModel, question: Question) -> list[int]:
    """The question's supervised answer in tokens."""
    ids: list[int] = base.tokenizer.encode(answer_text(question.solution), add_special_tokens=False)
    return ids
