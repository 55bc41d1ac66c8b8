"""The queue with the mouse: what waits for what, moved to the front, paused, and going on."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from memgen.contract.status import RunStatus
from tests.browser.studio import Studio
from tests.faults.house import House
from tests.running_stack import wait_until

TRIES = 5


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, presets_file: Path) -> Iterator[House]:
    running = House(tmp_path_factory.mktemp("queue") / "home", presets_file)
    running.up()
    yield running
    running.close()


def press(button: Locator, done: Callable[[], bool]) -> None:
    """Click until it is taken: the page may be drawn anew between looking and clicking."""
    for _ in range(TRIES):
        if done():  # the click was taken after all, and the button may be gone with it
            return
        button.click()
        with suppress(AssertionError):
            wait_until(done, 3, "the click")
            return
    assert done()


def order(house: House) -> list[int]:
    with house.client() as client:
        return [run.id for run in client.queue().items]


def paused(house: House) -> bool:
    with house.client() as client:
        return client.queue().paused


def test_run_is_moved_to_the_front_and_the_queue_is_paused_and_goes_on(house: House, page: Page) -> None:
    busy = [house.launch("slow", 600) for _ in range(2)]
    for run_id in busy:
        house.started(run_id, 1)
    first, second, third = (house.launch(questions=3) for _ in range(3))
    studio = Studio(page, house.dashboard_url)
    studio.log_in(house.token)
    page.get_by_role("link", name="Queue and machines", exact=True).click()
    expect(studio.key(f"queued_{third}")).to_contain_text("and 2 runs stand before it")
    expect(page.get_by_text(f"works on run {busy[0]}")).to_be_visible()
    press(studio.key(f"first_{third}").get_by_role("button").first, lambda: order(house)[0] == third)
    assert order(house) == [third, first, second]
    expect(studio.key(f"queued_{third}")).to_contain_text("Priority 1.")
    press(studio.key("pause").get_by_role("button").first, lambda: paused(house))
    expect(page.get_by_text("The queue is paused: running runs go on")).to_be_visible()
    with house.client() as client:
        for run_id in busy:
            client.stop(run_id)
    for run_id in busy:
        house.run_ended(run_id, 20)
    assert order(house) == [third, first, second]
    press(studio.key("pause").get_by_role("button").first, lambda: not paused(house))
    for run_id in (first, second, third):
        assert house.run_ended(run_id, 30).status == RunStatus.SUCCEEDED
    claimed = house.rows("SELECT run_id FROM attempt WHERE run_id > ? ORDER BY claimed_at", max(busy))
    assert claimed[0] == (third,)
    expect(page.get_by_text("Nothing waits.")).to_be_visible()
    studio.no_trace_of_an_error()
