"""Charts of decision points and LTPO traces: DataFrame in, altair chart out; nothing else is read or changed."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from dashboard.parts.language import t
from memgen.contract.answers import Augmentation, LtpoTrace

_INSERTED, _SKIPPED, _BEST = "#0f9d8f", "#9aa8a5", "#e07a3f"


def decision_frame(points: Sequence[Augmentation]) -> pd.DataFrame:
    """One row per decision point: token, where in words, whether the trigger was asked, the decision."""
    rows = [
        {
            "token": point.token,
            "where": t("end of the prompt") if point.token == 0 else t("completion"),
            "asked": point.asked,
            "decision": t("inserted") if point.inserted else t("skipped"),
        }
        for point in points
    ]
    return pd.DataFrame(rows, columns=["token", "where", "asked", "decision"])


def decision_chart(frame: pd.DataFrame, tokens: int) -> alt.Chart:
    """Decision points along the tokens of the completion.

    Args:
        frame: as `decision_frame` makes it.
        tokens: length of the completion.
    """
    last = max([tokens, *frame["token"].tolist()])
    colours = alt.Scale(domain=[t("inserted"), t("skipped")], range=[_INSERTED, _SKIPPED])
    chart: alt.Chart = (
        alt.Chart(frame)
        .mark_tick(thickness=4, size=22)
        .encode(
            x=alt.X(
                "token:Q", title=t("completion token"), scale=alt.Scale(domain=[0, max(1, last)]),
                axis=alt.Axis(format=",d", tickMinStep=1, grid=False),
            ),
            color=alt.Color("decision:N", scale=colours, legend=alt.Legend(orient="top", title=None)),
            tooltip=[
                alt.Tooltip("token:Q", title=t("token"), format=",d"),
                alt.Tooltip("where:N", title=t("where")),
                alt.Tooltip("decision:N", title=t("decision")),
                alt.Tooltip("asked:N", title=t("trigger asked")),
            ],
        )
        .properties(height=140)
    )  # fmt: skip
    return chart


def reward_frame(trace: LtpoTrace) -> pd.DataFrame:
    """Columns `step` (0 is the start), `reward`, `best`."""
    steps = range(len(trace.rewards))
    return pd.DataFrame(
        {"step": list(steps), "reward": trace.rewards, "best": [step == trace.best_step for step in steps]}
    )


def reward_chart(frame: pd.DataFrame) -> alt.LayerChart:
    """Reward over the steps of one insertion; the best step, whose latents were used, is marked.

    Args:
        frame: as `reward_frame` makes it.
    """
    x = alt.X("step:Q", title=t("step"), axis=alt.Axis(format=",d", tickMinStep=1, tickCount=6, grid=False))
    y = alt.Y("reward:Q", title=t("reward"), scale=alt.Scale(zero=False, nice=True), axis=alt.Axis(tickCount=4))
    tooltip = [
        alt.Tooltip("step:Q", title=t("step"), format=",d"),
        alt.Tooltip("reward:Q", title=t("reward"), format=".5~g"),
    ]
    base = alt.Chart(frame).encode(x=x, y=y, tooltip=tooltip)
    best = base.transform_filter(alt.datum.best)
    chart: alt.LayerChart = (
        base.mark_line(strokeWidth=2)
        + base.mark_point(filled=True, size=24)
        + best.mark_point(filled=True, size=110, color=_BEST, opacity=1)
    ).properties(height=130)
    return chart
