"""A batch system on paper, as the third executor of tests: its jobs are rows that a test moves."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from backend.executors import EXECUTORS
from backend.executors.executor import Executor, NotAnswering, Order, Phase, Refused, Site, Size, TheirJob


@dataclass
class Row:
    """A job on paper."""

    order: Order
    phase: Phase = "pending"
    words: str = "nobody has read it yet"


@dataclass
class Paper:
    """What the batch system has, and what is wrong with it."""

    rows: dict[str, Row] = field(default_factory=dict)
    refuses: str = ""
    silent: bool = False
    loses_replies: bool = False
    cancelled: list[str] = field(default_factory=list)

    def phases(self) -> list[Phase]:
        """Of its jobs, the first one first."""
        return [row.phase for row in self.rows.values()]


class PaperSite(Site):
    """A site whose batch system is the sheet `paper`."""

    paper: ClassVar[Paper] = Paper()

    executor: Literal["paper"]
    sizes: Annotated[tuple[Size, ...], Field(min_length=1)]

    @property
    def offers(self) -> Sequence[Size]:
        """What a job may be given."""
        return self.sizes

    def submit(self, order: Order) -> str:
        """Write it down."""
        if self.paper.silent:
            raise NotAnswering("the sheet is lost")
        if self.paper.refuses:
            raise Refused(self.paper.refuses)
        number = str(100 + len(self.paper.rows))
        self.paper.rows[number] = Row(order)
        if self.paper.loses_replies:
            raise NotAnswering("the reply is lost")
        return number

    def ask(self, prefix: str) -> list[TheirJob]:
        """Read what is written down."""
        if self.paper.silent:
            raise NotAnswering("the sheet is lost")
        rows = self.paper.rows.items()
        return [
            TheirJob(number, row.order.name, row.phase, row.words)
            for number, row in rows
            if row.order.name.startswith(prefix)
        ]

    def cancel(self, numbers: Sequence[str]) -> None:
        """Cross them out."""
        self.paper.cancelled += numbers
        for number in numbers:
            self.paper.rows[number].phase = "cancelled"


WITH_PAPER = (*EXECUTORS, Executor("paper", "Paper", PaperSite))
