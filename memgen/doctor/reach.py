"""The model hub and the clock: what lies outside of this machine."""

import os
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from memgen.doctor.finding import Finding, ok, warning

MOST_SECONDS = 60.0  # that clocks may differ before certificates and times of runs become doubtful
WAY_OUT = (
    "Look at the network and at HTTPS_PROXY, or name a mirror in HF_ENDPOINT. Without the hub: HF_HUB_OFFLINE=1 for "
    "weights that were fetched before, presets with a folder, a folder for each data set (MEMGEN_..._DIR)."
)

Ask = Callable[[str], Mapping[str, str]]
"""Asks an address; returns the headers of whatever it answers, names in small letters. Raises OSError where nothing
answers."""


def ask(address: str) -> Mapping[str, str]:
    """The headers of an answer, of whatever status.

    Raises:
        ConnectionError: nothing answers within five seconds.
    """
    import httpx

    try:
        return httpx.head(address, timeout=5.0).headers
    except httpx.HTTPError as error:
        raise ConnectionError(str(error) or type(error).__name__) from error


def hub(address: str, offline: bool, has_token: bool, asked: Ask = ask) -> tuple[Finding, float | None]:
    """Whether models and data sets can be fetched.

    Args:
        address: of the hub.
        offline: whether nobody is to be asked.
        has_token: whether there is a token of the hub.
        asked: see `Ask`.

    Returns:
        The finding; and the hub's time in seconds since 1970, if it said one.
    """
    token = "a token is set" if has_token else "no token, which open models do not need"
    if offline:
        return ok("hub", f"offline mode (HF_HUB_OFFLINE): only what was fetched before is used; {token}"), None
    host = urlsplit(address).hostname or "the hub"
    try:
        said = asked(address).get("date")
    except OSError as error:
        return warning("hub", f"{host} does not answer ({error}); {token}", WAY_OUT), None
    return ok("hub", f"{host} answers; {token}"), _seconds(said)


def clock(now: float, others: Mapping[str, float | None]) -> Finding:
    """This machine's clock against others.

    Args:
        now: seconds since 1970 by it.
        others: seconds since 1970 at the same moment, by whose clock it is; None where that could not be read.
    """
    apart = {name: now - other for name, other in others.items() if other is not None}
    wrong = [
        f"{abs(gap):.0f} s {'after' if gap > 0 else 'before'} that of {name}"
        for name, gap in apart.items()
        if abs(gap) > MOST_SECONDS
    ]
    if wrong:
        way_out = "Set the clock, best by NTP (`timedatectl set-ntp true`)."
        return warning("clock", f"it is {' and '.join(wrong)}", way_out)
    return ok("clock", f"within {MOST_SECONDS:.0f} s of {', '.join(apart)}" if apart else "nothing to compare it with")


def is_offline(environment: Mapping[str, str]) -> bool:
    """Whether the hub's library may ask nobody, as that library reads it."""
    values = (environment.get(name, "") for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))
    return any(value.upper() in {"1", "ON", "YES", "TRUE"} for value in values)


def has_hub_token(environment: Mapping[str, str], token_file: str) -> bool:
    """Whether the hub's library would find a token; which one it is is nobody's business."""
    return bool(environment.get("HF_TOKEN")) or os.path.isfile(token_file)  # noqa: PTH113


def _seconds(date: str | None) -> float | None:
    try:
        return None if date is None else parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
