"""Names under which a service may be reached, and proxies whose word on addresses counts; both are settings.

A page of another site can make a browser send requests here under a name of its own (DNS rebinding): a name that
nobody gave to this service is refused.

Starlette's `TrustedHostMiddleware` is not used: it looks at the first of two Host headers, knows no bare addresses (nor
two spellings of one), and its refusal names no way out.
"""

import ipaddress
import platform
import re
from dataclasses import dataclass

from memgen.contract.errors import BadInput

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_EVERY_ADDRESS = frozenset({"0.0.0.0", "::", ""})
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_HOST_HEADER = re.compile(r"(?:\[(?P<ipv6>[0-9a-fA-F:.]+)\]|(?P<name>[0-9A-Za-z._-]+))(?::[0-9]{1,5})?")


@dataclass(frozen=True)
class AllowedHosts:
    """Names that a Host header may carry."""

    names: frozenset[str]
    """In lower case, addresses as `ipaddress` writes them."""
    any_address: bool = False
    """Whether a bare IP address is good, too: no name, so nobody can point it here."""

    def allows(self, header: str) -> bool:
        """Whether a Host header names this service; the port does not matter."""
        match = _HOST_HEADER.fullmatch(header)
        if match is None:
            return False
        name = _canonical(match["ipv6"] or match["name"])
        return name in self.names or (self.any_address and _is_address(name))


def allowed_hosts(bind_host: str, more: str, field: str) -> AllowedHosts:
    """What a service is called: on this machine as ever, as it was bound, and as the operator says.

    Bound to every address of the machine it is also called by the machine's name and by any bare address,
    unless the operator names it.

    Args:
        bind_host: address that the service listens on.
        more: names of the operator, separated by commas.
        field: setting that they come from.

    Raises:
        BadInput: `bad_host_name`.
    """
    named = [_checked(name, field) for name in more.split(",") if name.strip()]
    names = {*LOOPBACK, *named}
    everywhere = bind_host in _EVERY_ADDRESS
    if not everywhere:
        names.add(_canonical(bind_host))
    elif not named and platform.node():
        names.add(_canonical(platform.node()))
    return AllowedHosts(frozenset(names), any_address=everywhere and not named)


def proxy_addresses(text: str, field: str) -> list[str]:
    """Addresses and networks of the proxies in front, whose `X-Forwarded-For` is believed.

    Args:
        text: separated by commas; empty is none.
        field: setting that it comes from.

    Raises:
        BadInput: `bad_proxy`.
    """
    proxies = []
    for proxy in (part.strip() for part in text.split(",") if part.strip()):
        try:
            network = ipaddress.ip_network(proxy, strict=False)
        except ValueError:
            network = None
        if network is None or network.prefixlen == 0:
            raise BadInput(
                "bad_proxy",
                "a proxy is named by its IP address, or by its network such as 10.1.0.0/16",
                field=field,
                value=proxy,
                way_out="Name the proxies in front, separated by commas, or unset it where there is none.",
            )
        proxies.append(str(network))
    return proxies


def _checked(name: str, field: str) -> str:
    canonical = _canonical(name.strip().strip("[]"))
    if not _is_address(canonical) and _NAME.fullmatch(canonical) is None:
        raise BadInput(
            "bad_host_name",
            "this is not the name of a host",
            field=field,
            value=name.strip(),
            way_out="Name hosts without scheme and port, separated by commas, e.g. `studio.example.org,10.0.0.5`.",
        )
    return canonical


def _canonical(name: str) -> str:
    lowered = name.lower().rstrip(".")
    return str(ipaddress.ip_address(lowered)) if _is_address(lowered) else lowered


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
