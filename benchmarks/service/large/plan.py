"""How large everything is, and which lists are read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from backend.views.checkpoint_list import COLUMNS as CHECKPOINT_COLUMNS
from backend.views.pipeline_list import COLUMNS as PIPELINE_COLUMNS
from backend.views.run_list import COLUMNS as RUN_COLUMNS


@dataclass(frozen=True)
class LargeScale:
    """How much of everything."""

    runs: int
    points: int
    """Metric points of all runs together, about."""
    queued: int
    """Runs among them that wait when the workers have taken theirs."""
    workers: int
    tabs: int
    asked: int
    """Requests of each kind."""
    seconds: float
    """Of ingestion at full speed, and of each crowd."""
    deleted: int
    """Runs that are deleted at the end."""
    steps: tuple[int, ...]
    """How many times as many workers, or tabs, come one after the other to find what breaks first."""

    def of_runs(self, runs: int) -> "LargeScale":
        """The same with another number of runs, each of which has as many points."""
        return replace(self, runs=runs, points=self.points * runs // self.runs)


LARGE = LargeScale(
    runs=100_000, points=10_000_000, queued=1000, workers=100, tabs=50, asked=40, seconds=20.0, deleted=1000,
    steps=(1, 2, 4, 8),
)  # fmt: skip
SMALL = LargeScale(
    runs=120, points=6000, queued=5, workers=2, tabs=7, asked=1, seconds=1.0, deleted=10, steps=(1,)
)  # fmt: skip
GOAL_SECONDS = 0.1
"""95th percentile of a list at 10^5 runs."""

BEAT_SECONDS, STEP_SECONDS, ANNOUNCE_SECONDS = 5.0, 2.0, 15.0
"""Of a worker: between two beats, two steps of its trainer (each of which is told with a line of the log), and two
signs of life."""
TABS: tuple[tuple[float, tuple[str, ...]], ...] = (
    (3.0, ("/home",)),
    (3.0, ("/runs?sort=-started",)),
    (3.0, ("/runs?status=running,queued",)),
    (4.0, ("/runs/{running}", "/runs/{running}/metrics?max_points=600")),
    (4.0, ("/runs/{running}", "/runs/{running}/log")),
    (3.0, ("/queue?limit=50", "/workers", "/sites")),
    (3.0, ("/pipelines",)),
)
"""What open tabs ask for, in turn: seconds between two looks, and the routes of one."""


@dataclass(frozen=True)
class Numbers:
    """What is in a filled home."""

    runs: int
    base: int
    """An evaluation with answers."""
    weaver: int
    """A training with curves."""
    woven: int
    """An evaluation with answers that started from it."""
    pipelines: int
    groups: int
    model: str
    """Name of a model that many runs have."""


def _sorted(path: str, columns: Mapping[str, object]) -> dict[str, str]:
    mark = "&" if "?" in path else "?"
    return {f"{path} by {fall}{name}": f"{path}{mark}sort={fall}{name}" for name in columns for fall in ("", "-")}


LISTS: dict[str, str] = {
    "runs": "/runs?limit={limit}",
    "runs, page in the middle": "/runs?cursor={half}&limit={limit}",
    "runs, failed": "/runs?status=failed&limit={limit}",
    "runs, running or queued": "/runs?status=running,queued&limit={limit}",
    "runs, of a stage": "/runs?stage=weaver_sft&limit={limit}",
    "runs, failed, of a stage": "/runs?status=failed&stage=weaver_sft&limit={limit}",
    "runs, of a model": "/runs?preset={model}&limit={limit}",
    "runs, of a setting": "/runs?setting=weaver&limit={limit}",
    "runs, with a text": "/runs?text=seed&limit={limit}",
    "runs, with a rare text": "/runs?text=number+{n}&limit={limit}",
    "runs, with a metric": "/runs?metric=train/loss&limit={limit}",
    "runs, with a metric of none": "/runs?metric=train/none&limit={limit}",
    "runs, tagged": "/runs?tag=sweep&limit={limit}",
    "runs, of a group": "/runs?group=group+{group}&limit={limit}",
    "runs, archived": "/runs?archived=only&limit={limit}",
    "runs, archived too": "/runs?archived=also&limit={limit}",
    "runs, evaluations by -accuracy": "/runs?stage=evaluate&sort=-accuracy&limit={limit}",
    "runs, with a text by -started": "/runs?text=seed&sort=-started&limit={limit}",
    **_sorted("/runs", RUN_COLUMNS),
    "numbers of runs": "/runs/numbers",
    "pipelines": "/pipelines?limit={limit}",
    "pipelines, with a text": "/pipelines?text=small&limit={limit}",
    "pipelines, archived": "/pipelines?archived=only&limit={limit}",
    **_sorted("/pipelines", PIPELINE_COLUMNS),
    "numbers of pipelines": "/pipelines/numbers",
    "checkpoints to start from": "/checkpoints?stage=evaluate&setting=weaver&preset={model}&limit={limit}",
    "checkpoints, all that are offered": "/checkpoints",
    "checkpoints": "/checkpoints/results",
    **_sorted("/checkpoints/results", CHECKPOINT_COLUMNS),
    "queue": "/queue?limit={limit}",
    "queue, all": "/queue",
    "lineage": "/lineage",
    "lineage of a run": "/lineage?run={n}",
    "lineage of a pipeline": "/lineage?pipeline={pipeline}",
    "compare": "/compare?runs={base},{woven}",
    "search, a word": "/search?text=weaver",
    "search, a number": "/search?text={n}",
    "search, what nothing has": "/search?text=nowhere+{n}",
    "home": "/home",
    "curves": "/curves?runs={weaver},{n}&max_points=200",
    "tags": "/tags",
    "candidates": "/pipelines/candidates?preset={model}&data=wordproblems",
    "workers": "/workers",
}
"""What is read, by its name in the table; a number of a run differs from request to request."""
SINGLE: dict[str, str] = {
    "a run": "/runs/{n}",
    "a run's metrics": "/runs/{n}/metrics",
    "a run's history": "/runs/{n}/events",
    "a pipeline": "/pipelines/{pipeline}",
}
"""What pages of one thing read."""
PAGE = 50


def paths(numbers: Numbers) -> dict[str, Callable[[int], str]]:
    """The address of the n-th request of each kind."""

    def path(template: str) -> Callable[[int], str]:
        def filled_in(number: int) -> str:
            run = (number * 7919) % numbers.runs + 1
            return template.format(
                n=run, limit=PAGE, half=numbers.runs // 2, model=numbers.model, base=numbers.base, woven=numbers.woven,
                weaver=numbers.weaver, group=number % max(1, numbers.groups),
                pipeline=number % numbers.pipelines + 1,
            )  # fmt: skip

        return filled_in

    return {name: path(template) for name, template in (LISTS | SINGLE).items()}
