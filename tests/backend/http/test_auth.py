"""Who may ask what: users, workers, and the supervisor of one attempt."""

import re

from tests.backend.conftest import API, Backend, check_problem

USER_ROUTES = [
    ("GET", "/presets"), ("GET", "/data-sets"), ("GET", "/schema/evaluate"), ("POST", "/preflight"), ("POST", "/runs"),
    ("GET", "/runs"), ("GET", "/runs/1"), ("POST", "/runs/1/stop"), ("POST", "/runs/1/priority"),
    ("POST", "/runs/1/note"),
    ("POST", "/runs/stop"), ("POST", "/runs/delete"), ("GET", "/runs/numbers"), ("POST", "/runs/tags"),
    ("POST", "/runs/archive"), ("POST", "/pipelines/tags"), ("POST", "/pipelines/archive"), ("GET", "/tags"),
    ("GET", "/search"), ("GET", "/saved-views"), ("POST", "/saved-views"), ("POST", "/saved-views/1/rename"),
    ("DELETE", "/saved-views/1"),
    ("POST", "/runs/1/resume"), ("POST", "/runs/1/retry"), ("POST", "/runs/1/rescore"),
    ("DELETE", "/runs/1"), ("GET", "/runs/1/metrics"), ("GET", "/runs/1/log"),
    ("GET", "/runs/1/log/lines"), ("GET", "/runs/1/answers"), ("GET", "/runs/1/rollouts"),
    ("GET", "/runs/1/events"), ("GET", "/health"), ("GET", "/workers"), ("GET", "/queue"), ("POST", "/queue/pause"),
    ("POST", "/pipelines"), ("POST", "/pipelines/preflight"), ("GET", "/pipelines"), ("GET", "/pipelines/candidates"),
    ("GET", "/pipelines/numbers"),
    ("GET", "/pipelines/1"), ("GET", "/home"), ("GET", "/checkpoints/results"),
    ("POST", "/pipelines/1/continue"), ("POST", "/pipelines/1/stop"), ("GET", "/checkpoints"),
    ("POST", "/checkpoints"), ("POST", "/checkpoints/shipped"), ("DELETE", "/checkpoints/1"),
    ("GET", "/checkpoints/1"), ("GET", "/lineage"), ("GET", "/compare"), ("GET", "/compare/answers"),
    ("GET", "/compare/insertions"), ("GET", "/curves"), ("GET", "/compare/export"),
    ("GET", "/compare/answers/export"), ("GET", "/compare/baseline"), ("POST", "/compare/baseline"),
    ("GET", "/data-sets/files"), ("POST", "/data-sets/uploads"),
    ("POST", "/data-sets/preview"), ("POST", "/data-sets"), ("GET", "/data-sets/wordproblems"),
    ("GET", "/data-sets/wordproblems/questions"), ("DELETE", "/data-sets/wordproblems"),
    ("GET", "/notifications"), ("POST", "/notifications/channels"), ("PUT", "/notifications/channels/1"),
    ("DELETE", "/notifications/channels/1"), ("POST", "/notifications/channels/1/test"),
    ("GET", "/notifications/deliveries"), ("POST", "/notifications/deliveries/1/again"),
    ("GET", "/sites"), ("POST", "/sites/drain"), ("POST", "/workers/drain"),
    ("POST", "/try"), ("GET", "/try"), ("GET", "/try/1"), ("POST", "/try/1/questions"), ("POST", "/try/1/stop"),
    ("POST", "/try/1/keep"), ("POST", "/try/1/data-set"), ("GET", "/try/1/stream"),
    ("GET", "/saved-launches"), ("PUT", "/saved-launches/wordproblems"), ("DELETE", "/saved-launches/wordproblems"),
]  # fmt: skip
WORKER_ROUTES = [("POST", "/worker/announce"), ("POST", "/worker/claim"), ("POST", "/worker/look")]
ATTEMPT_ROUTES = [
    ("POST", f"/worker/attempts/1/{name}") for name in ("heartbeat", "log", "events", "answers", "rollouts", "output")
]
CHECKPOINT_ROUTES = [
    ("GET", "/worker/attempts/1/start"), ("GET", "/worker/attempts/1/start/file"), ("GET", "/worker/attempts/1/output"),
    ("POST", "/worker/attempts/1/output/place"),
]  # fmt: skip
SESSION_ROUTES = [("POST", f"/worker/sessions/1/{name}") for name in ("heartbeat", "events", "finish")]
FINISH = ("POST", "/worker/attempts/1/finish")
CLAIM_OF_A_JOB = ("POST", "/worker/jobs/1/claim")  # with a ticket: tests/backend/services/test_dispatch.py
ENDED = {"outcome": "failed", "cause": "error", "exit_code": 1}


def test_lists_of_routes_name_every_route_of_the_api(backend: Backend) -> None:
    paths = backend.http.get(f"{API}/openapi.json").json()["paths"]
    known = {(method.upper(), path.removeprefix(API)) for path, methods in paths.items() for method in methods}
    named = {*USER_ROUTES, *WORKER_ROUTES, *ATTEMPT_ROUTES, *SESSION_ROUTES, *CHECKPOINT_ROUTES, FINISH, CLAIM_OF_A_JOB}
    shown = {
        (method, re.sub(r"\{\w+_id\}", "1", path).replace("{stage}", "evaluate").replace("{name}", "wordproblems"))
        for method, path in known
    }
    assert shown == named


def test_missing_or_wrong_token_is_refused_before_anything_else(backend: Backend) -> None:
    attempt = backend.started()
    context = backend.context
    for method, path in [*USER_ROUTES, *WORKER_ROUTES]:
        url = API + path
        other = context.user_token if (method, path) in WORKER_ROUTES else context.worker_token
        check_problem(backend.http.request(method, url), 401, "no_token")
        for token in (other, attempt.token, "né", context.user_token + "x", context.worker_token[:-1]):
            reply = backend.http.request(method, url, headers={"Authorization": f"Bearer {token}".encode()})
            check_problem(reply, 401, "wrong_token")
            assert reply.headers["www-authenticate"] == "Bearer"
        check_problem(backend.http.request(method, url, headers={"Authorization": "Basic eDp5"}), 401, "no_token")


def test_report_needs_the_token_of_its_attempt(backend: Backend) -> None:
    first, second = backend.started(), backend.started()
    assert first.id == 1
    for method, path in [*ATTEMPT_ROUTES, *CHECKPOINT_ROUTES, FINISH]:
        arguments = {"json": ENDED} if path.endswith("finish") else {"params": {"offset": 0}}
        check_problem(backend.http.request(method, API + path, **arguments), 401, "no_token")
        for token in (second.token, backend.context.user_token, backend.context.worker_token):
            headers = {"Authorization": f"Bearer {token}"}
            check_problem(backend.http.request(method, API + path, headers=headers, **arguments), 401, "wrong_token")
    assert backend.run(first.run_id)["attempts"][0]["status"] == "starting"


def test_token_of_an_attempt_is_stale_after_its_end(backend: Backend) -> None:
    attempt = backend.started()
    assert attempt.finish().status_code == 200
    check_problem(attempt.beat(), 409, "stale_attempt")
    for stream in ("log", "events", "answers", "rollouts"):
        check_problem(attempt.send(stream, b"x\n"), 409, "stale_attempt")
    check_problem(attempt.finish("stopped", "stopped"), 409, "stale_attempt")


def test_attempts_cannot_be_counted(backend: Backend) -> None:
    there = backend.started()
    replies = [
        backend.worker(f"attempts/{attempt_id}/heartbeat")
        for attempt_id in (there.id, 0, -1, 999, 2**63, 2**70, "x", "１", "1/")
    ]
    for reply in replies:
        check_problem(reply, 401, "wrong_token")
    assert len({reply.text for reply in replies}) == 1


def test_queued_attempt_has_no_token_yet(backend: Backend) -> None:
    backend.submit()
    check_problem(backend.worker("attempts/1/heartbeat"), 401, "wrong_token")
