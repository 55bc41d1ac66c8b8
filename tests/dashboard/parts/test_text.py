"""Numbers, times and foreign text as people read them."""

from datetime import UTC, datetime, timedelta

import pytest

from dashboard.parts.foreign_text import escape_markdown, sentence
from dashboard.parts.text import (
    about_count,
    about_size,
    ago,
    duration,
    full_time,
    in_zones,
    percent,
    readable_log,
    size,
    weights_words,
)

NOW = datetime(2026, 11, 22, 22, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"), (0, "0 s"), (0.3, "under 1 s"), (59.4, "59 s"), (59.6, "1 min"), (130, "2 min 10 s"),
        (3600, "1 h"), (11_100, "3 h 5 min"), (187_200, "2 d 4 h"), (-3, "0 s"),
    ],
)  # fmt: skip
def test_duration(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [(None, "–"), (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KB"), (1_434_000, "1.4 MB"),
     (28 * 2**30, "28 GB"), (2**40, "1.0 TB"), (2**30 - 1, "1.0 GB")],
)  # fmt: skip
def test_size(num_bytes: float | None, text: str) -> None:
    assert size(num_bytes) == text


@pytest.mark.parametrize(
    ("parameters", "text"), [(134.5e6, "~0.3 GB"), (1.544e9, "~3 GB"), (7.6e9, "~14 GB"), (14.77e9, "~28 GB")]
)
def test_about_size_of_bfloat16_weights_is_what_the_presets_say(parameters: float, text: str) -> None:
    assert about_size(parameters * 2) == text


@pytest.mark.parametrize(
    ("delta", "text"),
    [
        (timedelta(seconds=-2), "just now"),
        (timedelta(seconds=40), "40 s ago"),
        (timedelta(minutes=3), "3 min ago"),
        (timedelta(hours=5, minutes=59), "5 h ago"),
        (timedelta(days=2), "2 d ago"),
    ],
)
def test_ago(delta: timedelta, text: str) -> None:
    assert ago(NOW - delta, NOW) == text


def test_time_without_zone_counts_as_utc() -> None:
    assert ago(NOW.replace(tzinfo=None) - timedelta(minutes=1), NOW) == "1 min ago"


def test_full_time_names_utc_and_the_zone_of_the_browser() -> None:
    assert full_time(NOW) == "2026-11-22 22:00:00 UTC"
    assert full_time(NOW, "Europe/Berlin") == "2026-11-22 23:00:00 (Europe/Berlin), 2026-11-22 22:00:00 UTC"
    assert full_time(NOW, "No/Where") == full_time(NOW, "UTC") == full_time(NOW)


def test_time_in_the_zone_of_the_reader_is_beside_utc_where_they_differ() -> None:
    seoul = {name: f"{time:%d %H:%M}" for name, time in in_zones(NOW, "Asia/Seoul").items()}
    assert seoul == {"Asia/Seoul": "23 07:00", "UTC": "22 22:00"}
    assert (
        list(in_zones(NOW, None)) == list(in_zones(NOW, "Europe/London")) == list(in_zones(NOW, "No/Where")) == ["UTC"]
    )


def test_markdown_is_escaped_and_on_one_line() -> None:
    assert escape_markdown("a*b_[c](d) $x$ :red[e]\n# f") == ("a\\*b\\_\\[c\\]\\(d\\) \\$x\\$ \\:red\\[e\\] \\# f")


def test_code_in_a_message_of_the_backend_stays_code() -> None:
    assert sentence("No *worker*. `make up` starts one") == "No \\*worker\\*\\. `make up` starts one"
    assert sentence("a lone ` mark") == "a lone \\` mark"


def test_log_is_what_a_terminal_would_show() -> None:
    raw = "\x1b[32mok\x1b[0m\r\nLoading:  10%\rLoading: 100%\nplain\x07\n"
    assert readable_log(raw) == "ok\nLoading: 100%\nplain\n"


def test_small_words() -> None:
    assert [about_count(n) for n in (134_515_008, 242_112, 14.77e9, 12)] == [
        "135 million", "242 thousand", "14.8 billion", "12"
    ]  # fmt: skip
    assert weights_words("folder:537e2cf94c8599b4") == "of a folder, with the hash 537e2cf94c8599b4"
    assert weights_words("Qwen/Qwen3-14B") == "Qwen/Qwen3-14B"
    assert percent(0.395) == "39.5 %"
    assert percent(None) == "–"
