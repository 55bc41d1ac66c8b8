"""The worker's sign of life."""

from backend.api.client import Client
from tests.worker.conftest import House
from worker.__main__ import PAUSE_UNHEARD, announce_once, main
from worker.runners import SlotRunner
from worker.settings import Settings
from worker.slots import Slot


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
