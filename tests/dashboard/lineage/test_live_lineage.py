"""What is known of a lineage: asked for once for all pages, then what has moved alone; kept while nobody answers."""

import pytest

from backend.api.client import ApiError
from dashboard.lineage.live_lineage import LiveLineage, live_lineage
from tests.backend.conftest import Clock
from tests.dashboard.studio import Studio


def statuses(live: LiveLineage) -> dict[int, str]:
    return {node.run_id: node.status.value for node in live.newest().nodes}


def test_twenty_pages_ask_once_in_a_while_and_for_what_has_moved(studio: Studio) -> None:
    studio.many(200)
    clock = Clock()
    live = LiveLineage(None, None, 300, lambda: clock.ticks)
    live.load()
    whole = studio.wire.replied["/lineage"]
    for _ in range(20):
        live.newest()
    assert studio.wire.paths() == ["GET /lineage"]
    clock.pass_time(4)
    held = studio.held()
    for _ in range(20):
        assert statuses(live)[held.run_id] == "running"
    assert studio.wire.paths() == ["GET /lineage"] * 2
    assert studio.wire.replied["/lineage"] < whole / 100
    clock.pass_time(4)
    live.newest()
    assert studio.wire.replied["/lineage"] < 100  # bytes: nothing has moved


def test_where_nothing_runs_or_waits_nothing_is_asked(studio: Studio) -> None:
    studio.evaluated(True)
    clock = Clock()
    live = LiveLineage(None, None, 100, lambda: clock.ticks)
    live.load()
    clock.pass_time(60)
    live.newest()
    assert studio.wire.paths() == ["GET /lineage"]


def test_new_runs_come_and_deleted_ones_go(studio: Studio) -> None:
    first = studio.evaluated(True)
    studio.submit()
    clock = Clock()
    live = LiveLineage(None, None, 100, lambda: clock.ticks)
    live.load()
    version = live.version
    third = studio.submit()
    clock.pass_time(4)
    assert set(statuses(live)) == {first, 2, third}
    assert live.version == version + 1
    studio.user("DELETE", f"/runs/{first}", params={"confirm": True})
    clock.pass_time(4)
    assert set(statuses(live)) == {2, third}


def test_last_known_stays_while_the_backend_is_away(studio: Studio) -> None:
    studio.submit()
    clock = Clock()
    live = LiveLineage(None, None, 100, lambda: clock.ticks)
    live.load()
    studio.wire.down = True
    clock.pass_time(4)
    assert statuses(live) == {1: "queued"}
    assert live.away is not None
    studio.wire.down = False
    clock.pass_time(4)
    live.newest()
    assert live.away is None


def test_family_of_a_run_that_was_deleted_is_no_longer_there(studio: Studio) -> None:
    studio.submit()
    clock = Clock()
    live = LiveLineage(1, None, 100, lambda: clock.ticks)
    live.load()
    studio.user("POST", "/runs/1/stop", json={"mode": "force"})
    clock.pass_time(4)
    assert statuses(live) == {1: "cancelled"}
    studio.user("DELETE", "/runs/1", params={"confirm": True})
    with pytest.raises(ApiError, match="no run with this id"):
        live.load()


def test_one_copy_serves_all_pages(studio: Studio) -> None:
    assert live_lineage(None, 1, 100) is live_lineage(None, 1, 100)
    assert live_lineage(None, 1, 100) is not live_lineage(1, None, 100)
