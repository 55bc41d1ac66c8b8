"""Drivers, builds of torch and probes that stand-ins describe: this machine may have no GPU."""

import sys
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest
import torch as installed

from memgen.contract.problem import Problem
from memgen.doctor.finding import Finding, Verdict, exit_code
from memgen.doctor.graphics import Driver, Gpu, Graphics, Torch, graphics, read_driver
from memgen.doctor.hardware import graphics_here, probed

GIB = 2**30
H100 = Gpu("NVIDIA H100 80GB HBM3", 80 * GIB, GIB)
DRIVER = Driver("580.159.04", "13.0", [H100])
CUDA = Torch("2.13.0+cu130", "13.0", 1)
CPU_BUILD = Torch("2.13.0+cpu")


def by_subject(here: Graphics, visible: str | None = None) -> dict[str, Finding]:
    return {one.subject: one for one in graphics(here, visible)}


def test_card_that_works_is_well() -> None:
    assert {one.verdict for one in graphics(Graphics(CUDA, DRIVER), "0")} == {Verdict.OK}
    assert Graphics(CUDA, DRIVER).has_card


def test_machine_without_a_card_says_what_was_not_looked_at() -> None:
    found = graphics(Graphics(CPU_BUILD), None)
    assert exit_code(found) == 3
    assert "memory against plan" in found[-1].seen
    assert "doctor --gpu" in found[-1].way_out


def test_card_that_the_probe_finds_sick_is_an_error_in_the_probes_words_and_is_not_measured() -> None:
    here = Graphics(CUDA, DRIVER, Problem(code="card_busy", message="GPU 0 is busy", way_out="Wait."))
    found = by_subject(here)
    assert (found["GPUs"].verdict, found["GPUs"].seen, found["GPUs"].way_out) == ("error", "GPU 0 is busy", "Wait.")
    assert found["card"].verdict is Verdict.NOT_LOOKED_AT
    assert not here.has_card


@pytest.mark.parametrize("torch", [Torch("2.13.0", trouble="libcudart.so.13: not found"), Torch()])
def test_torch_that_is_broken_or_missing_is_an_error(torch: Torch) -> None:
    found = by_subject(Graphics(torch))["torch"]
    assert found.verdict is Verdict.ERROR
    assert torch.trouble in found.seen
    assert "make install" in found.way_out


def test_variable_that_hides_cards_or_names_none_is_told() -> None:
    name = "CUDA_VISIBLE_DEVICES"
    assert by_subject(Graphics(CUDA, DRIVER), "")[name].verdict is Verdict.WARNING
    assert by_subject(Graphics(CUDA, DRIVER), "gpu0")[name].verdict is Verdict.ERROR
    assert name not in by_subject(Graphics(CPU_BUILD), "0")


def test_card_whose_memory_another_program_holds_is_a_warning() -> None:
    found = by_subject(Graphics(CUDA, Driver("580", "13.0", [Gpu("H100", 80 * GIB, 60 * GIB)])))["GPU 0"]
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


def test_driver_that_is_not_there_or_was_renewed_says_nothing_of_itself() -> None:
    for code in (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH):
        assert read_driver(nvml(nvmlInit=fails_with(code))) == Driver()


def test_partitioned_card_that_keeps_its_memory_to_itself_is_read_all_the_same() -> None:
    read = read_driver(nvml(nvmlDeviceGetMemoryInfo=fails_with(pynvml.NVML_ERROR_NO_PERMISSION)))
    assert read.gpus == [Gpu(H100.name, 0, 0)]
    assert by_subject(Graphics(CUDA, read))["GPU 0"].verdict is Verdict.OK


def program(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def test_probe_is_believed_and_one_that_hangs_or_breaks_down_is_a_problem_itself() -> None:
    said = Problem(code="card_lost", message="GPU 0 does not answer", way_out="Restart.")
    assert probed(program("pass"), 30) is None
    assert probed(program(f"print({said.model_dump_json()!r}); raise SystemExit(1)"), 30) == said
    hangs = probed(program("import time; time.sleep(60)"), 0.2)
    assert hangs is not None
    assert "does not answer within 0.2 s" in hangs.message
    broken = probed(program("raise ValueError('no such thing')"), 30)
    assert broken is not None
    assert broken.message.endswith("ValueError: no such thing")


def test_machine_as_it_is_has_the_torch_that_is_installed() -> None:
    assert graphics_here().torch.version == installed.__version__
