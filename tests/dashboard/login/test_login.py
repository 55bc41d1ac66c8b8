"""The login gate: what gets through, what does not, and how it says so."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from backend.serving.hosts import AllowedHosts
from dashboard.login.gate import LoginGate, local_path
from dashboard.login.session import COOKIE, SESSION_SECONDS, Sessions

TOKEN = "a-long-secret-of-this-house"
HOST = "dashboard.example"
SOCKET = f"ws://{HOST}/_stcore/stream"
HTML = {"Accept": "text/html,application/xhtml+xml"}


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """What the gate waits passes at once."""
        self.now += seconds


async def _inside(request: Request) -> PlainTextResponse:
    return PlainTextResponse("inside")


async def _echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("inside")
    with suppress(WebSocketDisconnect):
        while True:
            await websocket.send_text(await websocket.receive_text())


@pytest.fixture
def clock() -> Clock:
    return Clock()


def gate(clock: Clock, **arguments: object) -> LoginGate:
    app = Starlette(
        routes=[
            WebSocketRoute("/_stcore/stream", _echo),
            Route("/{path:path}", _inside, methods=["GET", "POST"]),
        ]
    )
    hosts = AllowedHosts(frozenset({HOST}))
    return LoginGate(app, token=TOKEN, hosts=hosts, clock=clock, ticks=clock, **({"sleep": clock.sleep} | arguments))


@pytest.fixture
def open_browser(clock: Clock) -> Iterator[Callable[..., TestClient]]:
    """Browsers without cookies on gates of this house."""
    with ExitStack() as stack:

        def opened(**arguments: object) -> TestClient:
            client = TestClient(gate(clock, **arguments), base_url=f"http://{HOST}", follow_redirects=False)
            return stack.enter_context(client)

        yield opened


@pytest.fixture
def browser(open_browser: Callable[..., TestClient]) -> TestClient:
    return open_browser()


def log_in(browser: TestClient, **fields: str) -> int:
    """Send the form; the status of the reply."""
    return browser.post("/login", data={"token": TOKEN} | fields).status_code


def test_page_without_cookie_leads_to_login_and_back(browser: TestClient) -> None:
    reply = browser.get("/run?run=5&tab=Log", headers=HTML)
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


def test_cookies_are_secure_where_the_page_came_over_tls(clock: Clock) -> None:
    with TestClient(gate(clock), base_url=f"https://{HOST}", follow_redirects=False) as browser:
        reply = browser.post("/login", data={"token": TOKEN}, headers={"Origin": f"https://{HOST}"})
    cookies = reply.headers.get_list("set-cookie")
    assert len(cookies) == 2
    for cookie in cookies:
        assert all(part in cookie.lower() for part in ("; secure", "; httponly", "; samesite=strict"))


def test_wrong_token_says_so_and_sets_nothing(browser: TestClient) -> None:
    reply = browser.post("/login", data={"token": "nope", "next": "/runs"})
    assert reply.status_code == 401
    assert "not the token" in reply.text
    assert 'value="/runs"' in reply.text
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize(
    ("accepted", "kept", "language", "button"),
    [("ko-KR,ko;q=0.9", "", "ko", "로그인"), ("de", "", "en", "Log in"), ("de", "ko", "ko", "로그인")],
)
def test_the_form_is_in_the_language_that_was_kept_or_that_the_browser_asks_for(
    browser: TestClient, accepted: str, kept: str, language: str, button: str
) -> None:
    browser.cookies.set("memgen_language", kept)
    text = browser.get("/login", headers={"Accept-Language": accepted}).text
    assert f'<html lang="{language}">' in text
    assert f'<button type="submit">{button}</button>' in text


def test_a_link_to_a_language_is_kept_and_an_unknown_one_is_not(browser: TestClient) -> None:
    assert "set-cookie" not in browser.get("/login", params={"lang": "xx"}).headers
    reply = browser.get("/login", params={"lang": "ko", "next": "/runs"})
    assert "memgen_language=ko" in reply.headers["set-cookie"]
    assert 'href="/login?lang=en&amp;next=%2Fruns"' in reply.text
    wrong = browser.post("/login", data={"token": "nope"})
    assert "이 대시보드의 토큰이 아닙니다." in wrong.text


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
        lambda good: good[:-2] + ("00" if good[-2:] != "00" else "11"),
        lambda good: ("8" if good[0] == "9" else "9") + good[1:],
        lambda good: good.replace(".1", ".9", 1),
        lambda good: good.rpartition(".")[0],
        lambda good: good.rpartition(".")[0] + ".",
        lambda good: "",
        lambda good: "x.y",
        lambda good: "x.99999999999.\xe4",
        lambda good: good.partition(".")[2],
    ],
)
def test_forged_cookie_is_refused(browser: TestClient, clock: Clock, forge: Callable[[str], str]) -> None:
    value = forge(Sessions(TOKEN, clock).new_cookie())
    reply = browser.get("/", headers={"Cookie": f"{COOKIE}={value}".encode("latin-1")})
    assert reply.status_code == 401


def test_cookie_outlives_a_restart_but_not_a_new_token(clock: Clock) -> None:
    cookie = Sessions(TOKEN, clock).new_cookie()
    assert Sessions(TOKEN, clock).read(cookie)
    assert not Sessions("another", clock).read(cookie)


def test_cookie_of_a_browser_opens_nothing(browser: TestClient, clock: Clock) -> None:
    value = Sessions(TOKEN, clock).new_browser_cookie()
    assert browser.get("/", headers={"Cookie": f"{COOKIE}={value}"}).status_code == 401


def test_logout_asks_first_then_ends_the_session_on_the_server(browser: TestClient) -> None:
    log_in(browser)
    cookie = browser.cookies[COOKIE]
    assert "Log out?" in browser.get("/logout").text
    assert browser.get("/").status_code == 200
    reply = browser.post("/logout")
    assert (reply.status_code, reply.headers["location"]) == (303, "/login")
    assert COOKIE not in browser.cookies
    assert browser.get("/", headers={"Cookie": f"{COOKIE}={cookie}"}).status_code == 401


def test_logout_holds_after_a_restart_and_for_that_session_alone(
    open_browser: Callable[..., TestClient], tmp_path: Path
) -> None:
    ended_file = tmp_path / "dashboard" / "ended-sessions"
    first, second = (open_browser(ended_file=ended_file) for _ in range(2))
    log_in(first)
    log_in(second)
    cookie = first.cookies[COOKIE]
    first.post("/logout")
    assert ended_file.stat().st_mode & 0o777 == 0o600
    assert cookie not in ended_file.read_text()
    restarted = open_browser(ended_file=ended_file)
    assert restarted.get("/", headers={"Cookie": f"{COOKIE}={cookie}"}).status_code == 401
    assert restarted.get("/", headers={"Cookie": f"{COOKIE}={second.cookies[COOKIE]}"}).status_code == 200


def test_ended_sessions_are_forgotten_once_their_cookies_have_ended(clock: Clock, tmp_path: Path) -> None:
    sessions = Sessions(TOKEN, clock, tmp_path / "ended")
    for _ in range(3):
        session = sessions.read(sessions.new_cookie())
        assert session
        sessions.end(session)
        clock.now += SESSION_SECONDS + 1
    assert (tmp_path / "ended").read_text().count("\n") == 1


def test_damaged_file_of_ended_sessions_is_read_as_far_as_it_goes(clock: Clock, tmp_path: Path) -> None:
    sessions = Sessions(TOKEN, clock, tmp_path / "ended")
    cookie = sessions.new_cookie()
    session = sessions.read(cookie)
    assert session
    sessions.end(session)
    (tmp_path / "ended").write_bytes(b"\xff\nno number\nx 1e9\n" + (tmp_path / "ended").read_bytes())
    assert Sessions(TOKEN, clock, tmp_path / "ended").read(cookie) is None


def test_second_login_ends_the_session_that_it_replaces(browser: TestClient) -> None:
    log_in(browser)
    first = browser.cookies[COOKIE]
    log_in(browser)
    assert browser.cookies[COOKIE] != first
    assert browser.get("/").status_code == 200
    assert browser.get("/", headers={"Cookie": f"{COOKIE}={first}"}).status_code == 401


def test_wrong_try_is_answered_late_and_the_right_token_at_once(browser: TestClient, clock: Clock) -> None:
    start = clock.now
    for tries in range(1, 21):
        assert log_in(browser, token="nope") == 401
        assert clock.now == start + 2 * tries
    assert log_in(browser) == 303
    assert clock.now == start + 40


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


def test_logout_closes_the_websockets_of_its_session_alone(open_browser: Callable[..., TestClient]) -> None:
    browser = open_browser()
    other_cookie = {"Cookie": f"{COOKIE}={_another_session(browser)}"}
    log_in(browser)
    with (
        browser.websocket_connect(SOCKET) as socket,
        browser.websocket_connect(SOCKET, headers=other_cookie) as other,
    ):
        assert socket.receive_text() == other.receive_text() == "inside"
        browser.post("/logout")
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
        assert closed.value.code == 1008
        other.send_text("still here")
        assert other.receive_text() == "still here"
    with pytest.raises(WebSocketDisconnect), browser.websocket_connect(SOCKET):
        pass


def _another_session(browser: TestClient) -> str:
    log_in(browser)
    cookie = browser.cookies[COOKIE]
    browser.cookies.clear()
    return cookie


def test_websocket_ends_when_its_session_does(browser: TestClient, clock: Clock) -> None:
    log_in(browser)
    clock.now += SESSION_SECONDS - 0.05
    with browser.websocket_connect(SOCKET) as socket:
        assert socket.receive_text() == "inside"
        with pytest.raises(WebSocketDisconnect):
            socket.receive_text()


def test_unknown_host_name_is_refused_with_the_way_out(browser: TestClient) -> None:
    reply = browser.get("/login", headers={"Host": "rebound.example:8501"})
    assert reply.status_code == 400
    assert "MEMGEN_DASHBOARD_ALLOWED_HOSTS" in reply.text


def test_link_on_another_site_asks_again_from_here(browser: TestClient) -> None:
    reply = browser.get("/run?run=5", headers=HTML | {"Sec-Fetch-Site": "cross-site"})
    assert reply.status_code == 200
    assert 'content="0;url=/run?run=5"' in reply.text


@pytest.mark.parametrize("path", ["/", "/login", "/healthz", "/logout", "/_stcore/health"])
def test_every_reply_has_the_security_headers(browser: TestClient, path: str) -> None:
    log_in(browser)
    headers = browser.get(path).headers
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    policy = headers["content-security-policy"]
    assert all(part in policy for part in ("frame-ancestors 'none'", "form-action 'self'", "base-uri"))
    assert "http:" not in policy
    assert "https:" not in policy
