"""Numbers, times and logs as people read them. Pure functions, no Streamlit."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dashboard.parts.foreign_text import visible

MISSING = "–"
UTC_NAME = "UTC"
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def duration(seconds: float | None) -> str:
    """`45 s`, `2 min 10 s`, `3 h 5 min`, `2 d 4 h`; a dash for None."""
    if seconds is None:
        return MISSING
    if 0 < seconds < 1:
        return "under 1 s"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two(whole // 60, "min", whole % 60, "s")
    if whole < 86_400:
        return _two(whole // 3600, "h", whole % 3600 // 60, "min")
    return _two(whole // 86_400, "d", whole % 86_400 // 3600, "h")


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large} {large_unit}" + (f" {small} {small_unit}" if small else "")


def size(num_bytes: float | None) -> str:
    """`512 B`, `1.4 MB`, `28 GB`; a dash for None. Steps of 1024, as memory is counted."""
    if num_bytes is None:
        return MISSING
    value, unit = float(num_bytes), "B"
    for larger in ("KB", "MB", "GB", "TB"):
        if abs(value) < 1023.5:
            break
        value, unit = value / 1024, larger
    digits = 0 if unit == "B" or value >= 9.95 else 1
    return f"{value:.{digits}f} {unit}"


def about_size(num_bytes: float) -> str:
    """A rough size for choosing: `~3 GB`, `~0.3 GB`."""
    gigabytes = num_bytes / 2**30
    return f"~{gigabytes:.0f} GB" if gigabytes >= 1 else f"~{max(gigabytes, 0.1):.1f} GB"


def ago(time: datetime | None, now: datetime) -> str:
    """`just now`, `3 min ago`, `2 d ago`; a dash for None."""
    if time is None:
        return MISSING
    seconds = (now - as_utc(time)).total_seconds()
    if seconds < 5:  # clocks of two machines differ a little
        return "just now"
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return f"{int(seconds)} s ago"


def full_time(time: datetime | None, zone: str | None = None) -> str:
    """ISO time in UTC and, where the browser's zone is known and differs, in that zone."""
    if time is None:
        return MISSING
    return ", ".join(
        f"{there:%Y-%m-%d %H:%M:%S} {name if name == UTC_NAME else f'({name})'}"
        for name, there in in_zones(time, zone).items()
    )


def in_zones(time: datetime, zone: str | None) -> dict[str, datetime]:
    """A time by the names of zones: the reader's first, where it is known and not UTC, then UTC."""
    utc = as_utc(time)
    try:
        local = utc.astimezone(ZoneInfo(zone)) if zone else utc
    except (ZoneInfoNotFoundError, ValueError):
        local = utc
    return ({zone: local} if zone and local.utcoffset() != utc.utcoffset() else {}) | {UTC_NAME: utc}


def as_utc(time: datetime) -> datetime:
    """A time without a zone is taken as UTC, as the API says."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def percent(share: float | None) -> str:
    """`39.5 %` of a share between 0 and 1; a dash for None."""
    return MISSING if share is None else f"{share * 100:.1f} %"


def count(number: float | None) -> str:
    """`1,319`; a dash for None."""
    return MISSING if number is None else f"{number:,.0f}"


def weights_words(name: str) -> str:
    """Weights as people read them: those of a folder, which have no name, by their hash."""
    kind, _, rest = name.partition(":")
    return f"of a folder, with the hash {rest}" if kind == "folder" else name


def about_count(number: float) -> str:
    """A rough number of many: `135 million`, `242 thousand`."""
    for unit, size in (("billion", 1e9), ("million", 1e6), ("thousand", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f}"


def readable_log(text: str) -> str:
    """A log as a terminal would leave it: no colours, of a redrawn line the last state; foreign text made visible."""
    lines = []
    for line in _ANSI.sub("", text).split("\n"):
        states = [state for state in line.rstrip("\r").split("\r") if state.strip()]
        lines.append(_CONTROL.sub("", states[-1]) if states else "")
    return visible("\n".join(lines))
