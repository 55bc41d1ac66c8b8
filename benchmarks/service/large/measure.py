"""The measurements, part by part; each figure is in the file as soon as it is there, and is not measured again."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from backend.api.client import API
from backend.api.schemas import Announce, ClaimRequest, FinishRequest, SlotReport, Versions
from benchmarks.service.large.crowd import Crowd, Hired, Told, beside
from benchmarks.service.large.plan import LargeScale, Numbers, paths
from benchmarks.service.load import ingest_rate
from benchmarks.service.ours import CONFIG, MEMORY, Ours
from benchmarks.service.plan import p95, percentile
from memgen.contract.demo import small_spec
from memgen.contract.rundir import write_json
from memgen.contract.status import Cause

Figures = dict[str, Any]
LOOKS, LOOK_SECONDS = 10, 1.0  # at the age of the reconciler's rounds
AT_ONCE = 200  # runs that one request deletes
HOLDS_BEAT, HOLDS_TAB = 5.0, 3.0
"""Seconds, 95th percentile: a beat that takes longer comes later than the next, a tab's look longer than its pause."""


@dataclass
class Bench:
    """What is measured, and the figures so far.

    Args:
        ours: the backend, with a filled home.
        numbers: what is in it.
        scale: how much of everything.
        figures: by part.
        file: where they go.
        tell: shows a line.
    """

    ours: Ours
    numbers: Numbers
    scale: LargeScale
    figures: Figures
    file: Path
    tell: Callable[[str], None]
    _hired: list[Hired] = field(default_factory=list)

    def keep(self, part: str, name: str, figure: object) -> None:
        """Put a figure into the file."""
        self.figures.setdefault(part, {})[name] = figure
        write_json(self.file, self.figures)
        self.tell(f"{part}, {name}: {_words(figure)}")

    def lacks(self, part: str, name: str) -> bool:
        """Whether this figure is not there yet."""
        return name not in self.figures.get(part, {})

    def alone(self) -> None:
        """Each list while nobody else asks."""
        self._lists("alone")

    def crowd(self) -> None:
        """The same, and what users and workers do, beside 100 workers and 50 tabs."""
        changes: dict[str, Callable[[int], object]] = {
            "submission": self.ours.submit,
            "submission of a pipeline": lambda _: self.ours.user.submit_pipeline(small_spec()),
            "stop": self._stop,
        }
        missing = [name for name in paths(self.numbers) if self.lacks("crowd", name)]
        if not missing and not any(self.lacks("crowd", name) for name in (*changes, "everybody")):
            return
        with self._busy(self.scale.workers, self.scale.tabs) as told:
            self._lists("crowd")
            for name, change in changes.items():
                if self.lacks("crowd", name):
                    self.keep("crowd", name, {"seconds": p95(change, self.scale.asked)})
            self._wait()
        self.keep("crowd", "everybody", told().figures())

    def house(self) -> None:
        """Claims, the reconciler's round, ingestion at full speed."""
        if self.lacks("house", "round_seconds"):
            with self._busy(self.scale.workers, self.scale.tabs):
                rounds = []
                for _ in range(LOOKS):
                    time.sleep(LOOK_SECONDS)
                    rounds.append(self.ours.user.health().reconciler_round_seconds or 0.0)
            self.keep("house", "round_seconds", max(rounds))
        if self.lacks("house", "metrics_per_second"):
            self.ours.hold()
            self.keep("house", "metrics_per_second", ingest_rate(self.ours, self.scale.seconds))

    def shares(self) -> None:
        """What of a processor workers take by themselves, and tabs."""
        self._hire(self.scale.workers)
        for name, workers, tabs in (("workers", self.scale.workers, 0), ("tabs", 0, self.scale.tabs)):
            if self.lacks("shares", name):
                self.keep("shares", name, self._figures(workers, tabs))

    def workers(self) -> None:
        """More and more workers beside as many tabs, until something does not hold."""
        self._until_it_breaks("workers", self.scale.workers, lambda n: (n, self.scale.tabs))

    def tabs(self) -> None:
        """More and more tabs beside as many workers, until something does not hold."""
        self._until_it_breaks("tabs", self.scale.tabs, lambda n: (self.scale.workers, n))

    def backup(self) -> None:
        """A backup while the backend runs."""
        if not self.lacks("house", "backup_seconds"):
            return
        archive = self.ours.home.parent / "backup.tar"
        archive.unlink(missing_ok=True)
        began = time.perf_counter()
        words = [sys.executable, "-m", "backend", "backup", str(archive)]
        subprocess.run(words, env=self.ours.environment, check=True, stdout=subprocess.DEVNULL)
        self.keep("house", "backup_seconds", time.perf_counter() - began)
        self.keep("house", "backup_bytes", archive.stat().st_size)
        archive.unlink()

    def deletion(self) -> None:
        """Deleting many runs that have ended, the newest, whose files go, too."""
        if not self.lacks("house", "delete_seconds"):
            return
        numbers = self.ours.user.run_numbers(status="succeeded,failed,cancelled,skipped").runs[: self.scale.deleted]
        began, deleted = time.perf_counter(), 0
        with self.ours.client() as user:
            for first in range(0, len(numbers), AT_ONCE):
                reply = user.delete_runs(numbers[first : first + AT_ONCE], confirm=True)
                deleted += sum(one.problem is None for one in reply.items)
        self.keep("house", "delete_seconds", time.perf_counter() - began)
        self.keep("house", "deleted", deleted)

    @property
    def _headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.ours.token}"}

    def _lists(self, part: str) -> None:
        """Of each list the 95th percentile, what the backend computes for one, and bytes of its reply."""
        with httpx.Client(base_url=f"{self.ours.url}{API}", headers=self._headers, timeout=60) as http:
            for name, path in paths(self.numbers).items():
                if not self.lacks(part, name):
                    continue
                sizes: list[int] = []

                def ask(number: int, path: Callable[[int], str] = path, sizes: list[int] = sizes) -> None:
                    reply = http.get(path(number))
                    if reply.status_code != httpx.codes.SERVICE_UNAVAILABLE:  # too busy: its seconds count
                        reply.raise_for_status()
                    sizes.append(len(reply.content))

                before = self.ours.cpu_seconds()
                seconds = p95(ask, self.scale.asked)
                used = (self.ours.cpu_seconds() - before) / len(sizes)
                self.keep(part, name, {"seconds": seconds, "cpu_seconds": used, "bytes": max(sizes)})

    def _stop(self, _: int) -> None:
        self.ours.user.stop(self.ours.user.submit(CONFIG).id)

    @contextmanager
    def _busy(self, workers: int, tabs: int) -> Iterator[Callable[[], Told]]:
        """So many workers and tabs while the block runs."""
        self._hire(workers)
        ours, running = self.ours, [one.run_id for one in self._hired]
        crowd = Crowd(ours.port, ours.token, ours.settings.workers_token(), self._hired[:workers], tabs, running)
        with beside(crowd) as told:
            yield told

    def _hire(self, number: int) -> None:
        """Let workers announce themselves and claim, until there are enough."""
        taken, versions = [], Versions.of_this()
        with self.ours.worker() as client:
            while len(self._hired) < number:
                name = f"node{len(self._hired)}"
                slot = SlotReport(name="cpu", device="cpu", total_memory=MEMORY)
                announce = Announce(host=name, boot_id=f"b{name}", pid=1, slots=[slot], versions=versions)
                client.announce(announce)
                request = ClaimRequest(
                    host=name, boot_id=f"b{name}", pid=1, slot=slot, free_memory=MEMORY, versions=versions
                )
                began = time.perf_counter()
                attempt = client.claim(request).attempt
                taken.append(time.perf_counter() - began)
                if attempt is None:
                    raise RuntimeError(f"the queue has no run for worker {len(self._hired) + 1}")
                self._hired.append(Hired(attempt.attempt_id, attempt.run_id, attempt.token, announce.model_dump_json()))
        if taken and self.lacks("house", "claim_seconds"):
            self.keep("house", "claim_seconds", percentile(taken))

    def let_go(self) -> None:
        """End what the workers work on, so that none of it is found lost later."""
        with httpx.Client(base_url=f"{self.ours.url}{API}", timeout=60) as http:
            for one in self._hired:
                end = FinishRequest(outcome="failed", cause=Cause.ERROR, exit_code=1).model_dump(mode="json")
                headers = {"Authorization": f"Bearer {one.token}"}
                http.post(f"/worker/attempts/{one.attempt_id}/finish", json=end, headers=headers)
        self._hired.clear()

    def _wait(self) -> None:
        time.sleep(self.scale.seconds)

    def _figures(self, workers: int, tabs: int) -> Figures:
        """What becomes of the requests of so many, and how much of one processor the backend needs for them."""
        with self._busy(workers, tabs) as told:
            before, began = self.ours.cpu_seconds(), time.perf_counter()
            self._wait()
            used = (self.ours.cpu_seconds() - before) / (time.perf_counter() - began)
        return {**told().figures(), "processors": used, "refusals": dict(told().refused)}

    def _until_it_breaks(self, part: str, usual: int, sizes: Callable[[int], tuple[int, int]]) -> None:
        for times in self.scale.steps:
            number = usual * times
            if self.lacks(part, str(number)):
                self.keep(part, str(number), self._figures(*sizes(number)))
            if not holds(self.figures[part][str(number)]):
                return


def holds(figures: Mapping[str, float]) -> bool:
    """Whether everybody was served in time."""
    return not figures["refused"] and figures["beat_p95"] < HOLDS_BEAT and figures["tab_p95"] < HOLDS_TAB


PARTS: dict[str, Callable[[Bench], None]] = {
    "alone": Bench.alone, "shares": Bench.shares, "crowd": Bench.crowd, "house": Bench.house,
    "workers": Bench.workers, "tabs": Bench.tabs, "backup": Bench.backup, "deletion": Bench.deletion,
}  # fmt: skip


def _words(figure: object) -> str:
    if isinstance(figure, Mapping):
        return ", ".join(f"{name} {_words(value)}" for name, value in figure.items())
    return f"{figure:,.4f}" if isinstance(figure, float) else f"{figure}"
