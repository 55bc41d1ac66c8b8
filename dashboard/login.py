"""The login in front of everything that the dashboard serves, websocket and static files included."""

import math
import time
from collections.abc import Callable, Sequence
from urllib.parse import parse_qs, quote, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.login_page import CONTENT_SECURITY_POLICY, login_page, message_page, reload_page
from dashboard.session import COOKIE, SESSION_SECONDS, Brake, Sessions

_MAX_FORM_BYTES = 8192
_POLICY_VIOLATION = 1008


class LoginGate:
    """ASGI middleware: nothing behind it is reached without a valid session cookie.

    Args:
        app: what it guards.
        token: what users type in.
        allowed_hosts: names that the Host header may carry; empty allows all.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str,
        allowed_hosts: Sequence[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._app = app
        self._hosts = frozenset(allowed_hosts)
        self._sessions = Sessions(token, clock)
        self._brake = Brake(clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "http":
            answer = await self._answer(Request(scope, receive))
            await (answer or self._app)(scope, receive, _with_security_headers(send))
        else:
            await self._app(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        if self._host_is_known(connection) and _same_origin(connection) and self._logged_in(connection):
            await self._app(scope, receive, send)
            return
        await receive()  # the handshake; a close before the accept is a 403 to the browser
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION})

    async def _answer(self, request: Request) -> Response | None:
        """The reply to a request that does not go through, else None."""
        path = request.url.path
        if path == "/healthz":
            return PlainTextResponse("ok")
        if not self._host_is_known(request):
            return _unknown_host(request)
        if path == "/login" and request.method == "POST":
            return await self._log_in(request)
        if path == "/login":
            return _page(login_page(local_path(request.query_params.get("next"))))
        if path == "/logout":
            return _log_out()
        return None if self._logged_in(request) else _refuse(request)

    async def _log_in(self, request: Request) -> Response:
        if not _same_origin(request):
            return _page(message_page("Not logged in", "The form was sent from another site."), 403)
        form = await _read_form(request)
        if form is None:
            return _page(message_page("Not logged in", "The form is too large."), 413)
        target = local_path(form.get("next"))
        address = request.client.host if request.client else ""
        wait = self._brake.seconds_to_wait(address)
        if wait > 0:
            text = f"Too many wrong tries. Wait {math.ceil(wait)} seconds, then try again."
            return _page(login_page(target, text), 429, {"Retry-After": str(math.ceil(wait))})
        if not self._sessions.token_is_right(form.get("token", "")):
            self._brake.wrong(address)
            text = "This is not the token of this dashboard."
            return _page(login_page(target, text), 401)
        response = RedirectResponse(target, 303, {"Cache-Control": "no-store"})
        response.set_cookie(
            COOKIE, self._sessions.new_cookie(), max_age=SESSION_SECONDS, httponly=True, samesite="strict",
            secure=request.url.scheme == "https",
        )  # fmt: skip
        return response

    def _logged_in(self, connection: HTTPConnection) -> bool:
        return self._sessions.cookie_is_good(connection.cookies.get(COOKIE, ""))

    def _host_is_known(self, connection: HTTPConnection) -> bool:
        if not self._hosts:
            return True
        try:
            name = urlsplit(f"//{connection.headers.get('host', '')}").hostname or ""
        except ValueError:
            return False
        return name.lower().rstrip(".") in self._hosts


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
        return _page(reload_page(local_path(path)))
    return RedirectResponse(f"/login?next={quote(path, safe='/')}", 303, {"Cache-Control": "no-store"})


def _log_out() -> Response:
    response = RedirectResponse("/login", 303, {"Cache-Control": "no-store"})
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


def _unknown_host(request: Request) -> Response:
    name = request.headers.get("host", "")[:100]
    text = (
        f"The dashboard is not known as {name!r}. Open it as http://127.0.0.1 with its port, "
        "or add the name to MEMGEN_DASHBOARD_ALLOWED_HOSTS and start it again."
    )
    return _page(message_page("Unknown host name", text), 400)


def _same_origin(connection: HTTPConnection) -> bool:
    """Whether the Origin header, which every browser sends here, is missing or names this host."""
    origin = connection.headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == connection.headers.get("host", "").lower()


async def _read_form(request: Request) -> dict[str, str] | None:
    """The fields of a urlencoded body, or None where it is too large."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_FORM_BYTES:
            return None
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}


def _page(html: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    own = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Cache-Control": "no-store"}
    return HTMLResponse(html, status, own | (headers or {}))


def _with_security_headers(send: Send) -> Send:
    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.setdefault("X-Frame-Options", "DENY")
            headers.setdefault("X-Content-Type-Options", "nosniff")
            # not no-referrer: with it browsers send `Origin: null` with the login form
            headers.setdefault("Referrer-Policy", "same-origin")
            headers.setdefault("Content-Security-Policy", "frame-ancestors 'none'")
        await send(message)

    return sender
