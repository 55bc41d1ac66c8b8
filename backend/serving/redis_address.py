"""The address of Redis: checked, spelled for each library, shown without its password, and whether it answers.

The library is imported where it is used: dashboard, supervisors and most commands have settings and no Redis.
"""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlsplit

from memgen.contract.errors import BadInput

if TYPE_CHECKING:
    from redis import Redis

FORM = "Redis is named by redis://:PASSWORD@HOST:PORT/DB or unix:///PATH"
ESCAPES = "in a password # is written %23, / is %2F, ? is %3F, @ is %40, [ is %5B and a space %20"
TIMEOUT = 1.0  # seconds
APPLICATION, TASK, QUEUE = "memgen", "memgen.ring", "memgen"
"""What the doorbell is called by the backend that rings it and the workers that hear it."""


def check(value: str) -> str:
    """The address, if every reader would understand it alike.

    Raises:
        ValueError: it is none; the text never holds the password.
    """
    if not value.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError(FORM)
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError(f"{FORM}, in ASCII without spaces; {ESCAPES}")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"{FORM}; {ESCAPES}") from None
    user, _, place = parts.netloc.rpartition("@")
    if parts.scheme == "unix":
        is_whole = len(parts.path) > 1 and not place
    else:
        number = parts.path.removeprefix("/")
        is_whole = bool(host) and (not number or number.isdecimal()) and "@" not in parts.query
    if not is_whole or parts.fragment or "#" in value or "@" in user:
        raise ValueError(f"{FORM}; {ESCAPES}")
    if {"password", "username"} & {name.lower() for name, _ in parse_qsl(parts.query)}:
        raise ValueError("user and password stand before the host, and not after a ?")
    from redis import Redis

    try:
        Redis.from_url(value).connection_pool.make_connection()  # reads all of it, and connects to nothing
    except (ValueError, TypeError):
        raise ValueError("what stands after the ? is nothing that a connection to Redis can be told") from None
    return value


def of_socket(path: Path) -> str:
    """The address of a unix socket, whatever signs its path holds."""
    return f"unix://{quote(str(path))}"


def with_password(url: str, password: str) -> str:
    """The address with a password, unless it holds one."""
    parts = urlsplit(url)
    if parts.password:
        return url
    user, _, place = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.removesuffix(':')}:{quote(password, safe='')}@{place}").geturl()


def for_celery(url: str) -> str:
    """Celery's spelling: it knows unix sockets by another scheme."""
    return url.replace("unix://", "redis+socket://", 1)


def shown(url: str) -> str:
    """The address without who logs in and how, also of one that can't be used."""
    scheme, colon, rest = url.partition("://") if "://" in url else ("", "", url)
    _, at, server = rest.rpartition("@")
    return scheme + colon + ("***@" if at else "") + server.partition("?")[0]


def connect(url: str) -> "Redis":
    """A client that gives up after a second."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return Redis.from_url(url, socket_connect_timeout=TIMEOUT, socket_timeout=TIMEOUT, retry=Retry(NoBackoff(), 0))


def trouble(url: str) -> Exception | None:
    """Why a new connection can't be made; None if it can.

    A connection that was made earlier tells less: it lives on where the server's socket has been removed.
    """
    from redis import RedisError

    try:
        with connect(url) as server:
            server.ping()
    except (RedisError, OSError) as error:
        return error
    return None


def state(url: str) -> str:
    """`ok`, or why Redis can't be reached, in words."""
    error = trouble(url)
    return "ok" if error is None else in_words(error)


def in_words(error: Exception) -> str:
    """What an error of the library means."""
    if is_refusal(error):
        return "it refuses the password or wants one"
    return str(error) or type(error).__name__


def is_refusal(error: Exception | None) -> bool:
    """Whether the server is there and wants another password."""
    from redis.exceptions import AuthenticationError, AuthorizationError, ResponseError

    return isinstance(error, AuthenticationError | AuthorizationError) or (
        isinstance(error, ResponseError) and str(error).startswith(("NOAUTH", "WRONGPASS", "NOPERM"))
    )


def refuse_wrong_password(url: str) -> None:
    """Refuse an address whose server wants another password; one that is away may still come.

    Raises:
        BadInput: `redis_password`.
    """
    error = trouble(url)
    if is_refusal(error):
        raise BadInput(
            "redis_password",
            "the Redis server there refuses the password or wants one",
            field="REDIS_URL",
            value=shown(url),
            way_out=f"Write the right one: redis://:PASSWORD@HOST:PORT/DB; {ESCAPES}.",
        )
