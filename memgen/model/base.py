"""Loading a base model: device, number format, tokenizer, and a generation config that leaves nothing open."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging
from transformers.utils.import_utils import is_flash_attn_2_available

from memgen.contract.errors import BadInput
from memgen.contract.gpus import VARIABLE, visible_devices
from memgen.contract.planner.memory import bytes_per_number
from memgen.contract.threads import threads_setting
from memgen.model.attention import IMPLEMENTATION
from memgen.model.chat import end_token_id
from memgen.model.fetch import LocalModel
from memgen.model.weights_folder import check_folder, check_loaded, unusable


@dataclass(frozen=True)
class BaseModel:
    """A loaded base model with its tokenizer."""

    model: PreTrainedModel
    tokenizer: Any
    device: torch.device
    """Of the embeddings."""
    eos_id: int
    """`<|im_end|>`: ends every answer."""
    pad_id: int
    """Fills rows of a batch; may equal `eos_id`, so masks come from lengths, never from comparing ids."""

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Next-token logits (..., V) in float32 of hidden states (..., D)."""
        logits: torch.Tensor = self.model.get_output_embeddings()(hidden)
        return logits.to(self.device).float()  # the head may be on another GPU


def load_base(source: LocalModel, dtype: str, *, plain: bool = False) -> BaseModel:
    """Load weights and tokenizer onto the GPU, if there is one, else the CPU.

    A process that sees several GPUs and is alone spreads the decoder layers over them: accelerate moves what a layer
    reads to its GPU. `BaseModel.device` is that of the embeddings, where passes begin and their results come back to.

    Args:
        source: a local folder of safetensors.
        dtype: `auto`, `float32` or `bfloat16`.
        plain: whether nothing but transformers' own `generate` will run it: then with flash attention, if that is
            installed and device and numbers suit it.

    Raises:
        BadInput: `no_cuda`, if GPUs are named and can't be used; `weights_unusable`, if not every weight is there as
            a number; `no_chatml`, if the tokenizer does not know ChatML.
    """
    transformers_logging.disable_progress_bar()  # its bars fill a log file
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    _refuse_cpu_for_gpu(device)
    check_folder(source.folder)
    tokenizer = _tokenizer(source.folder)
    eos_id = end_token_id(tokenizer)
    number = torch.float32 if bytes_per_number(dtype, device.type) == 4 else torch.bfloat16
    flash = plain and device.type == "cuda" and number is torch.bfloat16 and is_flash_attn_2_available()
    attention = "flash_attention_2" if flash else IMPLEMENTATION
    device_map = "balanced" if spreads() else None
    model = _model(source.folder, dtype=number, attn_implementation=attention, device_map=device_map)
    if device_map is None:
        model = model.to(device)
    embeddings = model.get_input_embeddings()
    device = embeddings.weight.device
    if eos_id >= embeddings.num_embeddings:
        raise unusable(source.folder, f"its tokenizer has more tokens than its {embeddings.num_embeddings} embeddings")
    pad_id = tokenizer.pad_token_id
    if pad_id is None or not 0 <= pad_id < embeddings.num_embeddings:  # added to a tokenizer, not to its model
        pad_id = eos_id
    # A model's own generation config fills every field that a call leaves open, which turns greedy
    # decoding into sampling (Qwen3) or adds a repetition penalty (Qwen2.5): replace it whole.
    model.generation_config = GenerationConfig(do_sample=False, eos_token_id=eos_id, pad_token_id=pad_id)
    return BaseModel(model, tokenizer, device, eos_id, pad_id)


def _tokenizer(folder: Path) -> Any:
    try:
        return AutoTokenizer.from_pretrained(folder)
    except Exception as error:  # it has many errors for files that are not what they should be
        raise unusable(folder, f"its tokenizer can't be read ({_reason(error)})") from error


def _model(folder: Path, **how: Any) -> Any:
    """The model with every weight from the folder; tensors that do not fit are told by the report, not by the log."""
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder, use_safetensors=True, output_loading_info=True, ignore_mismatched_sizes=True, **how
        )
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # it has many errors for files that are not what they should be
        raise unusable(folder, f"it can't be loaded ({_reason(error)})") from error
    model, report = loaded
    check_loaded(folder, model, report)
    return model.eval()


def _reason(error: Exception) -> str:
    first = (str(error).strip().splitlines() or ["no reason given"])[0]
    return f"{type(error).__name__}: {first[:300]}"


def _refuse_cpu_for_gpu(device: torch.device) -> None:
    """A run that was planned for a GPU would take days on the CPU, in other numbers, and nobody would be told."""
    value = os.environ.get(VARIABLE, "")
    named = visible_devices(value)
    if device.type == "cuda" or not (named.names or named.stray):
        return
    raise BadInput(
        "no_cuda",
        f"torch {torch.__version__} can't use a GPU here: it is built for the CPU, or the driver is too old or gone",
        field=VARIABLE,
        value=value,
        way_out="Install torch's CUDA build or a newer driver (`nvidia-smi` tells whether there is one); to run on the "
        "CPU, serve the slot `cpu` or unset CUDA_VISIBLE_DEVICES.",
    )


def spreads() -> bool:
    """Whether several GPUs are this process's alone; with others of its run beside it each has one."""
    return torch.cuda.device_count() > 1 and int(os.environ.get("WORLD_SIZE", "1")) == 1


def use_threads() -> int:
    """Threads of torch on the CPU: MEMGEN_THREADS, else as many as torch chooses."""
    threads = threads_setting()
    if threads is not None:
        torch.set_num_threads(threads)
    return torch.get_num_threads()
