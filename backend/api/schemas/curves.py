"""One metric of several runs, to be drawn together."""

from datetime import datetime

from pydantic import Field

from backend.api.schemas.base import ApiReply
from backend.api.schemas.labels import LabelledRun
from backend.api.schemas.runs import MetricSeries
from memgen.contract.status import RunStatus


class CurveRun(LabelledRun):
    """A run whose curve is drawn."""

    id: int
    preset: str
    data: str
    note: str
    group: str | None = None
    """The tag that it is listed and drawn with."""
    status: RunStatus
    started_at: datetime | None
    settings: dict[str, str] = Field(default_factory=dict)
    """Fields of its config in which the runs of the reply differ, as words; an empty word where it has none."""
    series: MetricSeries | None
    """Its curve; null where it has not reported the metric between these steps."""
    epochs: MetricSeries | None = None
    """Passes over its rows at those steps, where they were asked for and it tells them."""


class CurvesOut(ApiReply):
    """One metric of several runs. Runs that report at the same steps have their points at the same steps."""

    name: str | None
    """The metric; null where no run has any."""
    names: list[str]
    """Metrics that any of the runs has."""
    runs: list[CurveRun]
    """In the order asked for."""
    missing: list[int]
    """Runs that do not exist; they may have been deleted."""
