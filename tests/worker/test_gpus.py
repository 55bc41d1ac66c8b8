"""GPUs of a machine that a stand-in for NVML describes: this one may have none."""

import logging
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from memgen.contract.errors import BadInput
from worker.gpus import visible_gpus
from worker.slots import Slot, check_slots, find_slots

FIRST, SECOND, THIRD = "GPU-aaaa1111-0000", "GPU-aaaa2222-0000", "GPU-bbbb3333-0000"
MIG_ONE, MIG_TWO = "MIG-cccc4444-0000", "MIG-cccc5555-0000"


@dataclass
class Device:
    uuid: str
    index: int = 0
    instances: dict[int, "Device"] = field(default_factory=dict)
    ids: tuple[int, int] = (0, 0)
    memory: int = 80
    parent: "Device | None" = None


def machine(monkeypatch: pytest.MonkeyPatch, *devices: Device) -> None:
    """Let NVML tell of these GPUs."""
    for index, device in enumerate(devices):
        device.index = index
        for instance in device.instances.values():
            instance.parent = device
    every = [*devices, *(one for device in devices for one in device.instances.values())]

    def mig_mode(device: Device) -> list[int]:
        if not device.instances:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return [pynvml.NVML_DEVICE_MIG_ENABLE] * 2

    def instance_of(device: Device, number: int) -> Device:
        if number not in device.instances:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return device.instances[number]

    calls: dict[str, Any] = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: len(devices),
        "nvmlDeviceGetHandleByIndex": lambda index: devices[index],
        "nvmlDeviceGetHandleByUUID": lambda uuid: next(one for one in every if one.uuid == uuid),
        "nvmlDeviceGetUUID": lambda device: device.uuid,
        "nvmlDeviceGetIndex": lambda device: device.index,
        "nvmlDeviceGetMigMode": mig_mode,
        "nvmlDeviceGetMaxMigDeviceCount": lambda device: 7,
        "nvmlDeviceGetMigDeviceHandleByIndex": instance_of,
        "nvmlDeviceGetGpuInstanceId": lambda device: device.ids[0],
        "nvmlDeviceGetComputeInstanceId": lambda device: device.ids[1],
        "nvmlDeviceGetDeviceHandleFromMigDeviceHandle": lambda device: device.parent,
        "nvmlDeviceGetMemoryInfo": lambda device: SimpleNamespace(free=device.memory - 1, total=device.memory),
    }
    for name, call in calls.items():
        monkeypatch.setattr(pynvml, name, call)


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, Device(FIRST), Device(SECOND), Device(THIRD))


@pytest.fixture
def partitioned(monkeypatch: pytest.MonkeyPatch) -> None:
    """GPU 0 whole, GPU 1 in two instances."""
    instances = {0: Device(MIG_ONE, ids=(1, 0), memory=20), 3: Device(MIG_TWO, ids=(2, 0), memory=40)}
    machine(monkeypatch, Device(FIRST), Device(SECOND, instances=instances))


@pytest.mark.parametrize(
    ("value", "slots"),
    [
        (None, ["0", "1", "2"]),
        ("0, 1", ["0", "1"]),
        ("2,0", ["2", "0"]),
        ("0,-1,1", ["0"]),
        (f"{THIRD},{FIRST}", ["2", "0"]),
        ("GPU-bbbb", ["2"]),
        (f"1, {THIRD}", ["1", "2"]),
        ("", ["cpu"]),
        ("-1", ["cpu"]),
        ("NoDevFiles", ["cpu"]),
    ],
)
def test_slots_are_the_gpus_that_are_visible(three: None, monkeypatch, value: str | None, slots: list[str]) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if value is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert [slot.name for slot in find_slots()] == slots


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("GPU-cccc", "no such GPU"),
        ("MIG-1234", "no such GPU"),
        ("0,7", "no such GPU"),
        ("GPU-aaaa", "more than one"),
        ("0,0", "named twice"),
        (f"0,{FIRST}", "named twice"),
        ("0 1", "no GPU"),
        ("all", "no GPU"),
    ],
)
def test_gpu_that_is_not_there_is_refused_and_not_served_by_the_processor(three: None, value: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        visible_gpus(value)
    assert (caught.value.code, caught.value.field) == ("bad_setting", "CUDA_VISIBLE_DEVICES")
    assert caught.value.way_out


@pytest.mark.parametrize(
    ("value", "slots"),
    [
        (None, ["0", MIG_ONE, MIG_TWO]),
        (MIG_TWO, [MIG_TWO]),
        ("MIG-cccc5", [MIG_TWO]),
        (f"MIG-{SECOND}/2/0", [MIG_TWO]),
        ("1", [MIG_ONE, MIG_TWO]),
        (f"{MIG_ONE},0", [MIG_ONE, "0"]),
    ],
)
def test_each_instance_of_a_gpu_is_a_slot(partitioned: None, value: str | None, slots: list[str]) -> None:
    assert [gpu.name for gpu in visible_gpus(value)] == slots


def test_slot_of_an_instance_reports_its_own_memory_and_the_number_of_its_gpu(partitioned: None) -> None:
    slot = Slot.parse(MIG_TWO)
    check_slots([slot, Slot.parse("0")])
    report = slot.report()
    assert (report.device, report.gpus, report.gpu_memory, report.free) == ("cuda", [1], [40], [39])
    assert slot.claim().free_device_memory == [39]
    assert slot.devices == [MIG_TWO]
    with pytest.raises(BadInput, match="no such GPU"):
        check_slots([Slot.parse("1")])


def test_machine_without_a_driver_serves_the_processor_and_says_so(monkeypatch, caplog) -> None:
    def no_driver() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", no_driver)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-1")
    with caplog.at_level(logging.WARNING):
        assert [slot.name for slot in find_slots()] == ["cpu"]
    assert "CUDA_VISIBLE_DEVICES is GPU-1" in caplog.text


def test_gpu_that_fails_keeps_its_slot_beside_the_others(three: None, monkeypatch, caplog) -> None:
    real = pynvml.nvmlDeviceGetHandleByIndex

    def handle(index: int) -> object:
        if index == 1:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return real(index)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", handle)
    with caplog.at_level(logging.WARNING):
        assert [gpu.name for gpu in visible_gpus(None)] == ["0", "1", "2"]
    assert "GPU 1 can't be used now" in caplog.text


def test_driver_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def mismatch() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH)

    monkeypatch.setattr(pynvml, "nvmlInit", mismatch)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with caplog.at_level(logging.WARNING):
        assert [slot.name for slot in find_slots()] == ["cpu"]
    assert "can't be used" in caplog.text
