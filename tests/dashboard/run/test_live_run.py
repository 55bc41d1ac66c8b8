"""What is known of a run: asked for once for all pages, in small pieces, and kept while the backend is away."""

from typing import Any

import pytest

from backend.api.client import ApiError, Unreachable
from backend.api.schemas import LogOut, MetricSeries
from dashboard.run.live_run import MAX_POINTS, TAIL_BYTES, LiveRun, joined, lengthened, live_run
from tests.backend.conftest import Clock
from tests.dashboard.studio import SFT, Studio, progress


def series(first: int, last: int) -> MetricSeries:
    steps = list(range(first, last + 1))
    return MetricSeries(name="train/loss", steps=steps, values=[1.0] * len(steps), times=[2.0] * len(steps))


def losses(first: int, last: int) -> list[dict[str, Any]]:
    """What a training tells of its steps from `first` to `last`."""
    told = ({"event": "metric", "name": "train/loss", "step": step, "value": 1.0} for step in range(first, last + 1))
    return [*told, progress(last, 5000)]


def test_twenty_pages_ask_for_a_live_run_once_in_a_while(studio: Studio) -> None:
    studio.claimed(**SFT).say(*losses(1, 3))
    clock = Clock()
    live = LiveRun(1, lambda: clock.ticks)
    for _ in range(20):
        live.detail()
        assert live.curves()["train/loss"].steps == [1, 2, 3]
    assert studio.wire.paths() == ["GET /runs/1", "GET /runs/1/metrics"]
    clock.pass_time(4)
    for _ in range(20):
        live.detail()
        live.curves()
    assert studio.wire.paths()[2:] == ["GET /runs/1"]  # nothing has moved
    assert live_run(1) is live_run(1)


def test_live_curves_ask_for_what_is_new_and_hold_a_bounded_number_of_points(studio: Studio) -> None:
    held = studio.claimed(**SFT)
    clock = Clock()
    live = LiveRun(1, lambda: clock.ticks)
    last = 0
    for first, last in ((1, 1000), (1001, 1500), (1501, 2400)):
        held.say(*losses(first, last))
        clock.pass_time(4)
        points = live.curves()["train/loss"]
        assert points.steps[-1] == last
        assert len(points.steps) <= 2 * MAX_POINTS
    assert studio.wire.query("/runs/1/metrics")["since"] == "1499"
    held.say(*losses(last + 1, last + 1))
    clock.pass_time(4)
    studio.wire.replied.clear()
    assert live.curves()["train/loss"].steps[-1] == last + 1
    assert studio.wire.replied["/runs/1/metrics"] < 300  # bytes


def test_stretch_of_a_thinned_curve_is_asked_for_once_and_only_where_it_no_longer_grows(studio: Studio) -> None:
    held = studio.claimed(**SFT)
    clock = Clock()
    live = LiveRun(1, lambda: clock.ticks)
    held.say(*losses(1, 3000))
    assert len(live.curves()["train/loss"].steps) == MAX_POINTS
    assert live.stretch("train/loss", None, None) == live.curves()["train/loss"]
    assert live.stretch("train/loss", 100, None) == live.curves()["train/loss"]
    assert studio.wire.paths().count("GET /runs/1/metrics") == 1
    for _ in range(3):
        assert live.stretch("train/loss", 100, 400).steps == list(range(100, 401))
    assert studio.wire.paths().count("GET /runs/1/metrics") == 2
    assert dict(studio.wire.query("/runs/1/metrics")) == {
        "name": "train/loss", "since": "99", "until": "400", "max_points": str(MAX_POINTS),
    }  # fmt: skip


def test_next_attempt_replaces_what_its_steps_reported_before(studio: Studio) -> None:
    clock = Clock()
    live = LiveRun(1, lambda: clock.ticks)
    first = studio.claimed(**SFT)
    first.say({"event": "checkpoint", "step": 2, "path": "x"}, *losses(1, 4))
    assert live.curves()["train/loss"].steps == [1, 2, 3, 4]
    first.finish("stopped", "stopped")
    studio.client.resume(1)
    second = studio.held()
    second.say({"event": "metric", "name": "train/loss", "step": 3, "value": 9.0}, progress(3, 16))
    clock.pass_time(4)
    assert live.curves()["train/loss"].values == [1.0, 1.0, 9.0, 1.0]


def test_live_log_asks_for_what_is_new(studio: Studio) -> None:
    held = studio.claimed()
    clock = Clock()
    live = LiveRun(1, lambda: clock.ticks)
    held.send("log", b"x" * 60_000 + b"\n")
    assert len(live.tail(1).text) == 60_001
    held.send("log", "é new\n".encode())
    clock.pass_time(4)
    tail = live.tail(1)
    assert (tail.text[-6:], tail.offset, tail.next_offset) == ("é new\n", 0, 60_008)
    assert studio.wire.query("/runs/1/log")["offset"] == "60001"
    live.tail(1)
    assert studio.wire.paths().count("GET /runs/1/log") == 2
    held.send("log", b"y" * 200_000 + b"\nend\n")
    clock.pass_time(4)
    assert len(live.tail(1).text) <= TAIL_BYTES


def test_what_was_known_stays_while_the_backend_is_away_and_goes_with_the_run(studio: Studio) -> None:
    failed = studio.failed()
    clock = Clock()
    live = LiveRun(failed, lambda: clock.ticks)
    known = live.detail()
    studio.wire.down = True
    assert live.detail(within=0) == known
    assert isinstance(live.away, Unreachable)
    with pytest.raises(Unreachable):
        live.kept("new", 1, lambda _: studio.client.run_events(failed))
    studio.wire.down = False
    assert live.detail(within=0) == known
    assert live.away is None
    studio.client.delete(failed, confirm=True)
    for _ in range(2):
        with pytest.raises(ApiError, match="no run"):
            live.detail(within=0)


def test_replies_are_asked_for_again_where_the_run_has_moved_and_are_few(studio: Studio) -> None:
    studio.claimed()
    live = LiveRun(1)
    asked: list[object] = []

    def ask(before: object) -> int:
        asked.append(before)
        return len(asked)

    assert [live.kept("a", moved, ask) for moved in (1, 1, 2)] == [1, 1, 2]
    assert asked == [None, 1]
    for number in range(100):
        live.kept(number, 0, ask)
    assert live.kept("a", 2, ask) == 103  # it was forgotten


def test_later_points_replace_those_of_their_steps() -> None:
    assert joined(series(1, 5), series(4, 8)).steps == [1, 2, 3, 4, 5, 6, 7, 8]
    assert joined(None, series(4, 8)) == series(4, 8)
    long = joined(series(1, 2 * MAX_POINTS), series(2 * MAX_POINTS, 2 * MAX_POINTS + 1))
    assert (len(long.steps), long.steps[-1]) == (MAX_POINTS + 1, 2 * MAX_POINTS + 1)


def test_lengthened_log_begins_at_a_line_and_one_that_does_not_follow_replaces_it() -> None:
    before = LogOut(
        attempt=1,
        offset=10,
        next_offset=10 + TAIL_BYTES,
        size=10 + TAIL_BYTES,
        text="a" * 9 + "\n" + "b" * (TAIL_BYTES - 10),
    )
    new = LogOut(attempt=1, offset=before.next_offset, next_offset=before.next_offset + 2, size=0, text="c\n")
    longer = lengthened(before, new)
    assert (longer.offset, longer.text[0], longer.text[-3:]) == (20, "b", "bc\n")
    other = new.model_copy(update={"offset": 0})
    assert lengthened(before, other) is other
