"""The doors: what strangers, guessers, other sites and forged headers get from login and API."""

import asyncio
import logging
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from backend.http.wrong_tokens import WrongTokens
from backend.serving.brake import Brake, WrongTryLines, address_group
from backend.serving.hosts import AllowedHosts, allowed_hosts, proxy_addresses
from backend.settings import Settings as BackendSettings
from dashboard.login.form import read_form
from dashboard.login.gate import LoginGate
from dashboard.settings import Settings as DashboardSettings
from memgen.contract.errors import BadInput
from tests.backend.conftest import API, Backend, Clock, check_problem
from tests.ports import free_port
from tests.running_stack import wait_until
from tests.serving import serving

TOKEN = "a-long-secret-of-this-house"
HOST = "studio.example"


async def _inside(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"inside, from {request.client.host if request.client else ''}")


def _gate(**arguments: object) -> LoginGate:
    app = Starlette(routes=[Route("/{path:path}", _inside, methods=["GET", "POST"])])
    hosts = AllowedHosts(frozenset({HOST, "127.0.0.1"}))
    return LoginGate(app, token=TOKEN, **({"hosts": hosts} | arguments))


@pytest.fixture
def browser() -> Iterator[TestClient]:
    gate = _gate(sleep=lambda _: asyncio.sleep(0))
    with TestClient(gate, base_url=f"http://{HOST}", follow_redirects=False, raise_server_exceptions=False) as client:
        yield client


def log_in(browser: TestClient | httpx.Client, token: str = TOKEN, **headers: str) -> httpx.Response:
    return browser.post("/login", data={"token": token}, headers=headers)


# the brake


def test_brake_has_few_places_per_address_and_overall_and_frees_them() -> None:
    clock = Clock()
    brake = Brake(clock, seconds=2, per_address=3, overall=5)
    assert [brake.wrong("10.0.0.1") for _ in range(4)] == [2, 2, 2, 0]
    assert brake.seconds_until_free("10.0.0.1") == 2
    assert brake.seconds_until_free("10.0.0.2") == 0
    clock.pass_time(1)
    assert [brake.wrong("10.0.0.2") for _ in range(3)] == [2, 2, 0]
    assert brake.seconds_until_free("10.0.0.3") == 1
    clock.pass_time(1)
    assert brake.seconds_until_free("10.0.0.1") == brake.seconds_until_free("10.0.0.3") == 0


def test_brake_remembers_no_more_than_its_places() -> None:
    clock = Clock()
    brake = Brake(clock)
    for number in range(100_000):
        brake.wrong(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(brake._taken) == len(brake._of_address) == 30
    clock.pass_time(3)
    assert brake.seconds_until_free("x") == 0
    assert len(brake._taken) == len(brake._of_address) == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [("2001:db8::1", "2001:db8::ffff:2"), ("::ffff:10.0.0.1", "10.0.0.1"), ("fe80::1%eth0", "fe80::2%eth1")],
)
def test_addresses_that_one_machine_has_count_as_one(one: str, other: str) -> None:
    assert address_group(one) == address_group(other)


def test_brake_takes_any_text_as_an_address() -> None:
    for address in ("", "x" * 100_000, "\ud800", "::1%" + "y" * 9999, "1.2.3.4.5"):
        assert len(address_group(address)) <= 64


def test_lines_of_the_log_are_few_count_the_rest_and_are_one_line() -> None:
    clock = Clock()
    lines = WrongTryLines(clock, seconds=10)
    said = [lines.line("10.0.0.1\nroot logged in") for _ in range(1000)]
    assert [line for line in said if line] == ["wrong token from '10.0.0.1\\nroot logged in'"]
    clock.pass_time(10)
    assert lines.line("::1") == "wrong token from '::1' (999 more wrong tries since the last such line)"


# the login under wrong tokens


def test_forged_addresses_do_not_switch_off_the_brake() -> None:
    over = threading.Event()
    statuses = []
    with serving(_gate(sleep=lambda _: _until(over)), free_port()) as url, ThreadPoolExecutor(20) as threads:

        def wrong(number: int) -> None:
            headers = {"X-Forwarded-For": f"10.1.2.{number}", "Forwarded": f"for=10.1.2.{number}"}
            reply = httpx.post(f"{url}/login", data={"token": "no"}, headers=headers, timeout=60)
            statuses.append(reply.status_code)

        with ending(over):
            tries = [threads.submit(wrong, number) for number in range(20)]
            wait_until(lambda: len(statuses) >= 17, 20, "refusals of all but three tries")
            assert statuses == [429] * 17
        for one in tries:
            one.result()
    assert statuses[17:] == [401] * 3


async def _until(over: threading.Event) -> None:
    while not over.is_set():
        await asyncio.sleep(0.02)


@contextmanager
def ending(over: threading.Event) -> Iterator[None]:
    """Lets the answers go that are held back, whatever happens in the block."""
    try:
        yield
    finally:
        over.set()


@pytest.mark.parametrize(
    ("proxies", "seen"), [([], "127.0.0.1"), (["10.9.9.9"], "127.0.0.1"), (["127.0.0.1"], "10.1.2.3")]
)
def test_address_in_a_header_counts_only_from_a_proxy_that_the_operator_names(proxies: list[str], seen: str) -> None:
    app = Starlette(routes=[Route("/", _inside)])
    with serving(app, free_port(), proxies) as url:
        reply = httpx.get(url, headers={"X-Forwarded-For": "1.1.1.1, 10.1.2.3"})
    assert reply.text == f"inside, from {seen}"


@pytest.mark.parametrize(
    "text", ["*", "0.0.0.0/0", "::/0", "proxy.example", "10.0.0.1/99", "unix:", "10.0.0.1 10.0.0.2"]
)
def test_setting_of_proxies_names_addresses_and_never_everybody(text: str) -> None:
    with pytest.raises(BadInput, match="a proxy is named by its IP address"):
        proxy_addresses(text, "MEMGEN_PROXIES")
    assert proxy_addresses(" 10.0.0.1, 10.1.2.3/16,::1 ", "X") == ["10.0.0.1/32", "10.1.0.0/16", "::1/128"]


def test_owner_gets_in_at_once_after_many_wrong_tries(browser: TestClient) -> None:
    clock = Clock()

    async def sleep(seconds: float) -> None:
        clock.pass_time(seconds)

    gate = _gate(ticks=clock, sleep=sleep)
    with TestClient(gate, base_url=f"http://{HOST}", follow_redirects=False) as owner:
        assert {log_in(owner, "no").status_code for _ in range(50)} == {401}
        before = clock.now
        assert log_in(owner).status_code == 303
        assert clock.now == before


def test_owner_whose_browser_was_here_before_gets_in_during_a_flood_from_the_same_address() -> None:
    clock = Clock()
    gate = _gate(ticks=clock, sleep=lambda _: asyncio.sleep(0))  # no place is freed: the clock stands
    with ExitStack() as stack:
        owner, stranger = (
            stack.enter_context(TestClient(gate, base_url=f"http://{HOST}", follow_redirects=False)) for _ in range(2)
        )
        assert log_in(owner).status_code == 303
        owner.post("/logout")
        assert [log_in(stranger, "no").status_code for _ in range(5)] == [401, 401, 401, 429, 429]
        refused = log_in(stranger)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
        assert log_in(owner).status_code == 303
        # and its places are few as well
        assert [log_in(owner, "no").status_code for _ in range(4)] == [401, 401, 401, 429]


def test_log_of_the_login_never_shows_what_was_typed(browser: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        log_in(browser, TOKEN[:-1] + "x")
    assert "login: wrong token from 'testclient'" in caplog.text
    assert TOKEN[:8] not in caplog.text


# forms, origins, hosts


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"token=" + b"x" * 8192, "application/x-www-form-urlencoded", 413),
        (b"token=a&token=" + TOKEN.encode(), "application/x-www-form-urlencoded", 400),
        (b"next=/a&next=//evil.example&token=" + TOKEN.encode(), "application/x-www-form-urlencoded", 400),
        (b"token=" + TOKEN.encode() + b"&a=1" * 20, "application/x-www-form-urlencoded", 400),
        (b"token=%ff%fe", "application/x-www-form-urlencoded", 400),
        (b"\xff\xfe", "application/x-www-form-urlencoded", 400),
        (b"token", "application/x-www-form-urlencoded", 400),
        (b"token=" + TOKEN.encode(), "text/plain", 415),
        (b'{"token": "' + TOKEN.encode() + b'"}', "application/json", 415),
        (b'--x\r\nContent-Disposition: form-data; name="token"\r\n\r\n' + TOKEN.encode() + b"\r\n--x--\r\n",
         "multipart/form-data; boundary=x", 415),
        (b"token=" + TOKEN.encode(), "", 415),
    ],
)  # fmt: skip
def test_form_that_is_no_login_form_is_refused(browser: TestClient, body: bytes, kind: str, status: int) -> None:
    reply = browser.post("/login", content=body, headers={"Content-Type": kind})
    assert (reply.status_code, "set-cookie" in reply.headers) == (status, False)


def test_announced_length_of_a_form_is_refused_before_it_is_read(browser: TestClient) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": "9" * 30}
    assert browser.post("/login", content=b"token=x", headers=headers).status_code == 413


def test_form_that_never_ends_is_given_up() -> None:
    async def dribble() -> dict[str, object]:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"a", "more_body": True}

    headers = [(b"content-type", b"application/x-www-form-urlencoded")]
    request = Request({"type": "http", "method": "POST", "headers": headers}, dribble)
    assert asyncio.run(read_form(request, seconds=0.1)) == 408


BAD_ORIGINS = [
    "http://[", "http://]", "http://[::1", "http://[v1.x]", "null", "", "http://", "//", HOST, f"ftp://{HOST}",
    f"http://{HOST}.evil.example", f"http://evil.example/{HOST}", f"http://{HOST}@evil.example",
    f"http://{HOST}:80:80", "http://\u2100.example", f"http://{HOST}/", f"https://{HOST}:8502", "x" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("origin", BAD_ORIGINS)
def test_bad_origin_is_refused_on_login_logout_and_websocket(browser: TestClient, origin: str) -> None:
    headers = {"Origin": origin.encode("utf-8")}
    reply = browser.post("/login", data={"token": TOKEN}, headers=headers)
    assert (reply.status_code, "set-cookie" in reply.headers) == (403, False)
    log_in(browser)
    reply = browser.post("/logout", headers=headers)
    assert (reply.status_code, "set-cookie" in reply.headers) == (403, False)
    assert browser.get("/").status_code == 200
    with (
        pytest.raises(WebSocketDisconnect) as refusal,
        browser.websocket_connect(f"ws://{HOST}/_stcore/stream", headers=headers),
    ):
        pass
    assert refusal.value.code == 1008


def test_second_origin_header_is_no_way_around_the_first(browser: TestClient) -> None:
    headers = [("Origin", f"http://{HOST}"), ("Origin", "https://evil.example")]
    assert browser.post("/login", data={"token": TOKEN}, headers=headers).status_code == 403


def test_request_without_origin_from_another_site_is_refused(browser: TestClient) -> None:
    assert log_in(browser, **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert log_in(browser, **{"Sec-Fetch-Site": "same-site"}).status_code == 403


def test_link_on_another_site_logs_nobody_out(browser: TestClient) -> None:
    log_in(browser)
    cookie = browser.headers | {"Cookie": f"memgen_session={browser.cookies['memgen_session']}"}
    # with the cookie, as after a click, and without, as a Strict cookie stays at home
    for headers in (cookie, {}):
        with TestClient(browser.app, base_url=f"http://{HOST}", follow_redirects=False) as other:
            for method in ("GET", "HEAD"):
                assert "set-cookie" not in other.request(method, "/logout", headers=headers).headers
            if not headers:
                assert "set-cookie" not in other.post("/logout").headers
    assert browser.get("/").status_code == 200


BAD_HOSTS = [
    "evil.example", "[", "]", "[::1", "127.0.0.1@evil.example", "evil.example:80@127.0.0.1", "127.0.0.1/x",
    "127.0.0.1:80:90", "127.0.0.1\\evil", "127.0.0.1 evil", "127.0.0.1.evil.example", "127.0.0.1:port", "", "0x7f.1",
    "2130706433", "localhost#", "localhost?", "%6cocalhost", "localhost,evil.example", "\u2488.\u2488", "x" * 9000,
]  # fmt: skip


@pytest.mark.parametrize("host", BAD_HOSTS)
def test_bad_host_is_refused_by_the_dashboard(browser: TestClient, host: str) -> None:
    for path in ("/login", "/logout", "/", "/_stcore/health"):
        reply = browser.get(path, headers={"Host": host.encode("utf-8")})
        assert (reply.status_code, "location" in reply.headers) == (400, False)


@pytest.mark.parametrize("host", BAD_HOSTS)
def test_bad_host_is_refused_by_the_api_and_repeated_nowhere_but_in_the_problem(backend: Backend, host: str) -> None:
    for path in (f"{API}/runs", f"{API}/runs/", "/docs", "/nothing"):
        reply = backend.http.get(path, headers={"Host": host.encode("utf-8")}, follow_redirects=False)
        check_problem(reply, 400, "unknown_host")
        assert "location" not in reply.headers


def test_second_host_header_is_refused(backend: Backend, browser: TestClient) -> None:
    reply = backend.http.get("/docs", headers=[("Host", "127.0.0.1"), ("Host", "evil.example")])
    check_problem(reply, 400, "unknown_host")
    assert browser.get("/login", headers=[("Host", HOST), ("Host", "evil.example")]).status_code == 400


def test_slash_at_the_end_of_a_path_is_no_redirect(backend: Backend) -> None:
    reply = backend.user("GET", "/runs/", follow_redirects=False)
    check_problem(reply, 404, "no_such_route")


@pytest.mark.parametrize(
    ("bind", "more", "good", "bad"),
    [
        ("127.0.0.1", "", ["127.0.0.1", "localhost:8000", "[::1]:8000", "LOCALHOST."], ["10.0.0.5", "a.example"]),
        ("studio.example", "", ["studio.example", "localhost"], ["example", "10.0.0.5"]),
        ("10.0.0.5", "a.example, b.example", ["10.0.0.5:1", "a.example", "b.example"], ["10.0.0.6", "c.example"]),
        ("0.0.0.0", "", ["10.0.0.5", "[fe80::1]:80", "127.0.0.1"], ["a.example", "evil.0.0.1.example"]),
        ("0.0.0.0", "backend", ["backend:8000", "localhost"], ["10.0.0.5", "a.example"]),
        ("::", "[fe80::0001]", ["[fe80::1]"], ["[fe80::2]"]),
    ],
)
def test_allowed_hosts_follow_address_and_setting(bind: str, more: str, good: list[str], bad: list[str]) -> None:
    hosts = allowed_hosts(bind, more, "X")
    assert all(hosts.allows(name) for name in good)
    assert not any(hosts.allows(name) for name in bad)


@pytest.mark.parametrize(
    "name", ["*", "http://a.example", "a.example:80", "a b", "a/b", "-a", "a..b", "é.example", "x" * 300]
)
def test_setting_of_hosts_takes_only_names(name: str) -> None:
    with pytest.raises(BadInput, match="not the name of a host"):
        allowed_hosts("127.0.0.1", name, "MEMGEN_ALLOWED_HOSTS")


# tokens


@pytest.mark.parametrize(
    "token",
    ["a", "x" * 15, "a" * 32, "abab" * 8, "a token with spaces", "tökentökentökentöken", "x1y2z3" * 100, "\x00" * 20],
)
def test_token_that_is_guessed_or_can_not_be_sent_is_refused_and_not_shown(
    token: str, monkeypatch: pytest.MonkeyPatch, home: object
) -> None:
    for read, name in (
        (lambda: BackendSettings.read(token=token), "MEMGEN_TOKEN"),
        (lambda: BackendSettings.read(worker_token=token), "MEMGEN_WORKER_TOKEN"),
        (lambda: DashboardSettings.read(token=token), "MEMGEN_TOKEN"),
    ):
        with pytest.raises(BadInput, match="the token") as refusal:
            read()
        assert refusal.value.field == name
        assert len(token) < 5 or token not in str(refusal.value)


@pytest.mark.parametrize("content", ["", "\n", "a\n", "a" * 32])
def test_token_file_that_holds_no_token_is_refused_with_its_name(home: object, content: str) -> None:
    settings = BackendSettings()
    path = settings.home / "backend" / "token"
    path.parent.mkdir()
    path.write_text(content)
    for read in (settings.user_token, DashboardSettings().read_token):
        with pytest.raises(BadInput, match="the token") as refusal:
            read()
        assert refusal.value.value == str(path)


# wrong tokens on the API


def test_wrong_token_on_the_api_is_held_back_logged_and_never_shown(
    backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    clock, held = Clock(), []

    async def sleep(seconds: float) -> None:
        held.append(seconds)

    backend.context.wrong_tokens = WrongTokens(clock=clock, sleep=sleep)

    def wrong() -> httpx.Response:
        return backend.http.get(f"{API}/runs", headers={"Authorization": f"Bearer {backend.context.user_token}x"})

    for _ in range(3):
        check_problem(wrong(), 401, "wrong_token")
    assert held == [2, 2, 2]
    refused = wrong()
    check_problem(refused, 429, "too_many_wrong_tokens")
    assert refused.headers["retry-after"] == "2"
    assert backend.user("GET", "/runs").status_code == 200  # the right one passes meanwhile
    check_problem(backend.http.get(f"{API}/runs"), 401, "no_token")  # no guess, not held back
    assert held == [2, 2, 2]
    assert caplog.text.count("wrong token from 'testclient'") == 1
    assert backend.context.user_token[:8] not in caplog.text
    clock.pass_time(2)
    check_problem(wrong(), 401, "wrong_token")


def test_wrong_token_of_an_attempt_is_held_back_too(backend: Backend) -> None:
    attempt, held = backend.started(), []

    async def sleep(seconds: float) -> None:
        held.append(seconds)

    backend.context.wrong_tokens = WrongTokens(clock=Clock(), sleep=sleep)
    attempt.token += "x"
    check_problem(attempt.beat(), 401, "wrong_token")
    assert held == [2]


def test_right_tokens_are_served_while_many_wrong_ones_wait(backend: Backend) -> None:
    over = threading.Event()
    brake = Brake(Clock(), per_address=100, overall=100)
    backend.context.wrong_tokens = WrongTokens(brake, sleep=lambda _: _until(over))
    with serving(backend.http.app, free_port()) as url, ThreadPoolExecutor(60) as threads:

        def ask(token: str) -> int:
            return httpx.get(f"{url}{API}/runs", headers={"Authorization": f"Bearer {token}"}, timeout=60).status_code

        with ending(over):
            waiting = [threads.submit(ask, "no") for _ in range(60)]
            wait_until(lambda: len(brake._taken) == 60, 20, "60 wrong tokens")
            assert ask(backend.context.user_token) == 200
            assert not any(one.done() for one in waiting)
        assert {one.result() for one in waiting} == {401}


@pytest.mark.parametrize("token", ["x" * 60_000, "é", "a b c", "", " ", "\t", "Bearer x", "'; DROP TABLE runs;--"])
def test_strange_tokens_on_the_api_are_only_wrong(backend: Backend, token: str) -> None:
    reply = backend.http.get(f"{API}/runs", headers={"Authorization": f"Bearer {token}".encode()})
    assert reply.status_code == 401


# the documentation


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_documentation_loads_nothing_and_runs_nothing(backend: Backend, path: str) -> None:
    reply = backend.http.get(path)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy
    page = reply.text
    assert not re.search(r"<(script|link|img|iframe|object|embed|form|input|base)\b|\bon\w+=|src=|@import|url\(", page)
    assert set(re.findall(r'href="([^"#][^"]*)"', page)) == {"/api/v1/openapi.json"}


def test_documentation_names_every_operation_and_schema_and_its_links_lead_somewhere(backend: Backend) -> None:
    page = backend.http.get("/docs").text
    document = backend.http.get(f"{API}/openapi.json").json()
    for path, methods in document["paths"].items():
        for method in methods:
            assert f"<code>{method.upper()} {path}</code>" in page
    places = set(re.findall(r'id="([^"]+)"', page))
    assert places == set(document["components"]["schemas"])
    assert set(re.findall(r'href="#([^"]+)"', page)) <= places


@pytest.mark.parametrize("path", ["/docs", f"{API}/runs", f"{API}/openapi.json", "/nothing"])
def test_every_reply_of_the_api_tells_browsers_to_make_no_page_of_it(backend: Backend, path: str) -> None:
    headers = backend.http.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
