"""Notifications with the mouse: a channel is added and tested, and the page says by itself that the test arrived."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.populated import populated
from tests.browser.studio import Studio as Tab
from tests.dashboard.studio import Studio
from tests.receivers import Receiver, receiving
from tests.running_stack import wait_until


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving(500) as one:
        yield one


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[tuple[Studio, str]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEMGEN_WEBHOOK_HOSTS", receiver.origin)
        patch.setenv("MEMGEN_NOTIFICATION_SECONDS", "0.2")
        patch.setenv("MEMGEN_NOTIFICATION_RETRY_SECONDS", "0")
        home: Path = tmp_path_factory.mktemp("notifications") / "home"
        home.mkdir()
        with populated(home) as studio_and_url:
            yield studio_and_url


def test_channel_is_added_and_its_test_arrives_at_the_second_try(tab: Tab, receiver: Receiver) -> None:
    tab.page.goto(tab.url)
    tab.visit("Notifications")
    tab.settled()
    tab.key("add_channel").get_by_role("button").click()
    dialog = tab.page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    tab.key("channel_name").locator("input").fill("lab")
    tab.key("channel_address").locator("input").fill(f"{receiver.origin}/services/T0000/B0000/of-nobody-else")
    tab.key("save_channel").get_by_role("button").click()
    expect(dialog).to_have_count(0)
    card = tab.key("channel_1")
    expect(card).to_contain_text(f"Webhook, 127.0.0.1:{receiver.port}/…else")
    tab.settled()
    tab.key("test_1").get_by_role("button").click()
    wait_until(lambda: receiver.taken, 30, "the test")
    expect(card).to_contain_text("sent")
    assert [body["event"] for body in receiver.taken] == ["test"]
    assert len(receiver.asked) == 2
    assert "of-nobody" not in tab.page.content()
    tab.no_trace_of_an_error()
