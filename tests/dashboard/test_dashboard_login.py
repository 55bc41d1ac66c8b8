"""The login gate: what gets through, what does not, and how it says so."""

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from dashboard.login import LoginGate, local_path
from dashboard.session import COOKIE, SESSION_SECONDS, Sessions

TOKEN = "a-long-secret"
HOST = "dashboard.example"
SOCKET = f"ws://{HOST}/_stcore/stream"
HTML = {"Accept": "text/html,application/xhtml+xml"}


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


async def _inside(request: Request) -> PlainTextResponse:
    return PlainTextResponse("inside")


async def _echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("inside")
    await websocket.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def browser(clock: Clock) -> Iterator[TestClient]:
    app = Starlette(
        routes=[
            WebSocketRoute("/_stcore/stream", _echo),
            Route("/{path:path}", _inside, methods=["GET", "POST"]),
        ]
    )
    gate = LoginGate(app, token=TOKEN, allowed_hosts=[HOST], clock=clock)
    with TestClient(gate, base_url=f"http://{HOST}", follow_redirects=False) as client:
        yield client


def log_in(browser: TestClient, **fields: str) -> int:
    """Send the form; the status of the reply."""
    return browser.post("/login", data={"token": TOKEN} | fields).status_code


def test_page_without_cookie_leads_to_login_and_back() -> None:
    with TestClient(LoginGate(Starlette(), token=TOKEN), follow_redirects=False) as client:
        reply = client.get("/run?run=5&tab=Log", headers=HTML)
    assert reply.status_code == 303
    assert reply.headers["location"] == "/login?next=/run%3Frun%3D5%26tab%3DLog"


@pytest.mark.parametrize("path", ["/_stcore/health", "/static/js/index.js", "/media/x.png", "/_stcore/agent/mcp"])
def test_everything_else_without_cookie_is_401(browser: TestClient, path: str) -> None:
    reply = browser.get(path)
    assert (reply.status_code, "inside" in reply.text) == (401, False)


def test_post_without_cookie_is_401_even_where_html_is_asked_for(browser: TestClient) -> None:
    assert browser.post("/", headers=HTML).status_code == 401


def test_healthz_is_open(browser: TestClient) -> None:
    assert browser.get("/healthz").text == "ok"


def test_login_sets_a_strict_cookie_and_opens_the_way(browser: TestClient) -> None:
    reply = browser.post("/login", data={"token": f" {TOKEN}\n", "next": "/run?run=5"})
    assert (reply.status_code, reply.headers["location"]) == (303, "/run?run=5")
    cookie = reply.headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=strict", f"max-age={SESSION_SECONDS}", "path=/"))
    assert TOKEN not in cookie
    assert browser.get("/").text == "inside"


def test_wrong_token_says_so_and_sets_nothing(browser: TestClient) -> None:
    reply = browser.post("/login", data={"token": "nope", "next": "/runs"})
    assert reply.status_code == 401
    assert "not the token" in reply.text
    assert 'value="/runs"' in reply.text
    assert "set-cookie" not in reply.headers


def test_next_is_escaped_in_the_form(browser: TestClient) -> None:
    reply = browser.get("/login", params={"next": '/"><script>alert(1)</script>'})
    assert "<script>" not in reply.text


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example",
     "javascript:alert(1)", "", "/ /evil", "/login?next=/x", "/logout", "///evil.example"],
)  # fmt: skip
def test_foreign_next_leads_home(browser: TestClient, target: str) -> None:
    reply = browser.post("/login", data={"token": TOKEN, "next": target})
    assert (reply.status_code, reply.headers["location"]) == (303, "/")


def test_local_next_is_kept() -> None:
    assert local_path("/run?run=5&tab=Log") == "/run?run=5&tab=Log"
    assert local_path(None) == "/"


def test_cookie_ends_after_thirty_days(browser: TestClient, clock: Clock) -> None:
    log_in(browser)
    clock.now += SESSION_SECONDS - 1
    assert browser.get("/").status_code == 200
    clock.now += 2
    assert browser.get("/").status_code == 401


@pytest.mark.parametrize(
    "forge",
    [
        lambda good: good[:-1] + ("0" if good[-1] != "0" else "1"),
        lambda good: f"9{good[1:]}",
        lambda good: good.split(".")[0],
        lambda good: good.split(".")[0] + ".",
        lambda good: "",
        lambda good: "x.y",
        lambda good: "99999999999.\xe4",
    ],
)
def test_forged_cookie_is_refused(browser: TestClient, clock: Clock, forge) -> None:  # type: ignore[no-untyped-def]
    value = forge(Sessions(TOKEN, clock).new_cookie())
    reply = browser.get("/", headers={"Cookie": f"{COOKIE}={value}".encode("latin-1")})
    assert reply.status_code == 401


def test_cookie_outlives_a_restart_but_not_a_new_token(clock: Clock) -> None:
    cookie = Sessions(TOKEN, clock).new_cookie()
    assert Sessions(TOKEN, clock).cookie_is_good(cookie)
    assert not Sessions("another", clock).cookie_is_good(cookie)


def test_logout_clears_the_cookie(browser: TestClient) -> None:
    log_in(browser)
    reply = browser.get("/logout")
    assert (reply.status_code, reply.headers["location"]) == (303, "/login")
    assert browser.get("/").status_code == 401


def test_eleventh_wrong_try_within_a_minute_waits_even_with_the_right_token(browser: TestClient, clock: Clock) -> None:
    for _ in range(10):
        assert log_in(browser, token="nope") == 401
        clock.now += 1
    reply = browser.post("/login", data={"token": TOKEN})
    assert reply.status_code == 429
    assert reply.headers["retry-after"] == "50"
    assert "Wait 50 seconds" in reply.text
    clock.now += 51
    assert log_in(browser) == 303


def test_login_from_another_site_is_refused(browser: TestClient) -> None:
    for origin in ("https://evil.example", "null", f"http://{HOST}:9999"):
        reply = browser.post("/login", data={"token": TOKEN}, headers={"Origin": origin})
        assert (reply.status_code, "set-cookie" in reply.headers) == (403, False)
    assert browser.post("/login", data={"token": TOKEN}, headers={"Origin": f"http://{HOST}"}).status_code == 303


def test_large_form_is_refused(browser: TestClient) -> None:
    assert log_in(browser, token="x" * 10_000) == 413


def test_websocket_without_cookie_is_closed(browser: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect) as refusal, browser.websocket_connect(SOCKET):
        pass
    assert refusal.value.code == 1008


def test_websocket_with_cookie_opens(browser: TestClient) -> None:
    log_in(browser)
    with browser.websocket_connect(SOCKET, headers={"Origin": f"http://{HOST}"}) as socket:
        assert socket.receive_text() == "inside"


def test_websocket_from_another_site_is_closed_in_spite_of_the_cookie(browser: TestClient) -> None:
    log_in(browser)
    headers = {"Origin": "https://evil.example"}
    with pytest.raises(WebSocketDisconnect), browser.websocket_connect(SOCKET, headers=headers):
        pass


def test_unknown_host_name_is_refused_with_the_way_out(browser: TestClient) -> None:
    reply = browser.get("/login", headers={"Host": "rebound.example:8501"})
    assert reply.status_code == 400
    assert "MEMGEN_DASHBOARD_ALLOWED_HOSTS" in reply.text


def test_link_on_another_site_asks_again_from_here(browser: TestClient) -> None:
    reply = browser.get("/run?run=5", headers=HTML | {"Sec-Fetch-Site": "cross-site"})
    assert reply.status_code == 200
    assert 'content="0;url=/run?run=5"' in reply.text


@pytest.mark.parametrize("path", ["/", "/login", "/healthz", "/logout"])
def test_every_reply_has_the_security_headers(browser: TestClient, path: str) -> None:
    log_in(browser)
    headers = browser.get(path).headers
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
