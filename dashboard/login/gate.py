"""The login in front of everything that the dashboard serves, websocket and static files included."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote, urlsplit

from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.serving.brake import Brake, WrongTryLines
from backend.serving.hosts import AllowedHosts
from dashboard.login.form import read_form
from dashboard.login.open_sockets import POLICY_VIOLATION, OpenSockets
from dashboard.login.page import CONTENT_SECURITY_POLICY, login_page, logout_page, message_page, reload_page
from dashboard.login.security_headers import with_security_headers
from dashboard.login.session import BROWSER_COOKIE, BROWSER_SECONDS, COOKIE, SESSION_SECONDS, Sessions, Signed
from dashboard.parts.catalogue import LANGUAGES
from dashboard.parts.language import COOKIE as LANGUAGE_COOKIE
from dashboard.parts.language import COOKIE_SECONDS, PARAMETER, mark, preferred, translated

_NO_STORE = {"Cache-Control": "no-store"}
_log = logging.getLogger(__name__)


class LoginGate:
    """ASGI middleware: nothing behind it is reached without a valid session cookie.

    Wrong tokens are answered late, and few are compared at once: see `backend.serving.brake`. A browser that has logged
    in before has places of its own, so that a flood of wrong tokens keeps its owner out neither here nor elsewhere.

    Args:
        app: what it guards.
        token: what users type in.
        hosts: names that the Host header may carry.
        ended_file: where logged-out sessions are kept; None keeps them in memory.
        clock: seconds since 1970.
        ticks: seconds that only grow.
        sleep: holds an answer back.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str,
        hosts: AllowedHosts,
        ended_file: Path | None = None,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._sessions = Sessions(token, clock, ended_file)
        self._sockets = OpenSockets(clock)
        self._strangers, self._browsers = Brake(ticks), Brake(ticks)
        self._wrong_tries = WrongTryLines(ticks)
        self._sleep = sleep

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "http":
            answer = await self._answer(Request(scope, receive))
            await (answer or self._app)(scope, receive, with_security_headers(send))
        else:
            await self._app(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        if self._host_is_allowed(connection) and _same_origin(connection):
            session = self._session(connection)
            if session is not None:
                await self._sockets.serve(self._app, scope, receive, send, session.id, session.end)
                return
        await receive()  # the handshake; a close before the accept is a 403 to the browser
        await send({"type": "websocket.close", "code": POLICY_VIOLATION})

    async def _answer(self, request: Request) -> Response | None:
        """The reply to a request that does not go through, else None."""
        # not `request.url`: it is made with the Host header, which may be anything before it is checked
        path = request.scope["path"]
        if path == "/healthz":
            return PlainTextResponse("ok")
        if not self._host_is_allowed(request):
            return _unknown_host(request)
        if path == "/login" and request.method == "POST":
            return await self._log_in(request)
        if path == "/login":
            return _remembering(
                _page(login_page(local_path(request.query_params.get("next")), _language(request))), request
            )
        session = self._session(request)
        if path == "/logout":
            return self._log_out(request, session)
        return _refuse(request) if session is None else None

    async def _log_in(self, request: Request) -> Response:
        if not _same_origin(request):
            return _said(request, mark("Not logged in"), mark("The form was sent from another site."), 403)
        form = await read_form(request)
        if isinstance(form, int):
            return _said(request, mark("Not logged in"), mark("This is not the form of this page."), form)
        target, language = local_path(form.get("next")), _language(request)
        wait = await self._compare(request, form.get("token", ""))
        if wait:
            seconds = math.ceil(wait)
            text = translated(
                language, mark("Too many wrong tokens are coming in. Wait {n} seconds, then try again."), n=seconds
            )
            return _page(login_page(target, language, text), 429, {"Retry-After": str(seconds)})
        if wait is None:
            text = translated(language, mark("This is not the token of this dashboard."))
            return _page(login_page(target, language, text), 401)
        before = self._session(request)
        if before is not None:  # its cookie is about to be replaced, so nobody could log it out any more
            self._end(before)
        response = RedirectResponse(target, 303, _NO_STORE)
        secure = request.scope["scheme"] == "https"
        for name, value, seconds in (
            (COOKIE, self._sessions.new_cookie(), SESSION_SECONDS),
            (BROWSER_COOKIE, self._sessions.new_browser_cookie(), BROWSER_SECONDS),
        ):
            response.set_cookie(name, value, max_age=seconds, httponly=True, samesite="strict", secure=secure)
        return response

    async def _compare(self, request: Request, candidate: str) -> float | None:
        """0 for the right token, None for a wrong one, else the seconds after which it may be compared."""
        address = request.client.host if request.client else ""
        browser = self._sessions.read_browser(request.cookies.get(BROWSER_COOKIE, ""))
        brake, place = (self._strangers, address) if browser is None else (self._browsers, browser.id)
        wait = brake.seconds_until_free(place)
        if wait > 0:
            return wait
        if self._sessions.token_is_right(candidate):
            return 0.0
        line = self._wrong_tries.line(address)
        if line:
            _log.warning("login: %s", line)
        await self._sleep(brake.wrong(place))
        return None

    def _log_out(self, request: Request, session: Signed | None) -> Response:
        if session is None:
            return RedirectResponse("/login", 303, _NO_STORE)
        if request.method != "POST":
            return _page(logout_page(_language(request)))
        if not _same_origin(request):
            return _said(request, mark("Still logged in"), mark("The request came from another site."), 403)
        self._end(session)
        response = RedirectResponse("/login", 303, _NO_STORE)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    def _end(self, session: Signed) -> None:
        self._sessions.end(session)
        self._sockets.close(session.id)

    def _session(self, connection: HTTPConnection) -> Signed | None:
        return self._sessions.read(connection.cookies.get(COOKIE, ""))

    def _host_is_allowed(self, connection: HTTPConnection) -> bool:
        given = connection.headers.getlist("host")
        return len(given) == 1 and self._hosts.allows(given[0])


def local_path(candidate: str | None) -> str:
    """The candidate if it is a path of this site, else `/`."""
    path = candidate or "/"
    # browsers read a backslash as a slash and drop control characters: `/\\host`, `/\t/host` leave the site
    if not path.startswith("/") or path.startswith("//") or "\\" in path or any(ord(c) < 33 for c in path):
        return "/"
    return "/" if urlsplit(path).path in {"/login", "/logout"} else path


def _refuse(request: Request) -> Response:
    fetch_mode = request.headers.get("sec-fetch-mode")
    wants_page = "text/html" in request.headers.get("accept", "") and fetch_mode in {None, "navigate"}
    if request.method not in {"GET", "HEAD"} or not wants_page:
        return PlainTextResponse("Log in at /login.", 401)
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    # A Strict cookie does not come along when a link on another site is followed: ask again from here.
    if request.headers.get("sec-fetch-site") == "cross-site":
        return _page(reload_page(local_path(path), _language(request)))
    return RedirectResponse(f"/login?next={quote(path, safe='/')}", 303, _NO_STORE)


def _unknown_host(request: Request) -> Response:
    name = request.headers.get("host", "")[:100]
    text = mark(
        "The dashboard is not known as {name}. Open it as http://127.0.0.1 with its port, "
        "or add the name to MEMGEN_DASHBOARD_ALLOWED_HOSTS and start it again."
    )
    return _said(request, mark("Unknown host name"), text, 400, name=repr(name))


def _same_origin(connection: HTTPConnection) -> bool:
    """Whether the Origin header, which every browser sends here, is missing or names this host."""
    origins = connection.headers.getlist("origin")
    if not origins:
        return connection.headers.get("sec-fetch-site", "none") in {"same-origin", "none"}
    host = connection.headers.get("host", "").lower()
    return origins[0].lower() in {f"http://{host}", f"https://{host}"} and len(origins) == 1


def _language(request: Request) -> str:
    """Code of the reader's language: as the link says, as was chosen before, else as the browser asks."""
    return preferred(
        request.query_params.get(PARAMETER),
        request.cookies.get(LANGUAGE_COOKIE),
        request.headers.get("accept-language"),
    )


def _remembering(response: Response, request: Request) -> Response:
    """The response, which keeps the language that was chosen by a link."""
    chosen = request.query_params.get(PARAMETER)
    if chosen in LANGUAGES:
        response.set_cookie(LANGUAGE_COOKIE, str(chosen), max_age=COOKIE_SECONDS, samesite="lax")
    return response


def _said(request: Request, title: str, text: str, status: int, **parts: object) -> Response:
    """A page that only says something, in the reader's language."""
    language = _language(request)
    return _page(message_page(translated(language, title), translated(language, text, **parts), language), status)


def _page(html: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return HTMLResponse(
        html, status, {"Content-Security-Policy": CONTENT_SECURITY_POLICY, **_NO_STORE, **(headers or {})}
    )
