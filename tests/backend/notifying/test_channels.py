"""Channels over HTTP: what may be one, that their addresses stay secret, and what becomes of them in backups."""

import io
import logging
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.commands.archive.backup import back_up
from backend.commands.archive.restore import restore
from tests.backend.conftest import Backend, check_problem
from tests.backend.notifying.conftest import SECRET, Lab
from tests.receivers import receiving

SLACK = "https://hooks.slack.com/services/T0000/B0000/of-nobody-else"
BODY: dict[str, Any] = {"name": "team", "kind": "slack", "events": ["run_failed"], "address": SLACK}
MAIL = {"smtp_host": "127.0.0.1", "smtp_from": "memgen@lab.example", "mail_to": "lab.example, one@other.example"}
CHANNELS = "/notifications/channels"


def make(backend: Backend, **changes: Any) -> Any:
    return backend.user("POST", CHANNELS, json=BODY | changes)


def files_of(home: Path) -> list[str]:
    return [path.read_text() for path in (home / "backend" / "channel-addresses").glob("*")]


def test_channel_shows_host_and_last_characters_and_its_address_is_a_private_file(backend: Backend) -> None:
    made = make(backend).json()
    assert (made["host"], made["ending"], made["address_missing"]) == ("hooks.slack.com", "else", False)
    (path,) = (backend.home / "backend" / "channel-addresses").iterdir()
    assert (path.read_text(), path.stat().st_mode & 0o077) == (SLACK, 0)
    shown = backend.get("/notifications")
    assert shown["channels"] == [made]
    assert shown["limits"] == {
        "webhook_hosts": [], "slack_hosts": ["hooks.slack.com", "hooks.slack-gov.com"],
        "discord_hosts": ["discord.com", "discordapp.com"], "mail": False, "mail_to": [], "dashboard_url": None,
    }  # fmt: skip


def test_address_is_kept_by_a_change_without_one_replaced_by_a_new_one_and_goes_with_its_channel(
    backend: Backend,
) -> None:
    number = make(backend).json()["id"]
    changed = backend.user("PUT", f"{CHANNELS}/{number}", json=BODY | {"name": "é", "address": None}).json()
    assert (changed["name"], changed["ending"], files_of(backend.home)) == ("é", "else", [SLACK])
    other = SLACK.replace("else", "but-me")
    changed = backend.user("PUT", f"{CHANNELS}/{number}", json=BODY | {"address": other}).json()
    assert (changed["ending"], files_of(backend.home)) == ("t-me", [other])
    assert backend.user("DELETE", f"{CHANNELS}/{number}").json() == {"id": number, "name": "team"}
    assert files_of(backend.home) == []
    check_problem(backend.user("DELETE", f"{CHANNELS}/{number}"), 404, "channel_not_found")


def test_short_address_shows_no_characters(lab: Callable[..., Lab]) -> None:
    backend = lab("http://127.0.0.1:9").backend
    assert make(backend, kind="webhook", address="http://127.0.0.1:9/short").json()["ending"] == ""


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"address": None}, "no_address"),
        ({"address": "https://evil.example/x"}, "webhook_host"),
        ({"address": "http://hooks.slack.com/x"}, "webhook_not_https"),
        ({"address": "https://hooks.slack.com@evil.example/x"}, "bad_address"),
        ({"address": "x"}, "bad_address"),
        ({"kind": "webhook"}, "webhook_host"),
        ({"kind": "discord"}, "webhook_host"),
        ({"name": "a\nb"}, "bad_name"),
        ({"name": " "}, "bad_name"),
        ({"events": ["test"]}, "bad_events"),
        ({"recipients": ["one@other.example"]}, "bad_recipients"),
        ({"kind": "email", "address": None, "recipients": ["one@other.example"]}, "no_mail"),
    ],
)
def test_channel_that_may_not_be_is_refused_and_leaves_nothing(
    backend: Backend, changes: dict[str, Any], code: str
) -> None:
    reply = make(backend, **changes)
    problem = check_problem(reply, 422, code)
    assert "of-nobody-else" not in str(problem)
    assert backend.get("/notifications")["channels"] == []


@pytest.mark.parametrize(
    "recipients",
    [[], ["other@other.example"], ["x@sub.lab.example"], ["x@lab.example.evil.example"], ["a@lab.example\nBcc: b@c"],
     ["<a@lab.example>"], ["one@other.example", "two@other.example"]],
)  # fmt: skip
def test_mail_goes_only_to_recipients_on_the_operators_list(
    start: Callable[..., Backend], recipients: list[str]
) -> None:
    backend = start(**MAIL)
    check_problem(make(backend, kind="email", address=None, recipients=recipients), 422, "bad_recipients")
    allowed = make(backend, kind="email", address=None, recipients=["A@Lab.example", "one@other.example"])
    assert allowed.json()["recipients"] == ["A@Lab.example", "one@other.example"]


def test_same_key_makes_one_channel_and_its_reply_is_kept_without_the_address(backend: Backend) -> None:
    key = {"Idempotency-Key": "k"}
    first, second = (backend.user("POST", CHANNELS, json=BODY, headers=key).json() for _ in range(2))
    assert first == second
    other = backend.user("POST", CHANNELS, json=BODY | {"address": SLACK + "x"}, headers=key)
    check_problem(other, 422, "idempotency_key_reused")
    check_problem(make(backend), 409, "name_taken")
    check_problem(
        backend.user("PUT", f"{CHANNELS}/{first['id']}", json=BODY | {"kind": "discord", "address": None}), 409,
        "other_kind",
    )  # fmt: skip


def test_address_is_in_no_database_reply_log_or_backup_and_is_missing_after_a_restore(
    lab: Callable[..., Lab], tmp_path: Path, caplog: pytest.LogCaptureFixture, start: Callable[..., Backend]
) -> None:
    caplog.set_level(logging.DEBUG)
    with receiving(500) as receiver:
        here = lab(receiver)
        number = here.channel(receiver)
        here.fail()
        here.send_all(8)
        replies = [here.backend.user("GET", path).text for path in ("/notifications", "/notifications/deliveries")]
        assert len(receiver.taken) > 1
        back_up(here.backend.home, tmp_path / "b.tar", models=False, say=lambda _: None)
        restore(tmp_path / "b.tar", tmp_path / "new", lambda _: None)
        there = Lab(start(home=tmp_path / "new", webhook_hosts=receiver.origin))
        (channel,) = there.backend.get("/notifications")["channels"]
        assert (channel["address_missing"], channel["ending"]) == (True, "else")
        there.backend.user("POST", f"{CHANNELS}/{number}/test")
        taken = len(receiver.taken)
        there.send()
        assert len(receiver.taken) == taken
        assert there.deliveries()[-1]["error"].startswith("The channel's address is not here")
        body = {"name": "lab", "kind": "webhook", "events": ["alarm"], "address": receiver.origin + SECRET}
        assert not there.backend.user("PUT", f"{CHANNELS}/{number}", json=body).json()["address_missing"]
    secret = SECRET.encode()
    database = b"".join(path.read_bytes() for path in (here.backend.home / "backend").glob("memgen.db*"))
    archive = (tmp_path / "b.tar").read_bytes()
    assert not any(secret in data for data in (database, archive, *(reply.encode() for reply in replies)))
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        assert not [name for name in tar.getnames() if "channel-addresses" in name]
    assert SECRET not in caplog.text


def test_messages_are_paged_and_those_of_one_channel_are_found(backend: Backend) -> None:
    first, second = make(backend).json()["id"], make(backend, name="other").json()["id"]
    for number in (first, second, first):
        assert backend.user("POST", f"{CHANNELS}/{number}/test").status_code == 202
    page = backend.get("/notifications/deliveries", limit=2)
    assert [one["channel"] for one in page["items"]] == ["team", "other"]
    rest = backend.get("/notifications/deliveries", limit=2, cursor=page["next_cursor"])
    assert ([one["channel"] for one in rest["items"]], rest["next_cursor"]) == (["team"], None)
    assert len(backend.get("/notifications/deliveries", channel=first)["items"]) == 2
    check_problem(backend.user("POST", "/notifications/deliveries/99/again"), 404, "delivery_not_found")
    check_problem(backend.user("GET", "/notifications/deliveries", params={"cursor": "x"}), 400, "bad_cursor")
