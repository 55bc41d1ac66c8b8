"""What exceptions say of memory and of the card, with torch's own types."""

import pytest
import torch

from memgen.attempt import WAYS_OUT, _failure
from memgen.card_errors import CARD_FAILED, ERROR, OUT_OF_MEMORY, failure_code
from memgen.contract.errors import BadInput, Diverged
from memgen.contract.status import CAUSE_OF_CODE, Cause


def accelerator_error(text: str, number: int | None = None) -> Exception:
    error = torch.AcceleratorError(text)
    if number is not None:
        error.error_code = number
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."), OUT_OF_MEMORY),
        (MemoryError(), OUT_OF_MEMORY),
        (accelerator_error("CUDA error: out of memory"), OUT_OF_MEMORY),
        (accelerator_error("CUDA error: something", 2), OUT_OF_MEMORY),
        (accelerator_error("CUDA error: unknown error"), CARD_FAILED),
        (accelerator_error("CUDA error: uncorrectable ECC error encountered"), CARD_FAILED),
        (accelerator_error("CUDA error: CUDA-capable device(s) is/are busy or unavailable"), CARD_FAILED),
        (accelerator_error("CUDA error: something", 999), CARD_FAILED),
        (RuntimeError("The NVIDIA driver on your system is too old (found version 11040)."), CARD_FAILED),
        (RuntimeError("No CUDA GPUs are available: CUDA error: no CUDA-capable device is detected"), CARD_FAILED),
        (accelerator_error("CUDA error: an illegal memory access was encountered", 700), ERROR),
        (accelerator_error("CUDA error: device-side assert triggered", 710), ERROR),
        (RuntimeError("unknown error in row 3"), ERROR),
        (ValueError("CUDA out of memory"), ERROR),
        (BadInput("a", "b"), ERROR),
    ],
)
def test_error_is_told_apart(error: Exception, code: str) -> None:
    assert failure_code(error) == code


def test_memory_of_the_processor_that_runs_out_is_memory() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert failure_code(caught.value) == OUT_OF_MEMORY


def test_error_behind_another_counts_and_a_ring_of_causes_ends() -> None:
    outer = BadInput("weights_unusable", "the weights can't be loaded")
    outer.__cause__ = inner = accelerator_error("CUDA error: unknown error")
    assert failure_code(outer) == CARD_FAILED
    inner.__cause__ = outer
    assert failure_code(outer) == CARD_FAILED


@pytest.mark.parametrize("code", [OUT_OF_MEMORY, CARD_FAILED])
def test_failure_has_a_way_out_and_a_cause(code: str) -> None:
    error = MemoryError() if code == OUT_OF_MEMORY else accelerator_error("CUDA error: unknown error")
    ending = _failure(error)
    assert ending.failed is not None
    assert (ending.exit_code, ending.failed.code, ending.failed.way_out) == (1, code, WAYS_OUT[code])
    assert CAUSE_OF_CODE[code] in {Cause.OUT_OF_MEMORY, Cause.CARD}


def test_bad_input_and_divergence_keep_their_own_words() -> None:
    for error in (BadInput("a_code", "a message"), Diverged("a loss is no number", "lower it")):
        ending = _failure(error)
        assert ending.failed is not None
        assert ending.failed.code == error.problem.code
