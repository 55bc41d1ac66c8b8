"""Runs: submitted, listed, moved, ended, and what they left."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack
from uuid import uuid4

from backend.api import schemas as s
from backend.api.connection import Connection
from memgen.contract.status import StopMode


class RunFilters(TypedDict, total=False):
    """Which runs; what is None or left out does not matter."""

    status: str | None
    stage: str | None
    preset: str | None
    setting: str | None
    text: str | None
    """In their notes and models."""
    metric: str | None
    """They report it."""
    tag: str | None
    group: str | None
    archived: s.Shown | None


class RunCalls(Connection):
    """Runs: submitted, listed, moved, ended, and what they left."""

    def submit(
        self,
        config: Mapping[str, Any],
        *,
        note: str = "",
        fixes: int | None = None,
        tags: Sequence[str] = (),
        group: str | None = None,
        site: str | None = None,
        key: str | None = None,
    ) -> s.RunDetail:
        """Submit a run; it may mend a failed one, or go to a site. The same `key` and body never makes a second run."""
        more = {"fixes": fixes, "tags": list(tags), "group": group, "site": site}
        body = {"config": dict(config), "note": note} | {name: value for name, value in more.items() if value}
        return self._post("/runs", s.RunDetail, body, key=key or uuid4().hex)

    def runs(
        self, *, sort: str | None = None, cursor: str | None = None, limit: int = 50, **filters: Unpack[RunFilters]
    ) -> s.RunList:
        """A page of runs, newest first; `sort` is a column, after `-` the highest first."""
        return self._get("/runs", s.RunList, **filters, sort=sort, cursor=cursor, limit=limit)

    def run_numbers(self, **filters: Unpack[RunFilters]) -> s.RunNumbers:
        """The numbers of up to 10,000 runs that match, the newest first."""
        return self._get("/runs/numbers", s.RunNumbers, **filters)

    def run(self, run_id: int) -> s.RunDetail:
        """One run."""
        return self._get(f"/runs/{run_id}", s.RunDetail)

    def stop(self, run_id: int, mode: StopMode = StopMode.SAVE) -> s.RunDetail:
        """Ask a run to stop."""
        return self._post(f"/runs/{run_id}/stop", s.RunDetail, {"mode": mode.value})

    def set_priority(self, run_id: int, priority: int) -> s.RunDetail:
        """Change the place of a run that has not started."""
        return self._post(f"/runs/{run_id}/priority", s.RunDetail, {"priority": priority})

    def set_note(self, run_id: int, note: str) -> s.RunDetail:
        """Change the note of a run."""
        return self._post(f"/runs/{run_id}/note", s.RunDetail, {"note": note})

    def resume(self, run_id: int) -> s.RunDetail:
        """Next attempt, from where the last one got."""
        return self._post(f"/runs/{run_id}/resume", s.RunDetail, {})

    def retry(self, run_id: int) -> s.RunDetail:
        """Next attempt, from the start."""
        return self._post(f"/runs/{run_id}/retry", s.RunDetail, {})

    def rescore(self, run_id: int) -> s.RunDetail:
        """Score a finished evaluation's answers with the newest version of the scorer, beside the old scores."""
        return self._post(f"/runs/{run_id}/rescore", s.RunDetail, {})

    def delete(self, run_id: int, *, confirm: bool = False) -> s.DeletePreview:
        """Preview of what deleting a run takes away; with `confirm` it is done."""
        reply = self._send("DELETE", f"/runs/{run_id}", params={"confirm": confirm})
        return s.DeletePreview.model_validate(reply.json())

    def stop_runs(
        self, run_ids: Sequence[int], mode: StopMode = StopMode.SAVE, *, confirm: bool = False, key: str | None = None
    ) -> s.BulkOut:
        """What stopping many runs would do; with `confirm` it is done."""
        body = {"runs": list(run_ids), "mode": mode.value, "confirm": confirm}
        return self._post("/runs/stop", s.BulkOut, body, key=key)

    def delete_runs(self, run_ids: Sequence[int], *, confirm: bool = False, key: str | None = None) -> s.BulkOut:
        """What deleting many runs would take away; with `confirm` it is done."""
        body = {"runs": list(run_ids), "confirm": confirm}
        return self._post("/runs/delete", s.BulkOut, body, key=key)

    def metrics(
        self,
        run_id: int,
        *,
        name: str | None = None,
        since: int | None = None,
        until: int | None = None,
        max_points: int = 2000,
        attempt: int | None = None,
    ) -> s.MetricsOut:
        """Metrics of a run after `since` and up to `until`, downsampled to `max_points` a series; of one attempt, or
        joined."""
        return self._get(
            f"/runs/{run_id}/metrics",
            s.MetricsOut,
            name=name,
            since=since,
            until=until,
            max_points=max_points,
            attempt=attempt,
        )

    def curves(
        self,
        run_ids: Sequence[int],
        *,
        name: str | None = None,
        since: int | None = None,
        until: int | None = None,
        max_points: int = 500,
        epochs: bool = False,
    ) -> s.CurvesOut:
        """One metric of several runs, thinned at the same steps; without a name the one that says most about a run."""
        return self._get(
            "/curves",
            s.CurvesOut,
            runs=",".join(map(str, run_ids)),
            name=name,
            since=since,
            until=until,
            max_points=max_points,
            epochs=epochs or None,
        )

    def log(
        self, run_id: int, *, attempt: int | None = None, offset: int | None = None, limit: int = 65536
    ) -> s.LogOut:
        """A piece of the log; without an offset its end."""
        return self._get(f"/runs/{run_id}/log", s.LogOut, attempt=attempt, offset=offset, limit=limit)

    def log_lines(
        self,
        run_id: int,
        *,
        attempt: int | None = None,
        text: str | None = None,
        level: s.LogLevel | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> s.LogLines:
        """Lines of the log that hold a text or are of a level, searched from `offset` on."""
        return self._get(
            f"/runs/{run_id}/log/lines",
            s.LogLines,
            attempt=attempt,
            text=text,
            level=level,
            offset=offset,
            limit=limit,
        )

    def answers(
        self,
        run_id: int,
        *,
        show: str = "all",
        text: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
        newest: bool = False,
        scorer_version: int | None = None,
    ) -> s.AnswersOut:
        """A page of answers; `show` is all, right, wrong, truncated or no_box. Without a version the newest scores.

        With `newest` they come from the last question to the first.
        """
        return self._get(
            f"/runs/{run_id}/answers",
            s.AnswersOut,
            show=show,
            text=text,
            cursor=cursor,
            limit=limit,
            newest=newest or None,
            scorer_version=scorer_version,
        )

    def rollouts(
        self,
        run_id: int,
        *,
        show: s.RolloutFilter = "all",
        step: int | None = None,
        cursor: str | None = None,
        limit: int = 200,
        newest: bool = False,
    ) -> s.RolloutsOut:
        """A page of a training's steps, and the groups of one of them, at first of the page's first.

        With `newest` steps come from the last one back.
        """
        return self._get(
            f"/runs/{run_id}/rollouts",
            s.RolloutsOut,
            show=show,
            step=step,
            cursor=cursor,
            limit=limit,
            newest=newest or None,
        )

    def run_events(self, run_id: int, *, cursor: str | None = None, newest: bool = False) -> s.RunEventList:
        """History of a run, oldest first; with `newest` from its end back."""
        return self._get(f"/runs/{run_id}/events", s.RunEventList, cursor=cursor, newest=newest or None)
