"""How large everything is, and which pages are looked at."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """How much of everything."""

    runs: int
    points: int
    """Metric points of the largest run."""
    log_bytes: int
    """Of the longest log."""
    answers: int
    """Of each of the two evaluations that are looked at."""
    rounds: int
    """How often each page is opened."""
    seconds: float
    """For which a page is left alone."""
    tabs: int
    """Browser tabs on one live run."""


FULL = Scale(runs=10_000, points=1_000_000, log_bytes=100 * 2**20, answers=1319, rounds=4, seconds=30.0, tabs=20)
QUICK = Scale(runs=60, points=2_000, log_bytes=200_000, answers=40, rounds=1, seconds=5.0, tabs=3)

SERIES = 10  # metrics of the largest run, equally long
GOAL_RATIO = 2.0
"""First paint of a page over that of an empty page of the same app, at most."""
GOAL_REQUESTS = 60
"""Requests a minute at the backend from all tabs on a live run, at most."""
GOAL_FIRST_TOKEN = 2.0
"""Seconds from the click on *Ask* to the first token of the demo's model that can be seen, for the second question, at
most; on two cores."""


@dataclass(frozen=True)
class Page:
    """A page with what it is opened for."""

    address: str
    """Path and query; `{name}` stands for the number of one of the runs that `home.fill` names."""
    content: str
    """CSS selector of its own content, the part that shows the large thing."""

    def path(self, numbers: Mapping[str, int]) -> str:
        """The address with numbers of runs."""
        return self.address.format_map(numbers)


EMPTY = Page("/run", "[data-testid=stAlertContentInfo]")
"""The same app with a page that asks the backend for nothing of its own: no run is chosen."""
_TABLE = "[data-testid=stDataFrame] canvas"
_CHART = "[data-testid=stVegaLiteChart] :is(canvas, svg)"
PAGES: dict[str, Page] = {
    "home": Page("/", "[class*=st-key-result_]"),
    "runs": Page("/runs", f".st-key-runs_table {_TABLE}"),
    "runs by accuracy": Page("/runs?sort=-accuracy", f".st-key-runs_table {_TABLE}"),
    "runs searched": Page("/runs?text=seed", f".st-key-runs_table {_TABLE}"),
    "run of 10^6 points": Page("/run?run={largest}", _CHART),
    "its metrics": Page("/run?run={largest}&tab=Metrics", _CHART),
    "log of 100 MB": Page("/run?run={logged}&tab=Log", ".st-key-log code"),
    "lines of that log": Page("/run?run={logged}&tab=Log&log_text=loss", ".st-key-log code"),
    "1,319 answers": Page("/run?run={weaver}&tab=Answers", f"[role=tabpanel] {_TABLE}"),
    "rollouts": Page("/run?run={grpo}&tab=Rollouts", ".st-key-rollout_group"),
    "checkpoint": Page("/run?run={largest}&tab=Checkpoint", "[role=tabpanel] [data-testid=stMarkdown]"),
    "settings of a run": Page("/run?run={weaver}&tab=Settings", "[role=tabpanel] code"),
    "history of a run": Page("/run?run={weaver}&tab=History", f"[role=tabpanel] {_TABLE}"),
    "pipelines": Page("/pipelines", f".st-key-pipelines_table {_TABLE}"),
    "pipeline": Page("/pipeline?pipeline={pipeline}", ".st-key-strip"),
    "checkpoints": Page("/checkpoints", f".st-key-checkpoints_table {_TABLE}"),
    "compare": Page("/compare?runs={base},{weaver}", _CHART),
    "answers of two": Page("/compare?runs={base},{weaver}&tab=Answers", "[class*=st-key-pair_]"),
    "curves of two": Page("/curves?runs={largest},{grpo}&metric=train%2Floss", _CHART),
    "lineage": Page("/lineage", "[data-testid=stEChartsChart] svg"),
    "queue": Page("/queue", ".st-key-pause"),
    "launch": Page("/launch?what=weaver_sft", ".st-key-preflight [data-testid=stMetricValue]"),
    "run all": Page("/launch?what=all", ".st-key-preflight table"),
    "data sets": Page("/data_sets", _TABLE),
}
SILENT = tuple(name for name in PAGES if name not in ("home", "queue"))
"""Pages that send nothing by themselves while nothing runs and waits."""
LIVE: dict[str, Page] = {
    "home": Page("/", "[class*=st-key-running_]"),
    "runs": PAGES["runs"],
    "queue": PAGES["queue"],
    "overview": Page("/run?run={live}", _CHART),
    "metrics": Page("/run?run={live}&tab=Metrics", _CHART),
    "rollouts": Page("/run?run={live}&tab=Rollouts", ".st-key-rollout_group"),
    "log": Page("/run?run={live}&tab=Log", ".st-key-log code"),
    "history": Page("/run?run={live}&tab=History", f"[role=tabpanel] {_TABLE}"),
}
"""Pages that move with a run under way."""
TABS = ("overview", "metrics", "rollouts", "log")
"""Of `LIVE`: what the tabs on one live run show, in turn."""
