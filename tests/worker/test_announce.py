"""The worker's sign of life."""

import pytest

import worker.__main__ as worker_main
from backend.api.client import ApiError, Client
from backend.api.schemas import Versions
from tests.worker.conftest import House
from worker import slots
from worker.__main__ import PAUSE_UNHEARD, announce_once, main
from worker.runners import SlotRunner
from worker.settings import Settings
from worker.slots import Slot
from worker.supervisor import supervise


def runner(settings: Settings) -> SlotRunner:
    return SlotRunner(Slot("cpu"), settings, 1)


def test_backend_says_when_the_next_sign_of_life_is_due(house: House) -> None:
    assert main(["--healthy"]) == 1
    with Client(house.settings.backend_url, house.settings.token()) as client:
        assert announce_once(client, house.settings, [runner(house.settings)]) == (15.0, [])
    assert [(one.alive, one.slots[0].name) for one in house.user.workers().items] == [(True, "cpu")]
    assert main(["--healthy"]) == 0


def test_worker_that_is_not_heard_says_why_and_tries_again_soon(house: House) -> None:
    with Client(house.settings.backend_url, "no-token-of-this-house") as client:
        pause, trouble = announce_once(client, house.settings, [runner(house.settings)])
    assert (pause, len(trouble)) == (PAUSE_UNHEARD, 1)
    assert "token" in trouble[0]
    assert main(["--healthy"]) == 1


def test_worker_of_another_version_says_why_it_is_given_no_work_and_goes_on_announcing_itself(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Versions.of_this().model_copy(update={"memgen": "9.9"})
    monkeypatch.setattr(worker_main, "installed_versions", lambda: other)
    monkeypatch.setattr(slots, "installed_versions", lambda: other)
    with Client(house.settings.backend_url, house.settings.token()) as client:
        pause, trouble = announce_once(client, house.settings, [runner(house.settings)])
    assert (pause, len(trouble)) == (15.0, 1)
    assert "has version 9.9 of MemGen Studio" in trouble[0]
    assert "start its worker again" in trouble[0]
    with pytest.raises(ApiError, match=r"has version 9\.9"):
        supervise(house.settings, Slot("cpu"), 1)
