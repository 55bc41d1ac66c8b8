"""Whether GPUs work, with stand-ins for NVML and torch: this machine may have none of either."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest
import torch

from memgen.probe import SIDE, managed, multiplied

MIG = "MIG-cccc4444-0000"


@dataclass
class Device:
    free: int = 70
    total: int = 80
    mode: int = pynvml.NVML_COMPUTEMODE_DEFAULT
    users: list[int] = field(default_factory=list)
    partitioned: bool = False
    lost: bool = False


class Nvml:
    """A machine's driver."""

    def __init__(self, devices: dict[str, Device], broken: int | None = None) -> None:
        self._devices = devices
        self._broken = broken
        self.opened = 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("NVML_", "NVMLError")):
            return getattr(pynvml, name)
        raise AttributeError(name)

    def nvmlInit(self) -> None:
        if self._broken is not None:
            raise pynvml.NVMLError(self._broken)
        self.opened += 1

    def nvmlShutdown(self) -> None:
        self.opened -= 1

    def nvmlDeviceGetCount(self) -> int:
        return len(self._devices)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Device:
        return self.nvmlDeviceGetHandleByUUID(str(index))

    def nvmlDeviceGetHandleByUUID(self, name: str) -> Device:
        if name not in self._devices:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return self._devices[name]

    def nvmlDeviceGetMemoryInfo(self, device: Device) -> Device:
        if device.lost:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return device

    def nvmlDeviceGetMigMode(self, device: Device) -> list[int]:
        if not device.partitioned:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return [pynvml.NVML_DEVICE_MIG_ENABLE] * 2

    def nvmlDeviceGetComputeMode(self, device: Device) -> int:
        return device.mode

    def nvmlDeviceGetComputeRunningProcesses(self, device: Device) -> list[Any]:
        return [SimpleNamespace(pid=pid) for pid in device.users]


EXCLUSIVE, PROHIBITED = pynvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS, pynvml.NVML_COMPUTEMODE_PROHIBITED


@pytest.mark.parametrize(
    ("device", "code", "said"),
    [
        (Device(), None, ""),
        (Device(users=[71]), None, ""),
        (Device(mode=EXCLUSIVE), None, ""),
        (Device(free=1, total=100), None, ""),
        (Device(lost=True), "card_lost", "GPU 0 does not answer: GPU is lost"),
        (Device(mode=PROHIBITED), "card_prohibited", "`prohibited`"),
        (Device(mode=EXCLUSIVE, users=[71]), "card_busy", "process 71 uses it"),
        (Device(free=2**20, total=80 * 2**30), "card_full", "hold 80.0 of the 80.0 GiB of GPU 0"),
        (Device(partitioned=True, lost=True), "card_partitioned", "MIG"),
    ],
)
def test_driver_says_what_is_wrong_with_a_gpu(device: Device, code: str | None, said: str) -> None:
    nvml = Nvml({"0": device})
    for names in (["0"], None):
        problem = managed(nvml, names)
        assert (problem and problem.code) == code
        if problem is not None:
            assert said in problem.message
            assert problem.way_out
    assert nvml.opened == 0


def test_instance_that_is_there_is_well_and_one_that_is_gone_is_named() -> None:
    nvml = Nvml({MIG: Device()})
    assert managed(nvml, [MIG]) is None
    problem = managed(nvml, ["MIG-gone"])
    assert problem is not None
    assert problem.message.startswith("GPU MIG-gone does not answer")


def test_only_the_gpus_that_are_named_count() -> None:
    nvml = Nvml({"0": Device(), "1": Device(lost=True)})
    assert managed(nvml, ["0"]) is None
    problem = managed(nvml, ["0", "1"])
    assert problem is not None
    assert problem.code == "card_lost"


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "no_driver"),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "no_driver"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "driver_renewed"),
        (pynvml.NVML_ERROR_UNKNOWN, "driver_failed"),
    ],
)
def test_driver_that_can_not_be_asked_is_told(number: int, code: str) -> None:
    problem = managed(Nvml({}, broken=number), ["0"])
    assert problem is not None
    assert problem.code == code
    assert problem.way_out


def torch_of(count: int = 1, init: Callable[[], None] = lambda: None, factor: float = 1.0) -> SimpleNamespace:
    """Torch with so many GPUs, whose products are wrong by a factor."""
    return SimpleNamespace(
        __version__="2.13.0",
        version=SimpleNamespace(cuda="13.0"),
        cuda=SimpleNamespace(init=init, device_count=lambda: count),
        full=lambda shape, value, device: torch.full(shape, value * factor),
    )


def fails(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_product_that_is_right_on_each_gpu_is_no_trouble() -> None:
    assert multiplied(torch_of(2), ["0", "1"]) is None
    assert multiplied(torch_of(2), None) is None


OLD = "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver"


@pytest.mark.parametrize(
    ("found", "code", "said"),
    [
        (torch_of(1), "card_missing", "torch sees 1 of the GPUs 0, 1"),
        (torch_of(2, factor=0.9), "card_wrong", "GPU 0"),
        (torch_of(2, fails(RuntimeError(OLD))), "driver_too_old", "torch 2.13.0 (CUDA 13.0)"),
        (torch_of(2, fails(torch.AcceleratorError("CUDA error: unknown error"))), "card_failed", "unknown error"),
        (torch_of(2, fails(torch.OutOfMemoryError("CUDA out of memory"))), "card_full", "no room"),
        (torch_of(2, fails(RuntimeError("CUDA-capable device(s) is/are busy or unavailable"))), "card_busy", "itself"),
        (torch_of(2, fails(OSError("libcuda.so.1: file too short"))), "card_failed", "libcuda"),
    ],
)
def test_what_goes_wrong_with_the_product_is_told(found: SimpleNamespace, code: str, said: str) -> None:
    problem = multiplied(found, ["0", "1"])
    assert problem is not None
    assert problem.code == code
    assert said in problem.message
    assert problem.way_out


def test_sum_of_products_is_exact_in_half_precision() -> None:
    filled = torch.full((SIDE, SIDE), 0.5, dtype=torch.bfloat16)
    assert bool(((filled @ filled) == SIDE * 0.25).all())


@pytest.mark.parametrize(("visible", "exit_code"), [("99", 1), ("", 0)])  # no machine has a hundred GPUs
def test_command_line_says_in_json_why_a_gpu_can_not_be_used(monkeypatch, visible: str, exit_code: int) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    command = [sys.executable, "-m", "memgen", "probe"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == exit_code, done.stderr
    if exit_code:
        assert {"code", "message", "way_out"} <= json.loads(done.stdout.splitlines()[-1]).keys()


def test_probe_whose_worker_is_gone_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMGEN_SUPERVISOR_PID", "1")  # not the process that starts it
    command = [sys.executable, "-m", "memgen", "probe"]
    assert subprocess.run(command, capture_output=True, timeout=120, check=False).returncode == -9
