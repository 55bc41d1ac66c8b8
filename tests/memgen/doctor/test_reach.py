"""The hub and other clocks, stood in for by functions and numbers."""

from collections.abc import Mapping
from pathlib import Path

from memgen.doctor.finding import Verdict
from memgen.doctor.reach import ask, clock, has_hub_token, hub, is_offline
from tests.ports import free_port

HUB = "https://user:secret@hub.example/path"


def answers(_: str) -> Mapping[str, str]:
    return {"date": "Fri, 27 Nov 2026 15:00:00 GMT"}


def silent(_: str) -> Mapping[str, str]:
    raise ConnectionError("no route to host")


def never(_: str) -> Mapping[str, str]:
    raise AssertionError("asked in offline mode")


def test_hub_that_answers_is_well_and_tells_its_time() -> None:
    found, time = hub(HUB, offline=False, has_token=True, asked=answers)
    assert (found.verdict, time) == (Verdict.OK, 1795791600.0)
    assert "a token is set" in found.seen


def test_hub_that_is_silent_is_a_warning_with_the_ways_to_do_without_and_no_password() -> None:
    found, time = hub(HUB, offline=False, has_token=False, asked=silent)
    assert (found.verdict, time) == (Verdict.WARNING, None)
    assert "no route to host" in found.seen
    assert "HF_HUB_OFFLINE" in found.way_out
    assert "secret" not in found.model_dump_json()


def test_nobody_is_asked_in_offline_mode() -> None:
    assert [is_offline({"HF_HUB_OFFLINE": value}) for value in ("1", "yes", "0", "")] == [True, True, False, False]
    assert hub(HUB, offline=True, has_token=False, asked=never)[0].verdict is Verdict.OK


def test_real_request_to_a_port_where_nobody_listens_counts_as_silent() -> None:
    assert hub(f"http://127.0.0.1:{free_port()}", False, False, ask)[0].verdict is Verdict.WARNING


def test_clock_that_is_a_minute_away_from_another_is_a_warning() -> None:
    found = clock(1000.0, {"the hub": 900.0, "the disk": 1001.0, "nobody": None})
    assert (found.verdict, found.seen) == (Verdict.WARNING, "it is 100 s after that of the hub")
    assert clock(1000.0, {"the hub": 1030.0}).verdict is Verdict.OK
    assert clock(1000.0, {"the hub": None}).verdict is Verdict.OK


def test_token_of_the_hub_is_seen_in_the_environment_and_in_its_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    assert not has_hub_token({}, str(file))
    assert has_hub_token({"HF_TOKEN": "hf_x"}, str(file))
    file.write_text("hf_x")
    assert has_hub_token({}, str(file))
