"""The measurements, part by part; each figure is in the file as soon as it is there."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.dashboard.home import Numbers
from benchmarks.dashboard.house import House
from benchmarks.dashboard.lab import Lab, curves, rollouts
from benchmarks.dashboard.plan import EMPTY, GOAL_RATIO, GOAL_REQUESTS, LIVE, PAGES, SILENT, TABS, Page, Scale
from benchmarks.dashboard.trying import first_tokens
from benchmarks.dashboard.visitor import Visitor
from memgen.contract.rundir import write_json

Figures = dict[str, Any]
STEP_SECONDS = 1.0  # of the live run
FIRST_STEPS, LIVE_STEPS = 30, 100_000


@dataclass
class Bench:
    """What is measured, and the figures so far.

    Args:
        house: that is looked at.
        visitor: who looks.
        numbers: of the runs that pages are opened for.
        scale: how much of everything.
        figures: by part.
        file: where they go.
    """

    house: House
    visitor: Visitor
    numbers: Numbers
    scale: Scale
    figures: Figures
    file: Path

    def paint(self) -> None:
        """Each page in turn with the empty one, so that both see the same load of the machine."""
        for name, page in self._missing("paint", PAGES):
            self._paint(page)  # what the browser and the services keep of it is there from here on
            pairs = [(self._paint(EMPTY), self._paint(page)) for _ in range(self.scale.rounds)]
            empty, seconds = (min(side) for side in zip(*pairs, strict=True))
            figures = {"seconds": seconds, "empty_seconds": empty, "ratio": seconds / empty, "rounds": pairs}
            self._keep("paint", name, figures)

    def cost(self) -> None:
        """Requests and bytes of each page, opened and drawn anew."""
        for name, page in self._missing("cost", PAGES):
            self._keep("cost", name, self.visitor.cost(page, self.numbers))

    def idle(self) -> None:
        """What each page asks for while nothing runs."""
        for name, page in self._missing("idle", PAGES):
            self._keep("idle", name, self.visitor.left_alone(page, self.numbers, self.scale.seconds))

    def live(self) -> None:
        """What pages ask for that move with a run."""
        with training(self.house) as run_id:
            numbers = self.numbers | {"live": run_id}
            for name, page in self._missing("live", LIVE):
                self._keep("live", name, self.visitor.left_alone(page, numbers, self.scale.seconds))

    def tabs(self) -> None:
        """Many tabs on one run, left alone together."""
        if "tabs" in self.figures:
            return
        with training(self.house) as run_id, ExitStack() as tabs:
            wires = []
            for number in range(self.scale.tabs):
                page = LIVE[TABS[number % len(TABS)]]
                opened = self.visitor.opened(page.path(self.numbers | {"live": run_id}), page.content)
                tab, wire, _ = tabs.enter_context(opened)
                wires.append(wire)
            asked, before = self.house.counting.start_anew(), sum(one.received for one in wires)
            tab.wait_for_timeout(self.scale.seconds * 1000)
            requests, sent = asked.total()
            minute = 60 / self.scale.seconds
            self.figures["tabs"] = {
                "tabs": self.scale.tabs,
                "requests": requests * minute,
                "reply_bytes": sent * minute,
                "browser_bytes": (sum(one.received for one in wires) - before) * minute,
                "routes": {name: count * minute for name, count in asked.requests.items()},
            }
        write_json(self.file, self.figures)

    def try_out(self) -> None:
        """How soon an answer of the demo's model begins."""
        if "try" not in self.figures:
            self.figures["try"] = first_tokens(self.house.home.parent / "bench-try", self.visitor)
            write_json(self.file, self.figures)

    def _paint(self, page: Page) -> float:
        with self.visitor.opened(page.path(self.numbers), page.content) as (_, _, seconds):
            return seconds

    def _missing(self, part: str, pages: Mapping[str, Page]) -> list[tuple[str, Page]]:
        there = self.figures.setdefault(part, {})
        return [(name, page) for name, page in pages.items() if name not in there]

    def _keep(self, part: str, name: str, figures: Figures) -> None:
        self.figures[part][name] = figures
        write_json(self.file, self.figures)
        numbers = (f"{key} {value:,.2f}" for key, value in figures.items() if isinstance(value, float | int))
        say(f"{part}, {name}: {', '.join(numbers)}")


PARTS: dict[str, Callable[[Bench], None]] = {
    "paint": Bench.paint, "cost": Bench.cost, "tabs": Bench.tabs, "live": Bench.live, "idle": Bench.idle,
    "try": Bench.try_out,
}  # fmt: skip


@contextmanager
def training(house: House) -> Iterator[int]:
    """A training under way that tells of a step each second while the block runs; gives its number."""
    over = threading.Event()
    with house.user() as user, house.worker() as worker:
        report = Lab(house.home, user, worker).begin("under way", stage="weaver_grpo", num_questions=None)
        report.say({"event": "phase", "name": "train"})

        def tell(step: int) -> None:
            report.say(*curves("weaver_grpo", range(step, step + 1), LIVE_STEPS))
            report.send("log", f"step {step}\n".encode())
            report.send("rollouts", rollouts(step))

        def go_on() -> None:
            step = FIRST_STEPS
            while not over.wait(STEP_SECONDS):
                step += 1
                tell(step)

        for step in range(1, FIRST_STEPS + 1):
            tell(step)
        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            yield report.run_id
        finally:
            over.set()
            thread.join()
            user.stop(report.run_id)
            report.stop()


def missed(figures: Figures) -> list[str]:
    """What falls short of its goal, in words."""
    short = [
        f"{name} takes {one['ratio']:.2f} of an empty page"
        for name, one in figures.get("paint", {}).items()
        if one["ratio"] > GOAL_RATIO
    ]
    idle = {name: figures.get("idle", {}).get(name, {}).get("requests", 0) for name in SILENT}
    short += [
        f"{name} sends {number:.0f} requests a minute while nothing runs" for name, number in idle.items() if number
    ]
    tabs = figures.get("tabs", {"requests": 0})
    if tabs["requests"] > GOAL_REQUESTS:
        short.append(f"{tabs['tabs']} tabs on a live run send {tabs['requests']:.0f} requests a minute")
    tried = figures.get("try")
    if tried is not None and tried["first_token_seconds"][1] > tried["limit_seconds"]:
        short.append(f"the second question's first token in Try is seen after {tried['first_token_seconds'][1]:.2f} s")
    return short


def say(line: str) -> None:
    """A line about what is being done."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)
