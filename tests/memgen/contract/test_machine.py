from collections.abc import Iterator
from pathlib import Path

import pytest

from memgen.contract import machine


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name, text in (("machine-id", "0123" * 8 + "\n"), ("boot_id", "abcd\n")):
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(machine, "BOOT_ID", tmp_path / "boot_id")
    monkeypatch.setattr(machine, "MACHINE_IDS", (tmp_path / "machine-id",))
    forget()
    yield
    forget()


def forget() -> None:
    machine.this_boot.cache_clear()
    machine._boot.cache_clear()


def test_new_boot_is_the_same_machine_in_another_folder_of_locks(tmp_path: Path) -> None:
    before, locks = machine.this_boot(), machine.slots_dir(tmp_path)
    forget()
    assert (machine.this_boot(), machine.slots_dir(tmp_path)) == (before, locks)
    (tmp_path / "boot_id").write_text("efgh\n")
    forget()
    assert machine.this_boot() != before
    assert machine.same_machine(machine.this_boot(), before) is True
    assert machine.slots_dir(tmp_path) != locks


def test_id_of_the_machine_that_changes_while_it_runs_moves_no_lock(tmp_path: Path) -> None:
    before, locks = machine.this_boot(), machine.slots_dir(tmp_path)
    (tmp_path / "machine-id").write_text("4567" * 8 + "\n")
    forget()
    assert machine.same_machine(machine.this_boot(), before) is False
    assert machine.slots_dir(tmp_path) == locks


@pytest.mark.parametrize("text", [None, b"", b"\xff\xfe", b"\n", b"uninitialized\n", b"0" * 31])
def test_machine_without_an_id_has_a_boot_and_can_not_be_told_from_others(tmp_path: Path, text: bytes | None) -> None:
    path = tmp_path / "machine-id"
    path.unlink() if text is None else path.write_bytes(text)
    forget()
    assert machine.this_boot().startswith("/")
    assert len(machine.this_boot()) > 10
    assert machine.same_machine(machine.this_boot(), "0f/1") is None


@pytest.mark.parametrize("has_id", [True, False])
def test_system_without_a_boot_id_has_the_same_folder_of_locks_in_each_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_id: bool
) -> None:
    (tmp_path / "boot_id").unlink()
    if not has_id:
        (tmp_path / "machine-id").unlink()
    folders = set()
    for drawn in (0x010000000001, 0x010000000002):  # what Python takes for a network card where there is none
        monkeypatch.setattr("uuid.getnode", lambda drawn=drawn: drawn)
        forget()
        folders.add(machine.slots_dir(tmp_path))
    assert len(folders) == 1


def test_ids_of_the_machine_are_not_handed_out_as_they_are() -> None:
    assert not {"0123" * 8, "abcd"} & set(machine.this_boot().split("/"))
    assert machine.same_machine("d0a1-uuid", "d0a1-uuid") is None, "as version 0.1 stored it"


@pytest.mark.parametrize("name", ["", ".", "..", "../../etc", "/", "x" * 500, "n\udcffm", "Büro"])
def test_name_of_a_machine_may_be_anything_and_leaves_the_folder_of_locks(
    monkeypatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setattr("platform.node", lambda: name)
    shown = machine.machine_name()
    assert 1 <= len(shown.encode()) <= 600
    assert len(shown) <= 200
    folder = machine.slots_dir_by_name(tmp_path)
    assert folder.resolve().parent == tmp_path / "worker"
