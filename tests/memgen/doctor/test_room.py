"""Memory and disk of stand-in sizes, against the needs of real presets."""

from pathlib import Path

from memgen.contract.presets import DEMO_PRESET, SHIPPED_PRESET, load_presets
from memgen.doctor.finding import Verdict
from memgen.doctor.room import disk, free_at, memory, outputs_of, weights_of

GB = 10**9
PLACE = Path("/somewhere")


def test_full_disk_is_an_error_that_says_what_the_smallest_run_may_take() -> None:
    needs = outputs_of(load_presets())
    found = disk("disk", PLACE, 0, "the files of a pipeline", needs)
    assert found.verdict is Verdict.ERROR
    assert DEMO_PRESET in found.seen
    assert str(PLACE) in found.way_out
    assert disk("disk", PLACE, needs[DEMO_PRESET] - 1, "the files", needs).verdict is Verdict.ERROR


def test_disk_with_room_for_the_demo_alone_is_a_warning_and_a_larger_one_is_well() -> None:
    needs = weights_of(load_presets())
    assert disk("disk", PLACE, needs[DEMO_PRESET], "the weights", needs).verdict is Verdict.WARNING
    most = max(needs.values())
    found = disk("disk", PLACE, most, "the weights", needs)
    assert found.verdict is Verdict.OK
    assert f"{len(needs)} of {len(needs)} models" in found.seen


def test_models_in_a_folder_of_the_operators_take_no_room_among_the_hubs() -> None:
    presets = load_presets()
    own = presets[DEMO_PRESET].model_copy(update={"repo": None, "folder": "/models/own"})
    assert set(weights_of(presets | {"own": own})) == set(presets) - {SHIPPED_PRESET}


def test_little_memory_is_a_warning_with_what_the_demo_needs() -> None:
    assert memory(1 * GB, 8 * GB).verdict is Verdict.WARNING
    assert memory(64 * GB, 64 * GB).verdict is Verdict.OK


def test_free_disk_is_that_of_the_nearest_folder_that_is_there(tmp_path: Path) -> None:
    assert free_at(tmp_path / "not" / "yet") > 0
