"""Where each thing of a lineage stands in its picture. Pure functions.

Columns are generations, from the base model on the left. The first child of a run stands beside it in its row; every
other one begins a row of its own below all that came before, so that no two lines cross.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from backend.api.schemas import LineageNode, OutsideNode
from dashboard.lineage.families import families_of

ROWS_OF_A_BASE = 12
"""A base model is drawn again after so many rows, so that it stands near what was made from it."""


@dataclass(frozen=True)
class Base:
    """A base model."""

    preset: str


@dataclass(frozen=True)
class Gone:
    """A run that others started from and that is not among those that are drawn."""

    number: int
    preset: str
    deleted: bool


Thing: TypeAlias = LineageNode | OutsideNode | Base | Gone


@dataclass(frozen=True)
class Spot:
    """A thing and its place."""

    thing: Thing
    row: int
    column: int
    above: int | None
    """Place, in the list of all, of what it was made from."""

    @property
    def number(self) -> int | None:
        """Of a run or checkpoint; None for what has none, or can't be looked at."""
        if isinstance(self.thing, LineageNode):
            return self.thing.run_id
        return self.thing.id if isinstance(self.thing, OutsideNode) else None


def spots_of(nodes: Sequence[LineageNode], outside: Sequence[OutsideNode] = ()) -> list[Spot]:
    """Runs, what they started from, and the base models; families with the newest runs first.

    Args:
        nodes: runs.
        outside: checkpoints from outside.
    """
    layout = _Layout()
    added = {one.id: one for one in outside}
    for family in families_of(nodes):
        for node in family.nodes:
            layout.add(node.run_id, node, _above(layout, node, added))
    for one in outside:
        if one.id not in layout.places:
            layout.add(one.id, one, layout.base(one.preset))
    return layout.spots


def _above(layout: "_Layout", node: LineageNode, added: dict[int, OutsideNode]) -> int:
    parent = node.parent_id
    if parent is None:
        return layout.base(node.preset)
    if parent not in layout.places:
        thing = added.get(parent) or Gone(parent, node.preset, node.parent_deleted)
        layout.add(parent, thing, layout.base(node.preset))
    return layout.places[parent]


@dataclass
class _Layout:
    """What has a place so far."""

    spots: list[Spot] = field(default_factory=list)
    places: dict[int, int] = field(default_factory=dict)
    """Of numbered things in `spots`."""
    bases: dict[str, int] = field(default_factory=dict)
    """Of the base models that were drawn last."""
    continued: set[int] = field(default_factory=set)
    """Places beside which a child stands already."""
    row: int = -1

    def base(self, preset: str) -> int:
        """The place of a base model: where it was drawn last, if that is near."""
        place = self.bases.get(preset)
        if place is None or self.row - self.spots[place].row >= ROWS_OF_A_BASE:
            self.row += 1
            place = self.bases[preset] = self._append(Base(preset), 0, None)
        return place

    def add(self, number: int, thing: Thing, above: int) -> None:
        """Give a thing the place after what it was made from."""
        if above in self.continued:
            self.row += 1
        self.continued.add(above)
        self.places[number] = self._append(thing, self.spots[above].column + 1, above)

    def _append(self, thing: Thing, column: int, above: int | None) -> int:
        self.spots.append(Spot(thing, self.row, column, above))
        return len(self.spots) - 1
