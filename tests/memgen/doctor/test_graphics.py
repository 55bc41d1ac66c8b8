"""Drivers and builds of torch that stand-ins describe: this machine may have no GPU."""

from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from memgen.doctor.card.first_look import computes, read_torch
from memgen.doctor.finding import Finding, Verdict, exit_code
from memgen.doctor.graphics import Driver, Gpu, Torch, graphics, read_driver

GIB = 2**30
H100 = Gpu("NVIDIA H100 80GB HBM3", 80 * GIB, GIB)
DRIVER = Driver("580.159.04", (13, 0), [H100])
CUDA = Torch("2.13.0+cu130", "13.0", 1)


def by_subject(driver: Driver, torch: Torch, visible: str | None = None) -> dict[str, Finding]:
    return {one.subject: one for one in graphics(driver, torch, visible)}


def test_card_that_torch_can_use_is_well() -> None:
    assert {one.verdict for one in graphics(DRIVER, CUDA, None)} == {Verdict.OK}


def test_machine_without_a_card_says_what_was_not_looked_at() -> None:
    found = graphics(Driver(), Torch("2.13.0+cpu"), None)
    assert exit_code(found) == 3
    assert "memory against plan" in found[-1].seen
    assert "doctor --gpu" in found[-1].way_out


@pytest.mark.parametrize(
    ("driver", "torch", "visible", "words"),
    [
        (DRIVER, Torch("2.13.0+cpu"), None, "built for the CPU, and there is a GPU"),
        (Driver("535.54", (12, 2), [H100]), Torch("2.13.0+cu130", "13.0"), None, "knows CUDA only up to 12.2"),
        (DRIVER, Torch("2.13.0+cu130", "13.0"), None, "it can't use the GPU"),
        (DRIVER, Torch("2.13.0+cu130", "13.0"), "gpu0", "names 'gpu0', which is no GPU"),
        (DRIVER, Torch("2.13.0", trouble="libcudart.so.13: not found"), None, "libcudart.so.13: not found"),
        (Driver(), Torch(), None, "it is not installed"),
    ],
)
def test_torch_that_can_not_use_the_card_is_an_error_with_its_reason(
    driver: Driver, torch: Torch, visible: str | None, words: str
) -> None:
    found = by_subject(driver, torch, visible)["torch"]
    assert found.verdict is Verdict.ERROR
    assert words in found.seen
    assert found.way_out


def test_cards_that_are_hidden_are_a_warning() -> None:
    found = by_subject(DRIVER, Torch("2.13.0+cu130", "13.0"), "")
    assert found["torch"].verdict is Verdict.WARNING
    assert found["card"].verdict is Verdict.NOT_LOOKED_AT


def test_card_whose_memory_another_program_holds_is_a_warning() -> None:
    found = by_subject(Driver("580", (13, 0), [Gpu("H100", 80 * GIB, 60 * GIB)]), CUDA)["GPU 0"]
    assert (found.verdict, found.seen) == (Verdict.WARNING, "H100, 60.0 GiB of 80.0 GiB in use")


def nvml(**calls: Any) -> SimpleNamespace:
    """A stand-in for NVML with one card."""
    usual = {
        "NVMLError": pynvml.NVMLError,
        "NVML_ERROR_LIBRARY_NOT_FOUND": pynvml.NVML_ERROR_LIBRARY_NOT_FOUND,
        "NVML_ERROR_DRIVER_NOT_LOADED": pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
        "nvmlInit": lambda: None,
        "nvmlSystemGetDriverVersion": lambda: b"580.159.04",
        "nvmlSystemGetCudaDriverVersion": lambda: 13000,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetName": lambda _: "NVIDIA H100 80GB HBM3",
        "nvmlDeviceGetMemoryInfo": lambda _: SimpleNamespace(total=80 * GIB, used=GIB),
    }
    return SimpleNamespace(**(usual | calls))


def fails_with(code: int) -> Any:
    def call(*_: object) -> None:
        raise pynvml.NVMLError(code)

    return call


def test_driver_is_read_from_nvml() -> None:
    assert read_driver(nvml()) == DRIVER


def test_no_driver_is_nothing_and_one_that_was_renewed_is_an_error() -> None:
    assert read_driver(nvml(nvmlInit=fails_with(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND))) == Driver()
    sick = read_driver(nvml(nvmlInit=fails_with(pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH)))
    assert by_subject(sick, CUDA)["driver"].verdict is Verdict.ERROR


def test_partitioned_card_that_keeps_its_memory_to_itself_is_read_all_the_same() -> None:
    read = read_driver(nvml(nvmlDeviceGetMemoryInfo=fails_with(pynvml.NVML_ERROR_NO_PERMISSION)))
    assert read.gpus == [Gpu(H100.name, 0, 0)]
    assert by_subject(read, CUDA)["GPU 0"].verdict is Verdict.OK


def test_torch_of_this_machine_is_read_and_its_products_are_right() -> None:
    assert read_torch().version
    assert computes("cpu").verdict is Verdict.OK


def test_device_that_is_not_there_fails_with_its_reason() -> None:
    found = computes("cuda:97")
    assert found.verdict is Verdict.ERROR
    assert found.seen.startswith("it failed: ")
