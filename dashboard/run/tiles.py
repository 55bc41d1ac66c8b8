"""The four numbers at the top of a run's page."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import streamlit as st

from backend.api.client import ApiError
from backend.api.schemas import ChangeOut, MetricSeries, RunDetail
from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown
from dashboard.parts.language import t
from dashboard.parts.run_figures import figure_label, number
from dashboard.parts.verdicts import change_sentence
from dashboard.run.live_run import LiveRun
from memgen.contract.intervals import wilson
from memgen.contract.stage import Figure
from memgen.contract.stages import find_stage, trains
from memgen.contract.status import RUN_ENDED, RunStatus

MOST_TILES = 4
SPARK_POINTS = 60
ACCURACY = "accuracy"


@dataclass(frozen=True)
class Tile:
    """One number; all texts are plain."""

    label: str
    value: str
    about: str = ""
    change: str = ""
    sure: bool = False
    """Whether the change's interval leaves out 0."""
    curve: tuple[float, ...] = ()


def tiles(run: RunDetail, live: LiveRun) -> None:
    """Accuracy with interval and change, or loss and reward with their course, and what comes next to them."""
    curves = live.drawn_curves() if trains(run.stage) and run.num_attempts else {}
    shown = tiles_of(run, curves, _change(run, live))
    if not shown:
        return
    with st.container(key="tiles"):
        for column, tile in zip(st.columns(MOST_TILES), shown, strict=False):
            column.metric(
                escape_markdown(tile.label),
                escape_markdown(tile.value),
                tile.change or None,
                delta_color="normal" if tile.sure else "off",
                help=escape_markdown(tile.about) or None,
                border=True,
                chart_data=tile.curve or None,
            )


def tiles_of(
    run: RunDetail, curves: Mapping[str, MetricSeries] | None = None, change: ChangeOut | None = None
) -> list[Tile]:
    """The first numbers of the run's stage that it has."""
    stage = find_stage(run.stage)
    figures = stage.charts.figures if stage else ()
    present = [figure for figure in figures if figure.name in run.summary]
    return [_tile(figure, run, curves or {}, change) for figure in present[:MOST_TILES]]


def _tile(figure: Figure, run: RunDetail, curves: Mapping[str, MetricSeries], change: ChangeOut | None) -> Tile:
    value = run.summary[figure.name]
    label = figure_label(figure, run.status not in RUN_ENDED)
    n = run.summary.get("num_questions", 0)
    if figure.name != ACCURACY or not n:
        return Tile(label, number(value, figure.form), curve=spark(figure.name, curves.values()))
    low, high = wilson(value, n)
    return Tile(
        label,
        t(
            "{value} ({low} to {high})",
            value=number(value, figure.form),
            low=f"{low * 100:.1f}",
            high=f"{high * 100:.1f}",
        ),
        about=_about(run, n, change),
        change="" if change is None else change_words(change),
        sure=change is not None and (change.low > 0 or change.high < 0),
    )


def _about(run: RunDetail, questions: float, change: ChangeOut | None) -> str:
    text = t("Of {n} questions; in brackets the 95 % interval.", n=f"{questions:,.0f}")
    if change is None:
        return text
    against = t(
        "Against run {number}, the base evaluation of its pipeline: {verdict}",
        number=run.base_id,
        verdict=change_sentence(change),
    )
    return f"{text} {against}"


def change_words(change: ChangeOut) -> str:
    """`+5.0 points (-1.2 to +11.0)`."""
    return t(
        "{change} points ({low} to {high})", change=f"{change.points:+.1f}", low=f"{change.low:+.1f}",
        high=f"{change.high:+.1f}",
    )  # fmt: skip


def spark(name: str, curves: Iterable[MetricSeries]) -> tuple[float, ...]:
    """The course of a number of a training's result, in at most `SPARK_POINTS` values; empty where it has none."""
    names = {f"train/{name}", name.replace("_", "/", 1)}  # `eval_loss` is that of `eval/loss`
    values = next((one.values for one in curves if one.name in names), [])
    every = -(-len(values) // SPARK_POINTS) or 1
    return tuple(values[::-every][::-1]) if len(values) > 1 else ()


def _change(run: RunDetail, live: LiveRun) -> ChangeOut | None:
    """The change in accuracy of a finished evaluation against the base of its pipeline, where they compare."""
    if run.base_id is None or run.status is not RunStatus.SUCCEEDED:
        return None
    base, moved = run.base_id, (run.base_id, run.scorer_version)

    def ask(_: ChangeOut | None) -> ChangeOut | None:
        try:
            compared = api.client().compare([base, run.id], base=base)
        except ApiError:  # it may not compare, e.g. by another version of the scorer; Compare says why
            return None
        return next((one.change for one in compared.items if one.run_id == run.id), None)

    return live.kept("change", moved, ask)
