"""Where latents were inserted in an answer, how LTPO moved them, and what a causal check put in their place."""

from collections.abc import Sequence

import streamlit as st

from dashboard.parts.foreign_text import escape_markdown
from dashboard.parts.language import plural, t
from dashboard.parts.latents_charts import decision_chart, decision_frame, reward_chart, reward_frame
from dashboard.parts.text import count
from memgen.contract.answers import AnswerRecord, Augmentation, CheckedLatents, LtpoTrace
from memgen.contract.insertion_marks import APART, DECLINED, INSERTED

MOST_TRACES = 12
TRACES_IN_A_ROW = 3


def latents_view(answer: AnswerRecord, *, key: str) -> None:
    """A line on a causal check, one folded part for the decision points, one for the LTPO traces; each where it is.

    Args:
        answer: whose latents.
        key: tells apart two answers to the same question on one page.
    """
    if answer.causal_check:
        st.caption(escape_markdown(check_line(answer.causal_check)))
    # drawn when unfolded: ten answers of a page hold dozens of charts
    if answer.augmentations:
        place = f"latents_{key}_{answer.index}"
        with st.expander(insertion_words(answer), key=place, icon=":material/memory:", on_change="rerun") as folded:
            if folded.open:
                _decisions(answer, place)
    if answer.ltpo:
        place = f"ltpo_{key}_{answer.index}"
        with st.expander(
            ltpo_words(answer.ltpo), key=place, icon=":material/trending_up:", on_change="rerun"
        ) as folded:
            if folded.open:
                _traces(answer.ltpo, place)


def marks_legend(points: Sequence[Augmentation], *, apart: bool = False) -> str:
    """What the signs in a marked completion mean, in brackets after a space; empty where there is none."""
    placed = [point for point in points if point.character is not None]
    legend = [t("{sign} latents inserted", sign=INSERTED)] * any(point.inserted for point in placed)
    legend += [t("{sign} declined", sign=DECLINED)] * any(not point.inserted for point in placed)
    legend += [t("{sign} first difference", sign=APART)] * apart
    return f" ({', '.join(legend)})" if legend else ""


def insertion_words(answer: AnswerRecord) -> str:
    """`Latents inserted 3 times at 5 decision points`."""
    points = answer.augmentations
    inserted = sum(point.inserted for point in points)
    times = t("once") if inserted == 1 else t("{n} times", n=inserted)
    return plural(
        "Latents inserted {times} at {n} decision point",
        "Latents inserted {times} at {n} decision points",
        len(points),
        times=times,
    )


def check_line(checked: CheckedLatents) -> str:
    """`In place of the weaver's latents: mean latents · norm 150 → 148 · cosine +0.920`, plain text."""
    parts = [t("In place of the weaver's latents: {check}", check=t(checked.check))]
    if checked.taken_from:
        parts.append(t("question {number}", number=checked.taken_from))
    if checked.insertions:
        norm, used, cosine = (
            sum(getattr(one, name) for one in checked.insertions) / len(checked.insertions)
            for name in ("norm", "used_norm", "cosine")
        )
        parts += [
            t("norm {before} → {after}", before=f"{norm:.4g}", after=f"{used:.4g}"),
            t("cosine {number}", number=f"{cosine:+.3f}"),
        ]
    return " · ".join(parts)


def ltpo_words(traces: list[LtpoTrace]) -> str:
    """`LTPO: reward gain +0.031 over 3 insertions`: the mean gain of the insertions."""
    gain = sum(reward_gain(trace) for trace in traces) / len(traces)
    return plural(
        "LTPO: reward gain {gain} over {n} insertion",
        "LTPO: reward gain {gain} over {n} insertions",
        len(traces),
        gain=f"{gain:+.3f}",
    )


def reward_gain(trace: LtpoTrace) -> float:
    """What the best latents' reward has more than the starting ones'."""
    return trace.rewards[trace.best_step] - trace.rewards[0] if trace.best_step < len(trace.rewards) else 0.0


def trace_words(trace: LtpoTrace) -> str:
    """Entropy, likeliest token and distance of one insertion, plain text."""
    parts = [t("distance {number}", number=f"{trace.distance:.3g}")]
    if len(trace.entropy) == 2:
        parts.append(
            t("entropy {before} → {after} nat", before=f"{trace.entropy[0]:.3f}", after=f"{trace.entropy[1]:.3f}")
        )
    if len(trace.top1) == 2:
        parts.append(
            t(
                "likeliest token {before} → {after} %",
                before=f"{trace.top1[0] * 100:.1f}",
                after=f"{trace.top1[1] * 100:.1f}",
            )
        )
    if trace.step_ulps is not None:
        parts.append(t("step {number} units in the last place", number=f"{trace.step_ulps:.3g}"))
    return " · ".join(parts)


def token_words(token: int) -> str:
    """Which latents, by where they stand."""
    if token == 0:
        return t("Latents at the end of the prompt")
    return t("Latents in front of token {number}", number=f"{token:,}")


def _decisions(answer: AnswerRecord, place: str) -> None:
    frame = decision_frame(answer.augmentations)
    st.altair_chart(
        decision_chart(frame, answer.completion_tokens), width="stretch", key=f"{place}_chart",
        alt=t("{what}, along the completion's tokens", what=insertion_words(answer)),
    )  # fmt: skip
    st.dataframe(
        frame[["token", "where", "asked", "decision"]],
        column_config={
            "token": st.column_config.NumberColumn(t("Token"), help=t("Index of the token after the latents")),
            "where": t("Where"),
            "asked": st.column_config.CheckboxColumn(t("Trigger asked")),
            "decision": t("Decision"),
        },
        hide_index=True,
        placeholder="",
        key=f"{place}_points",
        alt=t("Decision points of the answer"),
    )


def _traces(traces: list[LtpoTrace], place: str) -> None:
    shown = traces[:MOST_TRACES]
    for start in range(0, len(shown), TRACES_IN_A_ROW):
        row = shown[start : start + TRACES_IN_A_ROW]
        for number, (column, trace) in enumerate(zip(st.columns(TRACES_IN_A_ROW), row, strict=False), start=start):
            with column:
                st.markdown(f"**{token_words(trace.token)}**")
                st.altair_chart(
                    reward_chart(reward_frame(trace)), width="stretch", key=f"{place}_chart_{number}",
                    alt=t("Reward over the LTPO steps, best at step {step}", step=trace.best_step),
                )  # fmt: skip
                best = t("best at step {step}", step=trace.best_step)
                st.caption(escape_markdown(f"{best} · {trace_words(trace)}"))
    if len(traces) > len(shown):
        st.caption(t("Shows the first {shown} of {total} insertions.", shown=len(shown), total=count(len(traces))))
