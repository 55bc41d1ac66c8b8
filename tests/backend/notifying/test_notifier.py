"""Messages from the event to the receiver: each once, tried again, bounded, and never in anybody's way."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path

import pytest
from sqlmodel import select

from backend.notifying import connection
from backend.notifying.connection import post
from backend.notifying.failure import NotTaken
from backend.services import outbox
from backend.serving.webhook_hosts import Origin, check_address, named_origins, read_address
from backend.store.models import Delivery, Notice
from tests.backend.conftest import Backend
from tests.backend.notifying.conftest import SECRET, Lab
from tests.receivers import hanging, receiving

ALARM = {"event": "alarm", "code": "no_variance", "step": 12, "fact": "In the last 10 steps no question had two."}


def test_receiver_that_fails_twice_gets_each_message_once(lab: Callable[..., Lab]) -> None:
    with receiving(500, 503) as receiver:
        here = lab(receiver)
        here.channel(receiver, "run_failed")
        for number in range(3):
            here.fail(f"reason {number}")
        here.send_all(40)
        assert sorted(body["title"].split(" (")[0] for body in receiver.taken) == ["Run 1", "Run 2", "Run 3"]
        assert len({body["id"] for body in receiver.taken}) == 3
        assert len(receiver.asked) == 5
    for _, headers, body in receiver.asked:
        assert headers["X-MemGen-Message"] == headers["Idempotency-Key"] == body["id"]
    assert [(one["status"], one["tries"]) for one in here.deliveries()] == [("sent", 2), ("sent", 2), ("sent", 1)]


def test_pauses_grow_and_a_message_is_given_up_and_sent_again_by_hand(lab: Callable[..., Lab]) -> None:
    with receiving(*[500] * outbox.MOST_TRIES) as receiver:
        here = lab(receiver)
        here.channel(receiver, "run_failed")
        here.fail()
        times = []
        while (newest := here.deliveries()[-1])["status"] == "waiting":
            before = len(receiver.asked)
            here.send(1)
            times += [here.backend.clock.now] * (len(receiver.asked) - before)
            if len(times) > 3:
                here.backend.clock.pass_time(600)
        pauses = [round(later - earlier) for earlier, later in pairwise(times)]
        assert pauses[:3] == [5, 15, 45]
        assert (newest["status"], newest["tries"]) == ("gave_up", outbox.MOST_TRIES)
        assert newest["error"] == f"127.0.0.1:{receiver.port} answered 500 Internal Server Error."
        here.send_all(5)
        assert receiver.taken == []
        reply = here.backend.user("POST", f"/notifications/deliveries/{newest['id']}/again")
        assert (reply.status_code, reply.json()["status"]) == (202, "waiting")
        here.send()
        assert [body["id"] for body in receiver.taken] == [newest["message_id"]]
        again = here.backend.user("POST", f"/notifications/deliveries/{newest['id']}/again")
        assert (again.status_code, again.json()["code"]) == (409, "already_sent")


def test_receiver_says_how_long_to_wait(lab: Callable[..., Lab]) -> None:
    with receiving(429, Retry_After="120") as receiver:
        here = lab(receiver)
        here.channel(receiver, "run_failed")
        here.fail()
        here.send()
        here.send(119)
        assert len(receiver.asked) == 1
        here.send(2)
        assert len(receiver.taken) == 1


def test_messages_say_what_happened_and_lead_there(lab: Callable[..., Lab]) -> None:
    with receiving() as receiver:
        here = lab(receiver, dashboard_url="https://lab.example.org/memgen/")
        here.channel(receiver)
        here.fail()
        here.backend.user("POST", "/runs/1/note", json={"note": "é"})
        here.succeed()
        held = here.backend.started(stage="weaver_sft", num_questions=8)
        held.say({"event": "phase", "name": "train"}, ALARM, ALARM)
        here.send_all()
        told = [(body["event"], body["title"]) for body in receiver.taken]
        assert told == [
            ("run_failed", "Run 1 (evaluate, base) has failed"),
            ("queue_empty", "The queue ran empty"),
            ("run_finished", "Run 2 (evaluate, base) has finished"),
            ("queue_empty", "The queue ran empty"),
            ("alarm", "Alarm in run 3 (weaver_sft): Rewards do not differ"),
        ]
    failed, _, finished, _, alarm = receiver.taken
    assert failed["text"].startswith("The disk is full.\nMake room.\n")
    assert str(here.backend.config["preset"]) in failed["text"]
    assert (failed["run_id"], failed["link"]) == (1, "https://lab.example.org/memgen/run?run=1")
    assert "Accuracy: 50.0 %, Questions: 6." in finished["text"]
    assert "Step 12. In the last 10 steps no question had two." in alarm["text"]
    assert "Likely cause: Each question's completions are all right or all wrong" in alarm["text"]
    assert "What helps: Look at the rollouts." in alarm["text"]


def test_finished_evaluation_says_its_change_against_its_base(lab: Callable[..., Lab]) -> None:
    with receiving() as receiver:
        here = lab(receiver)
        here.channel(receiver, "run_finished", "pipeline_finished")
        here.backend.submit_pipeline()
        for _ in range(6):
            here.backend.work()
            here.backend.reconciler.round()
            here.send(1)
        here.send_all(2)
    texts = {body["run_id"]: body["text"] for body in receiver.taken if body["event"] == "run_finished"}
    assert "points against run" not in texts[1]
    assert "points against run 1 on 6 questions" in texts[3]
    (whole,) = [body for body in receiver.taken if body["event"] == "pipeline_finished"]
    assert (whole["title"], whole["pipeline_id"], whole["run_id"]) == ("Pipeline 1 has finished", 1, None)
    assert "- Weaver evaluation (run 3): succeeded; Accuracy: 50.0 %" in whole["text"]


def test_pipeline_that_failed_is_told_once_and_one_that_was_stopped_is_not(lab: Callable[..., Lab]) -> None:
    with receiving() as receiver:
        here = lab(receiver)
        here.channel(receiver, "pipeline_finished", "queue_empty")
        here.backend.submit_pipeline()
        here.backend.work()
        here.backend.work("failed")
        here.send_all(2)
        assert receiver.taken == []  # its steps have not been skipped yet
        here.backend.reconciler.round()
        here.send_all(4)
        assert [body["title"] for body in receiver.taken] == ["Pipeline 1 has failed", "The queue ran empty"]
        assert receiver.taken[0]["text"].count("skipped") == 4
        second = here.backend.submit_pipeline()["id"]
        here.backend.user("POST", f"/pipelines/{second}/stop", json={"mode": "save"})
        here.send_all(4)
    assert [body["title"] for body in receiver.taken[2:]] == ["The queue ran empty"]


def test_where_nobody_listens_nothing_is_written(lab: Callable[..., Lab]) -> None:
    with receiving() as receiver:
        here = lab(receiver)
        here.fail()
        channel = here.channel(receiver, "alarm")
        here.succeed()
        body = {"name": "lab", "kind": "webhook", "events": ["run_failed"], "enabled": False}
        assert here.backend.user("PUT", f"/notifications/channels/{channel}", json=body).status_code == 200
        here.fail()
    with here.backend.context.database.read() as session:
        assert session.exec(select(Notice)).all() == []


def test_many_failures_at_once_become_one_message(lab: Callable[..., Lab]) -> None:
    with receiving() as receiver:
        here = lab(receiver)
        here.channel(receiver, "run_failed")
        here.fail_at_once(200)
        here.send_all(100)
    (digest,) = receiver.taken
    assert (digest["event"], digest["title"]) == ("digest", "200 messages in one")
    assert digest["text"].startswith("200 times: a run failed.\n- Run 1 (evaluate, base) has failed")
    assert digest["text"].endswith("and 195 more")
    statuses = [one["status"] for one in here.deliveries()]
    assert (statuses.count("merged"), statuses[-1]) == (199, "sent")  # the page holds 200


def test_failures_that_follow_each_other_are_told_one_by_one_and_then_together(lab: Callable[..., Lab]) -> None:
    with receiving() as receiver:
        here = lab(receiver)
        here.channel(receiver, "run_failed")
        for _ in range(60):
            here.fail_at_once(1)
            here.send(2)
        assert len(receiver.taken) <= outbox.MOST_IN_WINDOW + 3
        here.send(61)
        here.send(1)
    told = sum(int(body["title"].split()[0]) if body["event"] == "digest" else 1 for body in receiver.taken)
    assert told == 60


def test_message_that_was_tried_is_never_merged_into_another(lab: Callable[..., Lab]) -> None:
    with receiving(500) as receiver:
        here = lab(receiver)
        here.channel(receiver, "run_failed")
        here.fail()
        here.send()
        here.fail_at_once(10)
        here.send_all(10)
    assert [body["event"] for body in receiver.taken] == ["digest", "run_failed"]
    assert receiver.taken[1]["id"] == receiver.asked[0][2]["id"]


@pytest.mark.parametrize("first_bytes", [b"", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10_000], ids=["silent", "dripping"])
def test_receiver_that_hangs_costs_its_channel_alone_and_only_for_a_while(
    lab: Callable[..., Lab], first_bytes: bytes
) -> None:
    with receiving() as receiver, hanging(first_bytes) as port:
        here = lab(f"http://127.0.0.1:{port}", receiver, notification_patience_seconds=1.0)
        here.channel(f"http://127.0.0.1:{port}", "run_failed", name="hangs")
        here.channel(receiver, "run_failed", name="well")
        here.fail()
        began = time.monotonic()
        here.notifier.round()
        with here.backend.context.database.write():  # nobody holds the writer meanwhile
            assert time.monotonic() - began < 0.9
        here.notifier.wait(10)
        assert 0.9 < time.monotonic() - began < 5
        assert len(receiver.taken) == 1
    hangs = here.deliveries()[0]
    assert (hangs["status"], hangs["error"]) == ("waiting", f"127.0.0.1:{port} did not take it within 1 s.")


def test_redirect_is_not_followed(lab: Callable[..., Lab]) -> None:
    with receiving() as other, receiving(302, Location=f"{other.origin}/x") as receiver:
        here = lab(receiver, other)
        here.channel(receiver, "run_failed")
        here.fail()
        here.send()
        assert "302 Found: it points elsewhere, and that is not followed" in here.deliveries()[0]["error"]
        assert (len(receiver.asked), other.asked) == (1, [])


@pytest.mark.parametrize("inside", ["127.0.0.1", "::1", "10.0.0.7", "169.254.169.254", "::ffff:127.0.0.1"])
def test_public_name_that_resolves_to_an_address_inside_is_not_connected_to(inside: str) -> None:
    with receiving() as receiver:
        address = read_address(f"https://hooks.slack.com:{receiver.port}/x")
        origin = Origin("https", "hooks.slack.com", receiver.port)
        with pytest.raises(NotTaken, match="lies inside this machine's own network"):
            post(address, origin, b"{}", {}, patience=2, resolve=lambda *_: ["8.8.8.8", inside])
        assert receiver.asked == []


def test_connection_goes_to_the_address_that_was_looked_at_and_names_are_asked_for_once() -> None:
    answers = iter([["127.0.0.1"]])  # a server of names that says something else the next time
    with receiving() as receiver:
        named = f"http://hooks.example.org:{receiver.port}"
        address = read_address(named + SECRET)
        origin = check_address(address, named_origins(named))
        post(address, origin, b"{}", {}, patience=2, resolve=lambda *_: next(answers))
        ((path, headers, _),) = receiver.asked
    assert (path, headers["Host"]) == (SECRET, f"hooks.example.org:{receiver.port}")


@pytest.mark.parametrize(
    ("host", "trusted", "reason"),
    [
        ("hooks.example.org", True, ""),
        ("hooks.example.org", False, "self-signed certificate"),
        ("other.example.org", True, "Hostname mismatch"),
    ],
)
def test_certificate_is_compared_with_the_name_wherever_the_connection_goes(
    monkeypatch: pytest.MonkeyPatch, host: str, trusted: bool, reason: str
) -> None:
    certificate = Path(__file__).parent / "hooks.example.org.pem"
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    connection._trusted.cache_clear()
    with receiving(certificate=certificate) as receiver:
        address = read_address(f"https://{host}:{receiver.port}{SECRET}")
        origin = check_address(address, named_origins(f"{host}:{receiver.port}"))
        with pytest.raises(NotTaken, match=reason) if reason else nullcontext():
            post(address, origin, b"{}", {}, patience=5, resolve=lambda *_: ["127.0.0.1"])
        assert len(receiver.asked) == (not reason)
    connection._trusted.cache_clear()


def test_host_that_the_operator_no_longer_names_gets_nothing(lab: Callable[..., Lab]) -> None:
    with receiving() as receiver:
        lab(receiver).channel(receiver, "run_failed")
        here = lab()
        here.fail()
        here.send()
        assert receiver.asked == []
    assert "MEMGEN_WEBHOOK_HOSTS" in here.deliveries()[0]["error"]
    assert SECRET not in here.deliveries()[0]["error"]


def test_what_was_on_its_way_when_the_backend_ended_is_sent_again_with_the_same_id(lab: Callable[..., Lab]) -> None:
    with receiving() as receiver:
        here = lab(receiver)
        here.channel(receiver, "run_failed")
        here.fail()
        database = here.backend.context.database
        with database.write() as session:  # as the notifier does before it sends
            (parcel,) = outbox.take(session, at=here.backend.clock(), busy=(), most=1)
        second = lab(receiver)
        with second.backend.context.database.write() as session:
            outbox.begin_anew(session)
        second.send()
    assert [body["id"] for body in receiver.taken] == [parcel.message_id]


def test_channel_that_is_turned_off_or_deleted_gets_nothing_more(lab: Callable[..., Lab]) -> None:
    with receiving() as receiver:
        here = lab(receiver)
        off, gone = here.channel(receiver, "run_failed"), here.channel(receiver, "run_failed", name="other")
        here.fail()
        body = {"name": "lab", "kind": "webhook", "events": ["run_failed"], "enabled": False}
        assert here.backend.user("PUT", f"/notifications/channels/{off}", json=body).status_code == 200
        assert here.backend.user("DELETE", f"/notifications/channels/{gone}").status_code == 200
        here.send_all(3)
        assert receiver.asked == []
        assert [(one["status"], one["error"]) for one in here.deliveries()] == [
            ("gave_up", "The channel was turned off.")
        ]
        assert here.backend.user("POST", f"/notifications/channels/{off}/test").status_code == 202
        here.send()
        assert [body["event"] for body in receiver.taken] == ["test"]


def test_old_messages_are_forgotten_and_deleted_runs_leave_theirs(
    lab: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MOST_KEPT", 3)
    with receiving() as receiver:
        here = lab(receiver)
        here.channel(receiver, "run_failed")
        for _ in range(5):
            here.backend.user("DELETE", f"/runs/{here.fail()}", params={"confirm": True})
            here.send(1)
        here.send(3600)
        assert [one["run_id"] for one in here.deliveries()] == [3, 4, 5]
        here.send(31 * 86_400)
    with here.backend.context.database.read() as session:
        assert session.exec(select(Notice)).all() == []
        assert session.exec(select(Delivery)).all() == []


def test_error_in_what_is_told_lets_runs_end(lab: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        here = lab(receiver)
        here.channel(receiver)

        def broken(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr("backend.services.notice_words.run_words", broken)
        backend: Backend = here.backend
        assert backend.run(here.fail())["status"] == "failed"
