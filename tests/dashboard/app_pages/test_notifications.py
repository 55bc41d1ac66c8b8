"""The page of notifications: a channel is added, tested, changed and deleted, and messages are sent again."""

from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

from tests.dashboard.pages import button_keys, open_page, said
from tests.dashboard.studio import Studio
from tests.receivers import Receiver, receiving

SECRET = "/services/T0000/B0000/of-nobody-else"


@pytest.fixture
def receiver(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver whose host the operator has named."""
    with receiving() as one:
        monkeypatch.setattr(studio.context.settings, "webhook_hosts", one.origin)
        yield one


def press(app: AppTest, key: str) -> None:
    app.button(key=key).click().run()
    assert not app.exception, app.exception


def add(app: AppTest, receiver: Receiver, name: str = "lab <b>") -> None:
    """Through the dialog, as a visitor does."""
    press(app, "add_channel")
    app.text_input(key="channel_name").set_value(name)
    app.text_input(key="channel_address").set_value(receiver.origin + SECRET)
    press(app, "save_channel")


def send(studio: Studio) -> None:
    studio.context.notifier.round()
    studio.context.notifier.wait(20)


def test_channel_is_added_tested_changed_and_deleted(studio: Studio, receiver: Receiver) -> None:
    app = open_page("notifications")
    assert "No channel yet" in said(app)
    add(app, receiver)
    page = said(app)
    assert "lab <b>" in page
    assert f"Webhook, 127.0.0.1:{receiver.port}/…else" in page
    assert "of-nobody" not in page
    press(app, "test_1")
    send(studio)
    app.run()
    assert [body["event"] for body in receiver.taken] == ["test"]
    assert app.dataframe[0].value[["channel", "title", "status"]].values.tolist() == [
        ["lab <b>", "This is a test", "sent"]
    ]
    press(app, "change_1")
    assert app.text_input(key="channel_address").value == ""
    app.multiselect(key="channel_events").set_value(["run_failed"])
    app.toggle(key="channel_enabled").set_value(False)
    press(app, "save_channel")
    assert "Tells when a run failed." in said(app)
    (channel,) = studio.client.notifications().channels
    assert (channel.enabled, channel.address_missing, channel.ending) == (False, False, "else")
    press(app, "delete_1")
    assert "goes with its address and its messages" in said(app)
    press(app, "confirm_delete_channel")
    assert studio.client.notifications().channels == []


def test_message_that_did_not_arrive_says_why_and_is_sent_again(studio: Studio, receiver: Receiver) -> None:
    receiver.statuses.append(503)
    app = open_page("notifications")
    add(app, receiver)
    studio.failed()
    send(studio)
    app.run()
    assert f"Tried 1 time: 127.0.0.1:{receiver.port} answered 503" in said(app)
    assert "The next try comes 5 s after this one." in said(app)
    press(app, "again_1")
    send(studio)
    app.run()
    assert "again_1" not in button_keys(app)
    assert len(receiver.taken) == 1


@pytest.mark.parametrize(
    ("name", "address", "reason"),
    [
        ("", "https://hooks.example.org/x", "A channel needs a name"),
        ("lab", "https://hooks.example.org/x", "This host is not one that messages may go to"),
        ("lab", "", "This channel needs an address"),
    ],
)
def test_channel_that_may_not_be_is_refused_in_the_dialog(
    studio: Studio, receiver: Receiver, name: str, address: str, reason: str
) -> None:
    app = open_page("notifications")
    press(app, "add_channel")
    app.text_input(key="channel_name").set_value(name)
    app.text_input(key="channel_address").set_value(address)
    press(app, "save_channel")
    assert reason in said(app)
    assert studio.client.notifications().channels == []


def test_form_says_what_the_operator_allows(studio: Studio) -> None:
    app = open_page("notifications")
    assert "Messages carry no link: the operator has not set MEMGEN_DASHBOARD_URL." in said(app)
    press(app, "add_channel")
    assert "MEMGEN_WEBHOOK_HOSTS lists those that webhooks may lead to" in said(app)
    app.selectbox(key="channel_kind").set_value("slack").run()
    assert "The address may lead to: hooks.slack.com, hooks.slack-gov.com." in said(app)
    app.selectbox(key="channel_kind").set_value("email").run()
    assert "The operator has not set up mail" in said(app)


def test_page_asks_once_and_by_itself_only_while_a_message_is_on_its_way(
    studio: Studio, receiver: Receiver, intervals: list[float]
) -> None:
    app = open_page("notifications")
    add(app, receiver)
    intervals.clear()
    studio.wire.asked.clear()
    app.run()
    assert sorted(studio.wire.paths()) == ["GET /health", "GET /notifications"]
    assert 2 not in intervals
