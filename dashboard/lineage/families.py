"""Runs and their descent, sorted into families: a family is what comes from one first run. Pure functions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backend.api.schemas import LineageNode


@dataclass(frozen=True)
class Family:
    """A run that starts from the base model (or from a deleted run), and all that comes from it."""

    nodes: tuple[LineageNode, ...]
    """Parents before children, the first run first."""

    @property
    def newest(self) -> int:
        """Number of the newest run."""
        return max(node.run_id for node in self.nodes)


def families_of(nodes: Sequence[LineageNode]) -> list[Family]:
    """All runs by family, the one with the newest run first; what comes from one deleted run is one family."""
    present = {node.run_id for node in nodes}
    children: dict[int, list[LineageNode]] = {}
    first: dict[tuple[str, int], list[LineageNode]] = {}
    for node in sorted(nodes, key=lambda node: node.run_id):
        if node.parent_id is None:
            first[("run", node.run_id)] = [node]
        elif node.parent_id in present:
            children.setdefault(node.parent_id, []).append(node)
        else:
            first.setdefault(("other", node.parent_id), []).append(node)
    families = [Family(tuple(_descent(roots, children))) for roots in first.values()]
    return sorted(families, key=lambda family: -family.newest)


def _descent(roots: Iterable[LineageNode], children: dict[int, list[LineageNode]]) -> list[LineageNode]:
    """Depth first, so that a table shows each run below what it comes from."""
    line: list[LineageNode] = []
    open_nodes = list(reversed(list(roots)))
    while open_nodes:
        node = open_nodes.pop()
        line.append(node)
        open_nodes += reversed(children.get(node.run_id, []))
    return line
