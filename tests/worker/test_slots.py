import errno
import fcntl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import psutil
import pynvml
import pytest

from backend.api.client import Client
from backend.api.schemas import Limits, SlotReport, Versions
from backend.launcher.stack import busy_slots
from memgen.contract.errors import BadInput
from worker import gpus, slots
from worker.__main__ import announce_once, reports_of
from worker.gpus import answered
from worker.runners import SlotRunner
from worker.settings import Settings
from worker.slots import Slot, SlotLock, check_slots, remove_old_locks, threads_per_trainer, within


def test_slot_names_say_their_gpus() -> None:
    assert (Slot.parse("cpu").gpus, Slot.parse("cpu").device) == ([], "cpu")
    assert (Slot.parse("0,1").gpus, Slot.parse("0,1").device) == ([0, 1], "cuda")


def test_processor_can_have_several_slots_of_different_names() -> None:
    check_slots([Slot.parse("cpu0"), Slot.parse("cpu1")])
    assert (Slot.parse("cpu1").gpus, Slot.parse("cpu1").device) == ([], "cpu")
    with pytest.raises(BadInput, match="same name") as caught:
        check_slots([Slot.parse("cpu"), Slot.parse("cpu")])
    assert caught.value.code == "bad_slot"


def test_number_of_a_gpu_has_one_spelling() -> None:
    assert Slot.parse("00,1").name == "0,1"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "gpu0",
        "cpux",
        "0,",
        "-1",
        "0;1",
        "²",
        "٣",
        "0 1",
        "0,MIG-1",
        "MIG-a/b",
        "../0",
        "9" * 5000,
        "cpu" + "1" * 60,
    ],
)
def test_bad_slot_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(BadInput, match="GPU numbers") as caught:
        Slot.parse(name)
    assert "--slots 0 1" in caught.value.way_out


def test_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadInput, match="no such GPU"):
        check_slots([Slot("97")])


def test_cpu_slot_reports_memory() -> None:
    report = Slot("cpu").report()
    assert 0 < report.free[0] <= report.total_memory == psutil.virtual_memory().total
    assert (report.gpu_memory, report.device_memory) == ([], [report.total_memory])
    claim = Slot("cpu").claim()
    assert (claim.free_gpu_memory, claim.slot.total_memory) == ([], report.total_memory)
    assert claim.free_device_memory == [claim.free_memory] == claim.slot.free


def test_share_of_the_memory_is_what_a_slot_has_less_what_runs_of_this_machine_use(monkeypatch) -> None:
    whole = Slot("cpu").report()
    monkeypatch.setattr(slots, "memory_at_work", lambda: 10 * 2**20)
    report = Slot("cpu").report(Limits(memory_share=0.25))
    assert report.total_memory == whole.total_memory // 4
    assert report.free[0] <= report.total_memory - 10 * 2**20
    monkeypatch.setattr(slots, "memory_at_work", lambda: whole.total_memory)
    assert Slot("cpu").report(Limits(memory_share=0.25)).free == [0]


def test_share_of_a_gpu_counts_what_others_use_of_the_rest_as_theirs() -> None:
    report = SlotReport(name="0", device="cuda", gpus=[0], total_memory=80, gpu_memory=[80], free=[50])
    half = within(report, 0.5, used=0)
    assert (half.total_memory, half.gpu_memory, half.free) == (40, [40], [40])
    assert within(report.model_copy(update={"free": [30]}), 0.5, used=0).free == [30]


def test_claim_says_versions_limits_and_clock() -> None:
    claim = Slot("cpu").claim(Limits(most_runs=3))
    assert claim.versions == Versions.of_this(torch=version("torch"), transformers=version("transformers"))
    assert (claim.limits.most_runs, Slot("cpu").claim().limits) == (3, Limits())
    assert claim.clock is not None
    assert abs(claim.clock - time.time()) < 5


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """NVML that can be opened; counts how often it was opened and closed."""
    calls: Counter[str] = Counter()
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: calls.update(["opened"]))
    monkeypatch.setattr(pynvml, "nvmlShutdown", lambda: calls.update(["closed"]))
    yield calls
    gpus.keep_driver_open(False)


def test_gpu_slot_reports_memory_of_each_gpu_and_lets_go_of_the_driver(driver, monkeypatch) -> None:
    infos = {0: SimpleNamespace(free=5, total=8), 2: SimpleNamespace(free=7, total=9)}
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda gpu: gpu)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", infos.get)
    claim = Slot("0,2").claim()
    assert (claim.free_memory, claim.free_gpu_memory) == (12, [5, 7])
    assert (claim.slot.total_memory, claim.slot.gpu_memory, claim.slot.device_memory) == (17, [8, 9], [8, 9])
    assert driver == {"opened": 1, "closed": 1}


def test_gpu_that_is_gone_is_announced_as_sick_with_the_memory_it_had(home: Path, driver, monkeypatch) -> None:
    def lost(gpu: int) -> int:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)

    info = SimpleNamespace(free=5, total=8)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lambda gpu: info)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda gpu: gpu)
    runners = [SlotRunner(Slot(name), Settings(), 1) for name in ("0", "1", "cpu")]
    assert [report.sick for report in reports_of([runners[0], runners[2]])[0]] == [None, None]
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lost)
    reports, trouble = reports_of(runners)
    assert trouble == []
    assert [(report.name, report.total_memory, report.gpus) for report in reports[:2]] == [("0", 8, [0]), ("1", 0, [1])]
    for report in reports[:2]:
        assert report.sick is not None
        assert report.sick.reason.code == "card_unreadable"
        assert "GPU is lost" in report.sick.reason.message
    assert reports[2].sick is None


def test_driver_is_kept_open_while_all_slots_are_well_and_let_go_for_a_sick_one(home, driver, monkeypatch) -> None:
    info = SimpleNamespace(free=5, total=8)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lambda gpu: info)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda gpu: gpu)
    runner = SlotRunner(Slot("0"), Settings(), 1)
    with Client("http://127.0.0.1:9", "no-token-of-any-house") as nobody:

        def opened() -> int:
            announce_once(nobody, Settings(), [runner])
            return driver["opened"] - driver["closed"]

        assert [opened(), opened()] == [1, 1]
        assert runner._health is not None
        runner._health.failed()
        readings = driver["opened"]
        assert [opened(), opened()] == [0, 0]
        assert driver["opened"] == readings


def test_driver_that_never_answers_holds_nobody_up(driver, monkeypatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda gpu: over.wait(30))
    try:
        for _ in range(gpus.MOST_UNANSWERED + 2):
            with pytest.raises(BadInput, match="has not answered within"):
                answered(Slot("0")._gpu_report, 0.01)
        waiting = [thread for thread in threading.enumerate() if thread.name == "nvml"]
        assert len(waiting) == gpus.MOST_UNANSWERED
    finally:
        over.set()
    for thread in waiting:
        thread.join(10)


def test_lock_is_held_by_one_and_free_after_release(tmp_path: Path) -> None:
    first, second = SlotLock(tmp_path, Slot("0")), SlotLock(tmp_path, Slot("0"))
    assert first.take()
    assert not second.take()
    assert not second.is_free()
    first.release()
    assert second.is_free()
    assert second.take()


def test_name_of_the_machine_is_no_part_of_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.node", lambda: "before")
    first = SlotLock(tmp_path, Slot("0"))
    assert first.take()
    monkeypatch.setattr("platform.node", lambda: "after")
    second = SlotLock(tmp_path, Slot("0"))
    assert second.path == first.path
    assert not second.take()
    assert busy_slots(tmp_path) == ["0"]


def test_slot_that_a_supervisor_of_an_older_version_holds_is_taken(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("platform.node", lambda: "lab")
    path = tmp_path / "worker" / "lab" / "slot-0.lock"
    path.parent.mkdir(parents=True)
    with path.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        lock = SlotLock(tmp_path, Slot("0"))
        assert not lock.take()
        assert busy_slots(tmp_path) == ["0"]
    assert lock.take()


def test_locks_of_earlier_boots_are_removed_and_those_that_are_held_stay(tmp_path: Path) -> None:
    others = [tmp_path / "worker" / name / "slot-cpu.lock" for name in ("earlier boot", "other machine")]
    for path in others:
        path.parent.mkdir(parents=True)
        path.touch()
    mine = SlotLock(tmp_path, Slot("cpu"))
    assert mine.take()
    with others[1].open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        remove_old_locks(tmp_path)
    assert [path.exists() for path in (*others, others[0].parent, mine.path)] == [False, True, False, True]


def test_lock_whose_file_is_removed_meanwhile_is_taken_on_the_new_one(tmp_path: Path, monkeypatch) -> None:
    lock, other = SlotLock(tmp_path, Slot("0")), SlotLock(tmp_path, Slot("0"))
    real = fcntl.flock

    def flock(file, operation: int) -> None:
        real(file, operation)
        monkeypatch.setattr(fcntl, "flock", real)
        lock.path.unlink()  # as another machine's clean-up does between opening and locking

    monkeypatch.setattr(fcntl, "flock", flock)
    assert lock.take()
    assert not other.take()


def test_threads_are_shared_between_slots() -> None:
    assert threads_per_trainer(1) >= threads_per_trainer(2) >= 1
    assert threads_per_trainer(10_000) == 1


def test_runner_starts_supervisors_until_nothing_fits(home: Path) -> None:
    codes = iter([10, 10, 0, 10, 0])
    started: list[str] = []
    idle = threading.Event()

    def start(slot: Slot, _threads: int) -> int:
        started.append(slot.name)
        code = next(codes)
        if code == 0:
            idle.set()
        return code

    runner = SlotRunner(Slot("cpu"), Settings(), 1, start=start)
    runner.start()
    assert idle.wait(10)
    assert len(started) == 3
    idle.clear()
    runner.ring()
    assert idle.wait(10)
    assert len(started) == 5
    runner.stop()


def test_runner_outlives_a_home_that_is_out_of_reach_for_a_while(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried, started = threading.Event(), threading.Event()

    def away(_: SlotLock) -> bool:
        tried.set()
        raise OSError(errno.ESTALE, "Stale file handle")

    def start(_: Slot, __: int) -> int:
        started.set()
        return 0

    with monkeypatch.context() as while_away:
        while_away.setattr(SlotLock, "take", away)
        runner = SlotRunner(Slot("cpu"), Settings(), 1, start=start)
        runner.start()
        assert tried.wait(10)
    runner.ring()
    assert started.wait(10)
    runner.stop()
