"""A POST to an address that users chose: to a checked IP address, within one deadline, with no redirect and no proxy.

The name is resolved once, what it resolves to is looked at, and the connection goes to just that: an answer of the
name's server that changes a moment later changes nothing. Certificates are still compared with the name.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any

import httpcore
import httpx

from backend.notifying.failure import NotTaken
from backend.serving.webhook_hosts import Address, Origin, is_inside

Resolve = Callable[[str, int], list[str]]
"""From a host and port to IP addresses."""
LONGEST_WAIT = 3600.0  # seconds, of what a receiver asks for


def post(
    address: Address,
    origin: Origin,
    body: bytes,
    headers: Mapping[str, str],
    *,
    patience: float,
    resolve: Resolve | None = None,
) -> None:
    """Send a body; of the reply only its head is read, and only its status counts.

    Args:
        address: where to.
        origin: entry of the operator's list that allows it.
        body: JSON.
        headers: beside the usual ones.
        patience: seconds for all of it.
        resolve: finds the addresses of a name; the system's way if None.

    Raises:
        NotTaken: it was not taken.
    """
    network = _Network(origin, time.monotonic() + patience, resolve or _resolve)
    sent = {"Host": address.shown, "Content-Type": "application/json", "Content-Length": str(len(body))}
    sent |= {"User-Agent": "memgen-studio", "Accept": "*/*", "Connection": "close", **headers}
    try:
        with (
            httpcore.ConnectionPool(ssl_context=_trusted(), network_backend=network) as pool,
            pool.stream(
                "POST",
                httpcore.URL(
                    scheme=address.scheme, host=address.host, port=address.port, target=address.target.encode()
                ),
                headers=[(name.encode(), value.encode()) for name, value in sent.items()],
                content=body,
            ) as response,
        ):
            status = response.status
            asked = {name.lower(): value for name, value in response.headers}.get(b"retry-after", b"")
    except httpcore.TimeoutException:
        raise NotTaken(f"{address.shown} did not take it within {patience:g} s.") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
        raise NotTaken(f"{address.shown} {_trouble(error)}") from None
    if not 200 <= status < 300:
        wait = min(float(asked), LONGEST_WAIT) if asked.isdigit() and len(asked) < 10 else None
        raise NotTaken(f"{address.shown} answered {_status_words(status)}", retry_after=wait)


class _Network(httpcore.NetworkBackend):
    """Connects to addresses that were looked at, until a deadline of `time.monotonic`."""

    def __init__(self, origin: Origin, deadline: float, resolve: Resolve) -> None:
        self._origin = origin
        self._deadline = deadline
        self._resolve = resolve
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  our deadline is for all steps together
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            addresses = self._resolve(host, port)
        except (OSError, UnicodeError):
            raise NotTaken(f"{host} has no address: no server of names knows it.") from None
        inside = [one for one in addresses if is_inside(ip_address(one))]
        if inside and not self._origin.may_be_inside:
            raise NotTaken(
                f"{host} lies inside this machine's own network ({inside[0]}). The operator may name it in "
                "MEMGEN_WEBHOOK_HOSTS."
            )
        refused: Exception = httpcore.ConnectError("no address")
        for one in addresses:
            try:
                stream = self._plain.connect_tcp(
                    one, port, _left(self._deadline), local_address, socket_options
                )  # fmt: skip
                return _Stream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                refused = error
        raise refused


class _Stream(httpcore.NetworkStream):
    """A connection of which every step ends at the deadline."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: float) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._inner.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._inner.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, _left(self._deadline)), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


@cache
def _trusted() -> ssl.SSLContext:
    """Whose certificates are believed: reading them takes longer than sending a message."""
    return httpx.create_ssl_context()


def _resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # the zone of a link-local address is no part of it
    return list(dict.fromkeys(str(address[0]).partition("%")[0] for *_, address in found))


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the deadline has passed")
    return left


def _trouble(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"has a certificate that can't be trusted: {cause.verify_message}."
        if isinstance(cause, ssl.SSLError):
            return "does not speak TLS there."
        if isinstance(cause, ConnectionRefusedError):
            return "refuses connections: nothing listens there."
        cause = cause.__cause__ or cause.__context__
    return "broke the connection off." if not isinstance(error, httpcore.ConnectError) else "can't be reached."


def _status_words(status: int) -> str:
    try:
        words = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        words = str(status)
    return f"{words}: it points elsewhere, and that is not followed." if 300 <= status < 400 else f"{words}."
