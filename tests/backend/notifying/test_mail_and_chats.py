"""Mail through a real server on loopback, and text of users that stays text in mail, Slack and Discord."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from backend.notifying.failure import NotTaken
from backend.notifying.mail import mail_of, send
from backend.notifying.webhooks import discord_body, slack_body
from backend.services.outbox import Parcel
from backend.settings import Settings
from tests.backend.conftest import Backend
from tests.backend.notifying.conftest import Lab
from tests.receivers import hanging, mail_server

ODD = "<!channel> @everyone <@1> [x](https://evil.example) *b* `c` https://evil.example ||s|| &amp; é\u202e"
PARCEL = Parcel(
    delivery_id=1, message_id="0a1b", event="run_failed", title=ODD, text=f"{ODD}\n{ODD}", run_id=1, pipeline_id=None,
    created_at=1_800_000_000.0, channel_id=1, kind="email", address_key="", recipients=("a@lab.example",),
)  # fmt: skip
LINK = "https://lab.example/run?run=1&x=y"


def operator(port: int, **changes: Any) -> dict[str, Any]:
    return {
        "smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": "none", "smtp_from": "memgen@lab.example",
        "mail_to": "lab.example", **changes,
    }  # fmt: skip


def test_failed_run_is_told_by_mail_once_with_a_lasting_id(start: Callable[..., Backend]) -> None:
    login = ("memgen", "hunter 2")
    with mail_server(login=login) as box:
        here = Lab(start(**operator(box.port, smtp_user=login[0], smtp_password=login[1])))
        here.mail_channel("a@lab.example", "b@lab.example")
        here.fail()
        here.send_all(4)
        assert [mail["subject"] for _, mail in box.mails] == [
            "[MemGen] Run 1 (evaluate, base) has failed",
            "[MemGen] The queue ran empty",
        ]
        recipients, mail = box.mails[0]
    assert recipients == ["a@lab.example", "b@lab.example"]
    assert (mail["from"], mail["to"]) == ("memgen@lab.example", "a@lab.example, b@lab.example")
    assert mail["message-id"] == f"<{here.deliveries()[0]['message_id']}@lab.example>"
    assert mail["auto-submitted"] == "auto-generated"
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().splitlines()[:2] == ["The disk is full.", "Make room."]


def test_recipient_that_the_server_refuses_keeps_the_mail_from_nobody_else(start: Callable[..., Backend]) -> None:
    with mail_server(refused={"b@lab.example"}) as box:
        here = Lab(start(**operator(box.port)))
        here.mail_channel("a@lab.example", "b@lab.example")
        here.fail()
        here.send()
        assert [recipients for recipients, _ in box.mails] == [["a@lab.example"]]
        told = here.deliveries()[0]
        assert (told["status"], told["error"]) == ("sent", "Not taken for b@lab.example.")
        box.refused.add("a@lab.example")
        here.send(1)
    told = here.deliveries()[1]
    assert (told["status"], told["error"]) == (
        "waiting", "The mail server refused every recipient: a@lab.example, b@lab.example.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"smtp_user": "memgen", "smtp_password": "wrong"}, "refused the operator's name and password"),
        ({"smtp_security": "starttls"}, "can't be used: SMTPNotSupportedError"),
        ({"smtp_security": "tls"}, "can't be used: SSLError"),
        ({"mail_to": "other.example"}, "None of the recipients is allowed any more"),
        ({"smtp_host": None}, "has not said how mail is sent"),
    ],
)
def test_mail_that_can_not_be_sent_says_why_and_not_the_password(changes: dict[str, Any], reason: str) -> None:
    with mail_server(login=("memgen", "right")) as box:
        settings = Settings(**operator(box.port, **changes))
        with pytest.raises(NotTaken, match=reason) as refused:
            send(PARCEL, None, settings)
    assert "wrong" not in str(refused.value)
    assert box.mails == []


def test_mail_server_that_hangs_is_left_alone_after_a_while() -> None:
    with hanging() as port, pytest.raises(NotTaken, match=r"did not answer within 0\.5 s"):
        send(PARCEL, None, Settings(**operator(port, notification_patience_seconds=0.5)))


def test_line_breaks_of_a_title_make_no_header() -> None:
    title = "a\r\nBcc: evil@example.org\n\u2028b"
    mail = mail_of(Parcel(**(vars(PARCEL) | {"title": title})), LINK, "memgen@lab.example", ["a@lab.example"])
    assert (mail["subject"], mail["bcc"]) == ("[MemGen] a Bcc: evil@example.org b", None)
    assert mail.get_content().endswith(f"\n\n{LINK}\n")


def test_slack_mentions_nobody_and_leads_nowhere_but_to_us() -> None:
    body = slack_body(PARCEL, LINK)
    assert "<" not in body["text"]
    assert ">" not in body["text"]
    assert body["text"].endswith("https://lab.example/run?run=1&amp;x=y")
    assert (body["mrkdwn"], body["unfurl_links"]) == (False, False)


def test_discord_mentions_nobody_formats_nothing_and_takes_no_more_than_fits() -> None:
    body = discord_body(PARCEL, LINK)
    assert body["allowed_mentions"] == {"parse": []}
    assert r"\[x\]\(https\://evil.example\)" in body["content"]
    assert body["content"].startswith(r"**\<!channel\> \@everyone")
    long = discord_body(Parcel(**(vars(PARCEL) | {"text": "*" * 1500})), LINK)["content"]
    assert len(long) <= 2000
    assert long.endswith(f" …\n<{LINK}>")
    json.dumps(body)
