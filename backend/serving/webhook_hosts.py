"""Where webhooks may lead: the operator's list of hosts, addresses of webhooks, and what lies inside the own network.

Whoever may write a webhook's address can make the backend speak to whatever it reaches. So an address names a host of
the operator's list, or one of the two public services', by https; and what its name resolves to is looked at before
the connection is made.
"""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from memgen.contract.errors import BadInput

SETTING = "MEMGEN_WEBHOOK_HOSTS"
PORTS = {"https": 443, "http": 80}
LONGEST = 2000
"""Characters of an address."""
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]*[a-z0-9])?)*")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Origin:
    """A place that addresses may name."""

    scheme: str
    host: str
    """In lower case, an address without brackets; after `*.` a domain of which every name below it is meant."""
    port: int
    may_be_inside: bool = False
    """Whether it may lie in the machine's own network: the operator has named exactly this host."""

    @property
    def shown(self) -> str:
        """As people write it: host, port where it is not the usual one, and http where it is that."""
        return ("http://" if self.scheme == "http" else "") + _shown(self.scheme, self.host, self.port)

    def covers(self, address: "Address") -> bool:
        """Whether an address leads there."""
        named = address.host == self.host or (self.host.startswith("*.") and address.host.endswith(self.host[1:]))
        return named and (self.scheme, self.port) == (address.scheme, address.port)


@dataclass(frozen=True)
class Address:
    """The address of a webhook; what comes after the host is a secret."""

    scheme: str
    host: str
    port: int
    target: str
    """Path and query."""

    @property
    def shown(self) -> str:
        """What people see of it: host, and port where it is not the usual one."""
        return _shown(self.scheme, self.host, self.port)


SLACK = (Origin("https", "hooks.slack.com", 443), Origin("https", "hooks.slack-gov.com", 443))
DISCORD = (Origin("https", "discord.com", 443), Origin("https", "discordapp.com", 443))


def named_origins(setting: str) -> tuple[Origin, ...]:
    """The operator's list: `hooks.example.org`, `*.example.org`, `host:8443`, or `http://127.0.0.1:9000` in full.

    Raises:
        ValueError: an entry is none of these.
    """
    return tuple(_origin(entry.strip()) for entry in setting.split(",") if entry.strip())


def read_address(text: str) -> Address:
    """The parts of an address.

    Raises:
        ValueError: it is none that a message can be sent to; the text says why, without the address.
    """
    if len(text) > LONGEST or not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise ValueError(f"an address has up to {LONGEST} visible ASCII characters")
    parts, port = _split(text)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError("an address begins with https:// and the name of a host")
    if "@" in parts.netloc or "#" in text:
        raise ValueError("an address has no user, password or #")
    host = _host(parts.hostname)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(parts.scheme, host, port or PORTS[parts.scheme], target)


def check_address(address: Address, origins: tuple[Origin, ...]) -> Origin:
    """The entry that lets a message go there.

    Raises:
        BadInput: `webhook_not_https`, `webhook_host`.
    """
    covering = [origin for origin in origins if origin.covers(address)]
    if covering:
        return max(covering, key=lambda origin: origin.may_be_inside)
    if address.scheme != "https":
        raise BadInput(
            "webhook_not_https",
            "a message goes by https alone",
            field="address",
            value=address.shown,
            way_out=f"Give an https address; plain http needs the operator's own `http://HOST:PORT` in {SETTING}.",
        )
    names = ", ".join(origin.shown for origin in origins) or "none"
    raise BadInput(
        "webhook_host",
        "this host is not one that messages may go to",
        field="address",
        value=address.shown,
        way_out=f"Allowed: {names}. The operator adds hosts in {SETTING}.",
    )


def is_inside(address: IPAddress) -> bool:
    """Whether an address is one of the machine itself, of its own network, or of no single machine."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None or address.sixtofour is not None or address.teredo is not None:
            return True  # another address in disguise, which nobody needs here
        if address in _NAT64:
            return is_inside(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address.is_site_local:
            return True
    return not address.is_global or address.is_multicast or address.is_reserved


def _origin(entry: str) -> Origin:
    scheme, separator, rest = entry.partition("://")
    text = entry if separator else f"https://{entry}"
    if separator and scheme.lower() not in PORTS:
        raise ValueError(f"`{entry}` names a host by https or http, e.g. hooks.example.org or host:8443")
    try:
        wildcard = "*." if (rest or entry).startswith("*.") else ""
        parts, port = _split(text.replace("*.", "", 1) if wildcard else text)
        host = _host(parts.hostname or "")
    except ValueError:
        parts, host = None, ""
    if parts is None or not host or parts.path not in {"", "/"} or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(f"`{entry}` is not a host, e.g. hooks.example.org, *.example.org or host:8443")
    return Origin(parts.scheme, wildcard + host, port or PORTS[parts.scheme], may_be_inside=not wildcard)


def _shown(scheme: str, host: str, port: int) -> str:
    bracketed = f"[{host}]" if ":" in host else host
    return bracketed if port == PORTS[scheme] else f"{bracketed}:{port}"


def _split(text: str) -> tuple[SplitResult, int | None]:
    """The parts of an address and its port.

    Raises:
        ValueError: it can't be taken apart; the text repeats nothing of it.
    """
    try:
        parts = urlsplit(text)
        return parts, parts.port
    except ValueError:
        raise ValueError("this can't be read as an address") from None


def _host(name: str) -> str:
    """A host in the one way of writing it.

    Raises:
        ValueError: it is neither an address nor the name of a host.
    """
    bare = name.lower().rstrip(".")
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        if _NAME.fullmatch(bare) is None:
            raise ValueError("this is neither an address nor the name of a host") from None
    return bare
