"""Asking a slot's GPUs through a process that may say anything, or nothing for ever."""

import json
import os
import time
from pathlib import Path

import pytest

from memgen.contract.problem import Problem
from tests.running_stack import is_alive, wait_until
from worker.card import Card, card_of
from worker.settings import Settings
from worker.slots import Slot

LOST = Problem(code="card_lost", message="GPU 0 does not answer", way_out="Restart the machine.")


def card(folder: Path, script: str, *, slot: str = "0", limit: float = 20.0) -> Card:
    return Card(Slot(slot), ["sh", "-c", script], folder / "slot-0.lock", limit)


def test_card_is_well_where_the_process_ends_with_0_whatever_it_says(tmp_path: Path) -> None:
    assert card(tmp_path, "echo much; echo more >&2").ask() is None


def test_reason_is_the_last_line_of_what_the_process_says(tmp_path: Path) -> None:
    said = f"echo a warning >&2; echo '{LOST.model_dump_json()}'; exit 1"
    assert card(tmp_path, said).ask() == LOST


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo Traceback; echo 'ImportError: no torch'; exit 1", "exit code 1 and said last: ImportError: no torch"),
        ("exit 3", "exit code 3 and said last: nothing"),
        ("kill -9 $$", "killed by signal 9"),
        ("echo '[1]'; exit 1", "said last: [1]"),
        ("echo '{\"code\": 1}'; exit 1", "said last: {"),
        ("printf '\\377\\376'; exit 1", "exit code 1"),
    ],
)
def test_process_that_fails_otherwise_is_quoted(tmp_path: Path, script: str, said: str) -> None:
    reason = card(tmp_path, script).ask()
    assert reason is not None
    assert reason.code == "card_failed"
    assert said in reason.message
    assert reason.way_out


def test_process_that_can_not_be_started_names_the_setting(tmp_path: Path) -> None:
    reason = Card(Slot("0"), ["/no/such/program"], tmp_path / "lock", 1.0).ask()
    assert reason is not None
    assert (reason.code, reason.field, reason.value) == ("card_not_asked", "MEMGEN_PROBE", "/no/such/program")


def test_process_that_hangs_is_ended_with_its_children_and_others_are_served_meanwhile(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    served: list[float] = []
    script = f"sleep 60 & echo $! $$ > {pids}; wait"
    reason = card(tmp_path, script, limit=0.5).ask(meanwhile=lambda: served.append(time.monotonic()))
    assert reason is not None
    assert reason.code == "card_hangs"
    assert "0.5 s" in reason.message
    assert len(served) > 2
    for pid in map(int, pids.read_text().split()):
        wait_until(lambda pid=pid: not is_alive(pid), 5, "end of the process and its child")


def test_process_that_can_not_be_killed_is_not_joined_by_another(tmp_path: Path, monkeypatch) -> None:
    starts = tmp_path / "starts"
    asked = card(tmp_path, f"echo $$ >> {starts}; sleep 60", limit=0.3)
    with monkeypatch.context() as unkillable:
        unkillable.setattr("worker.card.KILLED_WITHIN", 0.1)
        unkillable.setattr(os, "killpg", lambda pid, number: None)
        for _ in range(2):
            reason = asked.ask()
            assert reason is not None
            assert reason.code == "card_hangs"
    [pid] = map(int, starts.read_text().split())
    os.killpg(pid, 9)


def test_process_sees_the_slots_gpus_alone_and_no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMGEN_WORKER_TOKEN", "a-token-that-nobody-guesses")
    monkeypatch.setenv("HF_TOKEN", "another")
    seen = tmp_path / "environment"
    assert card(tmp_path, f"env > {seen}", slot="1,3").ask() is None
    variables = dict(line.split("=", 1) for line in seen.read_text().splitlines() if "=" in line)
    assert (variables["CUDA_VISIBLE_DEVICES"], variables["CUDA_DEVICE_ORDER"]) == ("1,3", "PCI_BUS_ID")
    assert variables["MEMGEN_SLOT_LOCK"] == str(tmp_path / "slot-0.lock")
    assert "MEMGEN_WORKER_TOKEN" not in variables
    assert "HF_TOKEN" not in variables


def test_processor_is_asked_only_where_the_operator_names_a_command(home: Path, monkeypatch) -> None:
    assert card_of(Slot("cpu"), Settings()) is None
    assert Settings().probe_words(has_gpus=True)[1:] == ["-m", "memgen", "probe"]
    monkeypatch.setenv("MEMGEN_PROBE", f"sh -c 'echo \"{json.dumps({'code': 'a', 'message': 'b'})}\"'")
    assert card_of(Slot("cpu"), Settings()) is not None
