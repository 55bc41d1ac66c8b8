"""Numbers, times and logs as people read them, in their language."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dashboard.parts.foreign_text import visible
from dashboard.parts.language import language, mark, t

MISSING = "–"
UTC_NAME = "UTC"
_MANY: dict[str, tuple[tuple[str, float], ...]] = {
    "en": ((" billion", 1e9), (" million", 1e6), (" thousand", 1e3)),
    "ko": (("억", 1e8), ("만", 1e4)),
}
"""Units of large numbers by language: they differ in size, not in their names alone."""
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def duration(seconds: float | None) -> str:
    """`45 s`, `2 min 10 s`, `3 h 5 min`, `2 d 4 h`; a dash for None."""
    if seconds is None:
        return MISSING
    if 0 < seconds < 1:
        return t("under 1 s")
    whole = max(0, round(seconds))
    if whole < 60:
        return t("{n} s", n=whole)
    if whole < 3600:
        return _two(t("{n} min", n=whole // 60), mark("{n} s"), whole % 60)
    if whole < 86_400:
        return _two(t("{n} h", n=whole // 3600), mark("{n} min"), whole % 3600 // 60)
    return _two(t("{n} d", n=whole // 86_400), mark("{n} h"), whole % 86_400 // 3600)


def _two(large: str, small: str, number: int) -> str:
    return f"{large} {t(small, n=number)}" if number else large


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
        return t("just now")
    for words, length in ((mark("{n} d ago"), 86_400), (mark("{n} h ago"), 3600), (mark("{n} min ago"), 60)):
        if seconds >= length:
            return t(words, n=int(seconds // length))
    return t("{n} s ago", n=int(seconds))


def full_time(time: datetime | None, zone: str | None = None) -> str:
    """ISO time in UTC and, where the browser's zone is known and differs, in that zone."""
    if time is None:
        return MISSING
    return ", ".join(
        f"{there:%Y-%m-%d %H:%M:%S} {name if name == UTC_NAME else f'({name})'}"
        for name, there in in_zones(time, zone).items()
    )


def minute(time: datetime, zone: str | None = None) -> str:
    """`2026-11-28 00:12` in the browser's zone, or in UTC where that is not known."""
    return f"{next(iter(in_zones(time, zone).values())):%Y-%m-%d %H:%M}"


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
    return MISSING if share is None else t("{number} %", number=f"{share * 100:.1f}")


def accuracy_words(share: float | None, questions: float | None) -> str:
    """`39.5 % of 1,319`."""
    return t("{accuracy} of {n}", accuracy=percent(share), n=count(questions))


def count(number: float | None) -> str:
    """`1,319`; a dash for None."""
    return MISSING if number is None else f"{number:,.0f}"


def weights_words(name: str) -> str:
    """Weights as people read them: those of a folder, which have no name, by their hash."""
    kind, _, rest = name.partition(":")
    return t("of a folder, with the hash {hash}", hash=rest) if kind == "folder" else name


def about_count(number: float) -> str:
    """A rough number of many: `135 million`, `242 thousand`; in Korean by ten thousands, `1.35억`."""
    for unit, size in _MANY[language()]:
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.0f}"


def readable_log(text: str) -> str:
    """A log as a terminal would leave it: no colours, of a redrawn line the last state; foreign text made visible."""
    lines = []
    for line in _ANSI.sub("", text).split("\n"):
        states = [state for state in line.rstrip("\r").split("\r") if state.strip()]
        lines.append(_CONTROL.sub("", states[-1]) if states else "")
    return visible("\n".join(lines))
