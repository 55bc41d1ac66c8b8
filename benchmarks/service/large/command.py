"""What `python -m benchmarks.service --large` does."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import machine
from benchmarks.ports import free_port
from benchmarks.service.large.home import filled
from benchmarks.service.large.measure import PARTS, Bench, Figures, holds
from benchmarks.service.large.plan import GOAL_SECONDS, LISTS, LargeScale
from benchmarks.service.ours import Ours
from benchmarks.service.plan import Scale


def measure(scale: LargeScale, file: Path, folder: Path, only: Sequence[str], tell: Callable[[str], None]) -> Figures:
    """Measure what is not in the file yet.

    Args:
        scale: how much of everything.
        file: where the figures go, and where those of an earlier call are.
        folder: for the home.
        only: parts that are measured; empty for all.
        tell: shows a line.

    Raises:
        ValueError: the file has figures of another size.
    """
    figures: Figures = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    sizes = json.loads(json.dumps(asdict(scale)))
    if figures.get("scale", sizes) != sizes:
        raise ValueError(f"{file} has figures of another size; name another file")
    figures = {"scale": sizes, **machine.describe(), **figures}
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing is fetched, and nobody waits for a hub
    ours = Ours(folder, free_port(), Scale(scale.runs, 0, scale.points, scale.asked, scale.seconds))
    numbers, seconds = filled(ours, scale, tell)
    bench = Bench(ours, numbers, scale, figures, file, tell)
    if bench.lacks("house", "fill_seconds"):
        bench.keep("house", "fill_seconds", seconds)
        bench.keep("house", "runs", numbers.runs)
        bench.keep("house", "database_bytes", ours.settings.database.stat().st_size)
    started = ours.serve()
    try:
        if bench.lacks("house", "start_seconds"):
            bench.keep("house", "start_seconds", started)
        for part in only or PARTS:
            PARTS[part](bench)
        bench.keep("house", "locked", ours.locked())
    finally:
        bench.let_go()
        ours.stop()
    return figures


def table(figures: Figures) -> str:
    """The figures in Markdown; of the orders of a list the slowest stands for all."""
    lines = [
        f"{figures['machine']}, {figures['cores']} cores, load {figures['load'][0]} at the start",
        "", "| | alone | of it computing | beside the crowd | reply |", "|---|---|---|---|---|",
    ]  # fmt: skip
    alone, crowd = figures.get("alone", {}), figures.get("crowd", {})
    names = [name for name in dict.fromkeys((*alone, *crowd)) if name != "everybody"]
    for label, group in _grouped(names).items():
        slowest = [
            max((one[name] for name in group if name in one), key=_seconds, default=None) for one in (alone, crowd)
        ]
        size = max((one.get("bytes", 0) for one in slowest if one is not None), default=0)
        cells = [_milliseconds(slowest[0]), _milliseconds(slowest[0], "cpu_seconds"), _milliseconds(slowest[1])]
        lines.append(f"| {label} | {' | '.join(cells)} | {f'{size / 1000:,.0f} KB' if size else ''} |")
    lines += ["", "| | |", "|---|---|"]
    lines += [f"| {name} | {_rounded(value)} |" for name, value in figures.get("house", {}).items()]
    for part in ("workers", "tabs"):
        lines += ["", f"| {part} | beat | report | look of a tab | requests a second | refused | |", "|---" * 7 + "|"]
        for number, one in figures.get(part, {}).items():
            seconds = " | ".join(f"{one[f'{kind}_p95']:.2f} s" for kind in ("beat", "report", "tab"))
            rest = f"{one['requests_per_second']:.0f} | {one['refused']:.0f} | {'holds' if holds(one) else 'breaks'}"
            lines.append(f"| {number} | {seconds} | {rest} |")
    return "\n".join(lines)


def _grouped(names: Sequence[str]) -> dict[str, list[str]]:
    """Names by the words that stand for them: the orders of a list are told together."""
    groups: dict[str, list[str]] = {}
    for name in names:
        path, by, _ = name.partition(" by ")
        groups.setdefault(f"{path} by its slowest column" if by and path.startswith("/") else name, []).append(name)
    return groups


def _seconds(figure: Mapping[str, float]) -> float:
    return figure["seconds"]


def _milliseconds(figure: Mapping[str, float] | None, name: str = "seconds") -> str:
    return "" if figure is None else f"{1000 * figure[name]:.0f} ms"


def _rounded(value: float) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"


def missed(figures: Figures) -> list[str]:
    """Lists that take longer than they may while nobody else asks."""
    return [
        f"{name} takes {1000 * one['seconds']:.0f} ms"
        for name, one in figures.get("alone", {}).items()
        if name in LISTS and one["seconds"] > GOAL_SECONDS
    ]
