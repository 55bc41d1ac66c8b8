"""The descent of runs as a graph in the DOT language. Pure functions; all foreign text is escaped."""

from collections.abc import Iterable, Sequence

from backend.api.schemas import LineageNode, OutsideNode
from dashboard.parts.foreign_text import one_line
from dashboard.parts.language import t
from dashboard.parts.text import accuracy_words

# fill and border: readable on a light and on a dark page, as the graph does not follow the theme
STATUS_FILL: dict[str, tuple[str, str]] = {
    "waiting": ("#e8ecea", "#8a9794"),
    "queued": ("#fdf3cd", "#c2a12f"),
    "running": ("#d9e6fb", "#3b6fd4"),
    "stopping": ("#fde4d3", "#e07a3f"),
    "succeeded": ("#d3efe6", "#0f766e"),
    "failed": ("#fadbd8", "#c0392b"),
    "cancelled": ("#e8ecea", "#8a9794"),
    "skipped": ("#e8ecea", "#8a9794"),
}
_INK, _EDGE = "#16211f", "#7d8b88"
_NOTE_LENGTH = 28


def quoted(text: str) -> str:
    """Foreign text as a quoted DOT string, on one line: no entity, no escape, no end of the string."""
    clean = one_line(text)
    return '"' + clean.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"') + '"'


def lineage_dot(nodes: Sequence[LineageNode], outside: Sequence[OutsideNode] = (), *, marked: int | None = None) -> str:
    """The graph from the base models on the left to the evaluations on the right.

    Args:
        nodes: runs; a parent that is not among them stands as deleted, or as not shown.
        outside: checkpoints from outside that some of them started from.
        marked: number of the run whose border is drawn thick.
    """
    known = {*(node.run_id for node in nodes), *(one.id for one in outside)}
    bases = dict.fromkeys([*(node.preset for node in nodes), *(one.preset for one in outside)])
    presets = {preset: f"base_{number}" for number, preset in enumerate(bases)}
    missing = {node.parent_id: node for node in nodes if node.parent_id is not None and node.parent_id not in known}
    lines = [
        "digraph lineage {",
        '  graph [rankdir=LR, bgcolor="transparent", nodesep=0.18, ranksep=0.55, pad=0.1]',
        f'  node [shape=box, style="rounded,filled", fontname="sans-serif", fontsize=11, fontcolor="{_INK}", '
        'margin="0.14,0.07"]',
        f'  edge [color="{_EDGE}", arrowsize=0.7]',
    ]
    for preset, name in presets.items():
        lines.append(f'  {name} [label={_label([t("base model"), preset])}, fillcolor="#ffffff", color="{_EDGE}"]')
    for number, child in missing.items():
        why = t("deleted") if child.parent_deleted else t("not shown")
        lines.append(
            f'  run_{number} [label={_label([t("run {number}", number=number), why])}, style="rounded,dashed,filled", '
            f'fillcolor="#f4f4f4", color="{_EDGE}"]'
        )
        lines.append(f"  {presets[child.preset]} -> run_{number} [style=dashed]")
    for one in outside:
        lines.append(
            f'  run_{one.id} [label={_label(outside_lines(one))}, fillcolor="#efe6fb", color="#7a5bb5", '
            f'penwidth={3 if one.id == marked else 1.2}, URL="checkpoints?checkpoint={one.id}", target="_self"]'
        )
        lines.append(f"  {presets[one.preset]} -> run_{one.id} [style=dashed]")
    notes = {node.run_id: node.note for node in nodes}
    for node in nodes:
        # one note for a whole pipeline is said where it begins
        note = "" if node.parent_id is not None and node.note == notes.get(node.parent_id) else node.note
        fill, border = STATUS_FILL.get(node.status.value, STATUS_FILL["waiting"])
        width = 3 if node.run_id == marked else 1.2
        lines.append(
            f'  run_{node.run_id} [label={_label(node_lines(node, note))}, fillcolor="{fill}", color="{border}", '
            f'penwidth={width}, tooltip={quoted(tooltip_of(node))}, URL="run?run={node.run_id}", target="_self"]'
        )
        parent = presets[node.preset] if node.parent_id is None else f"run_{node.parent_id}"
        lines.append(f"  {parent} -> run_{node.run_id}")
    return "\n".join([*lines, "}"])


def outside_lines(one: OutsideNode) -> list[str]:
    """What a checkpoint from outside says in the graph, line by line, plain text."""
    lines = [
        t("checkpoint {number}: from outside", number=one.id),
        one.name,
        t("checkpoint {hash}", hash=one.content_hash),
        one.note,
    ]
    return [line if len(line) <= _NOTE_LENGTH else f"{line[: _NOTE_LENGTH - 1]}…" for line in lines if line]


def node_lines(node: LineageNode, note: str = "") -> list[str]:
    """What a node of the graph says, line by line, plain text; a long note is cut."""
    lines = [t("run {number}: {what}", number=node.run_id, what=node.title), status_words(node)]
    if node.content_hash:
        lines.append(t("checkpoint {hash}", hash=node.content_hash))
    if node.accuracy is not None:
        lines.append(accuracy_words(node.accuracy, node.num_questions) + node.scorer_mark)
    if note:
        lines.append(note if len(note) <= _NOTE_LENGTH else f"{note[: _NOTE_LENGTH - 1]}…")
    return lines


def status_words(node: LineageNode) -> str:
    """`succeeded`; after several attempts `succeeded, 2 attempts: lost, succeeded`."""
    if len(node.attempts) < 2:
        return t(node.status.value)
    each = ", ".join(t(attempt.status.value) for attempt in sorted(node.attempts, key=lambda one: one.number))
    return t("{status}, {n} attempts: {each}", status=t(node.status.value), n=len(node.attempts), each=each)


def tooltip_of(node: LineageNode) -> str:
    """What is shown when the pointer is on a node."""
    parts = [t("run {number}", number=node.run_id), node.preset, node.data]
    if node.pipeline_id is not None:
        parts.append(t("pipeline {number}", number=node.pipeline_id))
    return " · ".join([*parts, *([node.note] if node.note else [])])


def _label(lines: Iterable[str]) -> str:
    return '"' + "\\n".join(quoted(line)[1:-1] for line in lines) + '"'
