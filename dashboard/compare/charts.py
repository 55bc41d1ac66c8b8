"""Charts of a comparison: DataFrame in, altair chart out; nothing else is read or changed."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from backend.api.schemas import ComparedRun, CompareOut
from dashboard.compare.table import run_label, verdict_word
from dashboard.parts.foreign_text import plain_frame
from dashboard.parts.language import t

ROW_PIXELS = 42
EDGE = 0.04  # of an axis, between its ends and the outermost signs
CHANGES = ("change_low", "change_high", "change_strict", "expected_low", "expected_high")
_BAND, _INTERVAL, _RING = "#c2a12f", "#0f9d8f", "#7a5fbf"


def interval_frame(reply: CompareOut) -> pd.DataFrame:
    """One row per evaluation; accuracies in percent, changes in points, None where there is none."""
    rows = [
        {
            "label": run_label(item),
            "accuracy": item.accuracy * 100,
            "strict": item.accuracy_strict.value * 100 if item.accuracy_strict else None,
            "low": item.low * 100,
            "high": item.high * 100,
            "n": item.num_questions,
            "change": item.change.points if item.change else None,
            "change_low": item.change.low if item.change else None,
            "change_high": item.change.high if item.change else None,
            "change_strict": item.change.strict.value if item.change and item.change.strict else None,
            "expected_low": item.change.expected[0] if item.change and item.change.expected else None,
            "expected_high": item.change.expected[1] if item.change and item.change.expected else None,
            "verdict": t(verdict_word(item.change)),
            "nll": item.nll.value if item.nll else None,
            **_nll_change(item),
        }
        for item in reply.items
    ]
    return plain_frame(rows, list(rows[0]) if rows else [])


def _nll_change(item: ComparedRun) -> dict[str, float | None]:
    change = item.change.nll if item.change else None
    return {
        "nll_change": change.value if change else None,
        "nll_low": change.low if change else None,
        "nll_high": change.high if change else None,
    }


def nll_chart(frame: pd.DataFrame) -> alt.LayerChart | None:
    """Change in the solutions' NLL against the base with its interval; None where it was not measured.

    Args:
        frame: as `interval_frame` makes it.
    """
    changed = frame[frame["nll_change"].notna()]
    if changed.empty:
        return None
    tooltip = [
        alt.Tooltip("label:N", title=t("setting")),
        alt.Tooltip("nll:Q", title=t("NLL in nats per token"), format=".4f"),
        alt.Tooltip("nll_change:Q", title=t("change"), format="+.4f"),
        alt.Tooltip("nll_low:Q", title=t("interval from"), format="+.4f"),
        alt.Tooltip("nll_high:Q", title=t("to"), format="+.4f"),
    ]
    base = alt.Chart(changed).encode(y=_rows(changed), tooltip=tooltip)
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(strokeDash=[4, 4], opacity=0.6)
    title = [t("change in the NLL of solutions"), t("nats per token, 95 % interval; below 0: likelier")]
    chart: alt.LayerChart = (
        zero.encode(x="zero:Q")
        + base.mark_rule(strokeWidth=3, color=_INTERVAL).encode(x=alt.X("nll_low:Q", title=title), x2="nll_high:Q")
        + base.mark_point(filled=True, size=90, color=_INTERVAL, opacity=1).encode(x="nll_change:Q")
    ).properties(height=_height(changed))
    return chart


def accuracy_chart(frame: pd.DataFrame) -> alt.LayerChart:
    """Accuracy with its interval, and as a ring accuracy with the box required; a row per evaluation.

    Args:
        frame: as `interval_frame` makes it.
    """
    tooltip = [
        alt.Tooltip("label:N", title=t("setting")),
        alt.Tooltip("accuracy:Q", title=t("accuracy in percent"), format=".1f"),
        alt.Tooltip("low:Q", title=t("interval from"), format=".1f"),
        alt.Tooltip("high:Q", title=t("to"), format=".1f"),
        alt.Tooltip("strict:Q", title=t("with the box required"), format=".1f"),
        alt.Tooltip("n:Q", title=t("questions"), format=",d"),
    ]
    scale = alt.Scale(domain=_domain(frame, ("low", "high", "strict")))
    base = alt.Chart(frame).encode(y=_rows(frame), tooltip=tooltip)
    chart: alt.LayerChart = (
        base.mark_rule(strokeWidth=3, color=_INTERVAL).encode(
            x=alt.X("low:Q", title=[t("accuracy in percent, 95 % interval"), t("ring: box required")], scale=scale),
            x2="high:Q",
        )
        + _ring(base, "strict")
        + base.mark_point(filled=True, size=90, color=_INTERVAL, opacity=1).encode(x="accuracy:Q")
    ).properties(height=_height(frame))
    return chart


def change_chart(frame: pd.DataFrame) -> alt.LayerChart:
    """Change against the base with its interval, beside the expected band, and with the box required as a ring.

    Args:
        frame: as `interval_frame` makes it; the row of the base stays empty.
    """
    changed = frame[frame["change"].notna()]
    expected = changed[changed["expected_low"].notna()]
    tooltip = [
        alt.Tooltip("label:N", title=t("setting")),
        alt.Tooltip("change:Q", title=t("change in points"), format="+.1f"),
        alt.Tooltip("change_low:Q", title=t("interval from"), format="+.1f"),
        alt.Tooltip("change_high:Q", title=t("to"), format="+.1f"),
        alt.Tooltip("change_strict:Q", title=t("with the box required"), format="+.1f"),
        alt.Tooltip("expected_low:Q", title=t("expected from"), format="+g"),
        alt.Tooltip("expected_high:Q", title=t("to"), format="+g"),
        alt.Tooltip("verdict:N", title=t("verdict")),
    ]
    y = _rows(frame)
    base = alt.Chart(changed).encode(y=y, tooltip=tooltip)
    band = alt.Chart(expected).encode(y=y, tooltip=tooltip)
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(strokeDash=[4, 4], opacity=0.6)
    chart: alt.LayerChart = (
        band.mark_bar(height=18, color=_BAND, opacity=0.45, cornerRadius=3).encode(
            x=alt.X("expected_low:Q"), x2="expected_high:Q"
        )
        + zero.encode(x="zero:Q")
        + base.mark_rule(strokeWidth=3, color=_INTERVAL).encode(
            x=alt.X(
                "change_low:Q",
                title=[t("change in points, 95 % interval"), t("ring: box required; band: expected")],
                scale=alt.Scale(domain=_domain(changed, CHANGES, at_least=(-1.0, 1.0))),  # also where nothing changed
            ),
            x2="change_high:Q",
        )
        + _ring(base, "change_strict")
        + base.mark_point(filled=True, size=90, color=_INTERVAL, opacity=1).encode(x="change:Q")
    ).properties(height=_height(frame))
    return chart


def _domain(frame: pd.DataFrame, columns: Sequence[str], at_least: Sequence[float] = ()) -> list[float]:
    """From the lowest to the highest of some columns with room for a sign at either end: nothing is cut at the edge."""
    values = [*frame[list(columns)].astype(float).stack(), *at_least]
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = EDGE * (high - low) or 1.0
    return [low - room, high + room]


def _ring(base: alt.Chart, name: str) -> alt.Chart:
    """A second measure beside the point; where both are the same it stands around it."""
    ring: alt.Chart = base.mark_point(filled=False, size=220, strokeWidth=2, color=_RING, opacity=1).encode(
        x=f"{name}:Q"
    )
    return ring


def _rows(frame: pd.DataFrame) -> alt.Y:
    # the order of the table, not the alphabet's, and the same rows in both charts
    axis = alt.Axis(labelLimit=280, grid=False, ticks=False, domain=False)
    scale = alt.Scale(domain=frame["label"].tolist())
    return alt.Y("label:N", title=None, scale=scale, axis=axis)


def _height(frame: pd.DataFrame) -> int:
    return max(1, len(frame)) * ROW_PIXELS + 56
