"""The rollouts of a training: its steps as bars, the groups of one of them, and a group's completions in full.

All text of questions and models is shown as plain text.
"""

import altair as alt
import pandas as pd
import streamlit as st

from backend.api.schemas import RolloutFilter, RolloutsOut, RolloutStep, RunDetail
from dashboard.parts import api
from dashboard.parts.answers_view import plain_text
from dashboard.parts.foreign_text import escape_markdown, plain_frame, visible
from dashboard.parts.language import columns_in_language, mark, t
from dashboard.parts.latents_view import marks_legend
from dashboard.parts.pager import cursors_of, pager
from dashboard.parts.text import MISSING, count
from dashboard.parts.url_state import keep_in_url, start_from_url
from dashboard.run.live_part import live_part
from dashboard.run.live_run import LiveRun
from memgen.contract.insertion_marks import marked
from memgen.contract.rollouts import RolledOut, RolloutGroup
from memgen.contract.status import RUN_ENDED

SHOW: dict[RolloutFilter, str] = {
    "all": mark("All"),
    "without_variance": mark("Without variance"),
    "truncated": mark("Truncated"),
    "boxed_wrong": mark("Boxed but wrong"),
}
ORDER: dict[str, str] = {"newest": mark("Newest first"), "first": mark("First to last")}
COUNTED: dict[str, str] = {
    "all": mark("{n} groups"),
    "without_variance": mark("{n} without variance"),
    "truncated": mark("{n} truncated"),
    "boxed_wrong": mark("{n} boxed but wrong"),
}
"""How many there are of each."""
PAGE_SIZE = 200  # steps
TABLE_PIXELS = 248  # its head and six rows
CHART_PIXELS = 110
STEP_COLUMNS = {
    "step": st.column_config.NumberColumn(mark("Step"), width=64, format="localized"),
    "reward": st.column_config.NumberColumn(
        mark("Reward"), width=72, format="%.3f", help=mark("Mean of its completions")
    ),
    "without_variance": st.column_config.ProgressColumn(
        mark("No variance"),
        format="percent",
        width=96,
        min_value=0,
        max_value=1,
        help=mark("Share of its questions whose completions all earn the same: they teach nothing"),
    ),
    "truncated": st.column_config.NumberColumn(
        mark("Truncated"), format="percent", width=84, help=mark("Share of its completions")
    ),
    "boxed_wrong": st.column_config.NumberColumn(
        mark("Boxed, wrong"), format="percent", width=96, help=mark("Share of its completions")
    ),
}
GROUP_COLUMNS = {
    "question": st.column_config.TextColumn(mark("Question"), width=190),
    "expected": st.column_config.TextColumn(mark("Expected"), width=80),
    "reward": st.column_config.NumberColumn(
        mark("Reward"), width=72, format="%.3f", help=mark("Mean of its completions")
    ),
    "right": st.column_config.TextColumn(mark("Right"), width=64),
    "remarks": st.column_config.TextColumn(mark("Remarks"), width=150),
}
COMPLETION_COLUMNS = {
    "reward": st.column_config.NumberColumn(mark("Reward"), width=72, format="%.3f"),
    "parts": st.column_config.TextColumn(mark("Of it"), width=150, help=mark("The parts whose sum the reward is")),
    "advantage": st.column_config.NumberColumn(
        mark("Advantage"),
        width=84,
        format="%+.3f",
        help=mark("How much it exceeds its group, as the step learned from it"),
    ),
    "extracted": st.column_config.TextColumn(mark("Extracted"), width=90),
    "remarks": st.column_config.TextColumn(mark("Remarks"), width=150),
    "tokens": st.column_config.NumberColumn(mark("Tokens"), width=64, format="localized"),
    "insertions": st.column_config.TextColumn(
        mark("Insertions"), width=84, help=mark("Latents inserted, of so many points")
    ),
}


def rollouts_view(run: RunDetail) -> None:
    """Filter, steps, groups and completions; of a live run the newest step stands first and moves on."""
    start_from_url("show_rollouts", SHOW)
    start_from_url("order_rollouts", ORDER)
    st.session_state.setdefault("show_rollouts", "all")
    st.session_state.setdefault("order_rollouts", "newest" if run.status not in RUN_ENDED else "first")
    live_part(run, _rollouts)


def _rollouts(run: RunDetail, live: LiveRun) -> None:
    show: RolloutFilter = st.session_state.get("show_rollouts") or "all"
    newest = (st.session_state.get("order_rollouts") or "newest") == "newest"
    cursors = cursors_of("rollouts", (run.id, show, newest))
    step = _wanted_step()
    moved = (run.num_attempts, run.status, run.progress.done if run.progress else None)
    reply = live.kept(
        ("rollouts", show, newest, cursors[-1], step), moved,
        lambda _: api.client().rollouts(
            run.id, show=show, step=step, cursor=cursors[-1], limit=PAGE_SIZE, newest=newest
        ),
    )  # fmt: skip
    _filters(reply.counts)
    if not reply.steps:
        _none(reply, run)
        return
    _bars(reply)
    left, right = st.columns(2)
    with left:
        _steps(reply)
        if len(cursors) > 1 or reply.next_cursor:
            pager(
                "rollouts", cursors, page_size=PAGE_SIZE, shown=len(reply.steps), total=reply.total,
                next_cursor=reply.next_cursor,
            )  # fmt: skip
    with right:
        group = _groups(run.id, reply)
    if group is not None:
        _group(group)


def _wanted_step() -> int | None:
    """The step of the address; None is the page's first."""
    given = st.query_params.get("step", "")
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 16 else None


def _filters(counts: dict[str, int]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            t("Show groups"), list(SHOW), required=True, key="show_rollouts", format_func=lambda name: t(SHOW[name]),
            on_change=keep_in_url("show_rollouts", default="all"),
        )  # fmt: skip
        st.segmented_control(
            t("Steps"), list(ORDER), required=True, key="order_rollouts", format_func=lambda name: t(ORDER[name]),
            on_change=keep_in_url("order_rollouts"),
        )  # fmt: skip
    st.caption(" · ".join(t(words, n=count(counts[name])) for name, words in COUNTED.items() if name in counts))


def _none(reply: RolloutsOut, run: RunDetail) -> None:
    if reply.counts.get("all"):
        st.info(t("No group matches."), icon=":material/filter_alt_off:")
    elif not run.config.get("kept_rollouts"):
        st.info(t("This run keeps no completions: its setting kept_rollouts is 0."), icon=":material/forum:")
    elif run.status not in RUN_ENDED:
        st.info(t("No completions yet; they come step by step."), icon=":material/forum:")
    else:
        st.info(t("This run left no completions."), icon=":material/forum:")


def kept_words(groups: list[RolloutGroup]) -> str:
    """Whether all rollouts are here; else how many were dropped, and by which setting."""
    every = max((group.every for group in groups), default=1)
    if every == 1:
        return t("Every step's completions are kept.")
    return t(
        "Kept are the completions of one step in {n}; the others were dropped. `kept_rollouts` says how many.",
        n=f"{every:,}",
    )


def steps_chart(steps: list[RolloutStep], shown: int | None) -> alt.LayerChart:
    """A bar per step, its mean reward, paler the more of its groups have no variance; a line at the shown one."""
    frame = pd.DataFrame([dict(one) for one in steps]).assign(signal=lambda rows: 1 - rows["without_variance"])
    tooltip = [
        alt.Tooltip("step:Q", title=t("step"), format=",d"),
        alt.Tooltip("reward:Q", title=t("reward"), format=".3f"),
        alt.Tooltip("without_variance:Q", title=t("groups without variance"), format=".0%"),
        alt.Tooltip("truncated:Q", title=t("truncated"), format=".0%"),
    ]
    x = alt.X("step:O", title=None, axis=alt.Axis(labelOverlap=True, labelAngle=0), sort="ascending")
    bars = alt.Chart(frame).mark_bar().encode(
        x=x,
        y=alt.Y("reward:Q", title=t("mean reward"), axis=alt.Axis(tickCount=4)),
        opacity=alt.Opacity("signal:Q", scale=alt.Scale(domain=[0, 1], range=[0.3, 1]), legend=None),
        tooltip=tooltip,
    )  # fmt: skip
    mark = alt.Chart(frame[frame["step"] == shown]).mark_rule(strokeDash=[3, 3]).encode(x=x)
    chart: alt.LayerChart = (bars + mark).properties(height=CHART_PIXELS)
    return chart


def _bars(reply: RolloutsOut) -> None:
    last = max(reply.steps, key=lambda one: one.step)
    st.altair_chart(
        steps_chart(reply.steps, reply.step), width="stretch", key="rollout_bars",
        alt=t(
            "Mean reward of {n} steps; {reward} at step {step}, where {share} of the groups have no variance",
            n=len(reply.steps), reward=f"{last.reward:.3f}", step=last.step, share=f"{last.without_variance:.0%}",
        ),
    )  # fmt: skip
    pale = t("Mean reward of each step; the paler its bar, the more of its groups have no variance.")
    st.caption(f"{pale} {kept_words(reply.groups)}")


def _steps(reply: RolloutsOut) -> None:
    """The steps; a click on one opens its groups."""
    numbers = [one.step for one in reply.steps]
    at = numbers.index(reply.step) if reply.step in numbers else None
    key = f"rollout_steps_{hash((tuple(numbers), reply.step))}"
    st.dataframe(
        plain_frame([dict(one) for one in reply.steps], list(STEP_COLUMNS)),
        column_config=columns_in_language(STEP_COLUMNS),
        hide_index=True,
        height=TABLE_PIXELS if len(numbers) > 6 else "content",
        on_select=lambda: _choose_step(key, numbers),
        selection_mode="single-row",
        selection_default={"selection": {"rows": [] if at is None else [at]}},
        key=key,
        placeholder="",
        alt=t("Steps of the training"),
    )


def _choose_step(key: str, numbers: list[int]) -> None:
    """Keep the step that was clicked in the address; none where the click took it away."""
    if key not in st.session_state:  # the page has changed meanwhile
        return
    rows = st.session_state[key].selection.rows
    st.query_params.pop("group", None)
    if rows and rows[0] < len(numbers):
        st.query_params["step"] = str(numbers[rows[0]])
    else:
        st.query_params.pop("step", None)


def _groups(run_id: int, reply: RolloutsOut) -> RolloutGroup | None:
    """The groups of a step; returns the one that is chosen, at first that of the address or the first."""
    groups = reply.groups
    st.markdown(t("**Step {number}**", number=f"{reply.step:,}") if reply.step is not None else "")
    if not groups:
        st.caption(t("No group of this step matches."))
        return None
    wanted = st.query_params.get("group", "")
    at = next((row for row, group in enumerate(groups) if str(group.place + 1) == wanted), 0)
    event = st.dataframe(
        groups_frame(groups),
        column_config=columns_in_language(GROUP_COLUMNS),
        height=TABLE_PIXELS - 30 if len(groups) > 5 else "content",
        on_select="rerun",
        selection_mode="single-row",
        selection_default={"selection": {"rows": [at]}},
        key=f"rollout_groups_{run_id}_{hash((reply.step, tuple(group.place for group in groups)))}",
        placeholder="",
        alt=t("Groups of the step"),
    )
    rows = event.selection.rows
    chosen = groups[rows[0]] if rows and rows[0] < len(groups) else groups[at]
    if rows and rows[0] != at:
        st.query_params["group"] = str(chosen.place + 1)
    return chosen


def groups_frame(groups: list[RolloutGroup]) -> pd.DataFrame:
    """One row per group, its number in the step as the index."""
    rows = [
        {
            "question": group.question.strip(),
            "expected": MISSING if group.expected is None else group.expected,
            "reward": group.mean_reward,
            "right": f"{sum(one.rewards.get('accuracy', 0) > 0 for one in group.completions)}/{len(group.completions)}",
            "remarks": ", ".join(group_remarks(group)),
        }
        for group in groups
    ]
    frame = plain_frame(rows, list(GROUP_COLUMNS))
    frame.index = pd.Index([group.place + 1 for group in groups])
    return frame


def group_remarks(group: RolloutGroup) -> list[str]:
    """What is to be said of a group, in a few words each."""
    truncated = sum(one.truncated for one in group.completions)
    wrong = sum(one.boxed_but_wrong for one in group.completions)
    remarks = [t("no variance")] * group.without_variance
    remarks += [t("{n} truncated", n=truncated)] * bool(truncated)
    return remarks + [t("{n} boxed but wrong", n=wrong)] * bool(wrong)


def _group(group: RolloutGroup) -> None:
    """Question, reference, all completions as rows, and the chosen one in full."""
    with st.container(border=True, key="rollout_group"):
        st.markdown(t("**Step {step}, group {group}**", step=f"{group.step:,}", group=group.place + 1))
        st.text(visible(group.question.strip()))
        st.markdown(t("Expected **{answer}**", answer=escape_markdown(group.expected or MISSING)))
        event = st.dataframe(
            completions_frame(group.completions),
            column_config=columns_in_language(COMPLETION_COLUMNS),
            height=TABLE_PIXELS if len(group.completions) > 8 else "content",
            on_select="rerun",
            selection_mode="single-row",
            selection_default={"selection": {"rows": [0]}},
            key=f"rollout_completions_{group.step}_{group.place}",
            placeholder="",
            alt=t("Completions of the group"),
        )
        rows = event.selection.rows
        number = rows[0] if rows and rows[0] < len(group.completions) else 0
        chosen = group.completions[number]
        left, right = st.columns([3, 2])
        with left:
            plain_text(
                t("Completion {number}", number=number + 1) + marks_legend(chosen.augmentations),
                marked(chosen.completion, chosen.augmentations),
            )
            if decisions := decisions_line(chosen):
                st.caption(escape_markdown(decisions))
        with right:
            plain_text(t("Reference solution"), group.solution)


def completions_frame(completions: list[RolledOut]) -> pd.DataFrame:
    """One row per completion, its number as the index."""
    rows = [
        {
            "reward": one.reward,
            "parts": " ".join(f"{name} {value:+g}" for name, value in one.rewards.items()),
            "advantage": one.advantage,
            "extracted": MISSING if one.extracted is None else one.extracted,
            "remarks": ", ".join(completion_remarks(one)),
            "tokens": one.completion_tokens,
            "insertions": f"{sum(point.inserted for point in one.augmentations)}/{len(one.augmentations)}",
        }
        for one in completions
    ]
    frame = plain_frame(rows, list(COMPLETION_COLUMNS))
    frame.index = pd.RangeIndex(1, len(completions) + 1)
    return frame if any(one.augmentations for one in completions) else frame.drop(columns="insertions")


def completion_remarks(one: RolledOut) -> list[str]:
    """`wrong`, `truncated`, `no box`."""
    right = one.rewards.get("accuracy", 0.0) > 0
    remarks = [t("right") if right else t("wrong")] + [t("truncated")] * one.truncated
    return remarks + [t("no box")] * (not one.boxed)


def decisions_line(one: RolledOut) -> str:
    """`Decisions, with the probability of an insertion: prompt inserted (0.75), token 14 declined (0.31)`."""
    asked = [point for point in one.augmentations if point.probability is not None]
    decisions = ", ".join(
        f"{t('token {number}', number=f'{point.token:,}') if point.token else t('prompt')} "
        f"{t('inserted') if point.inserted else t('declined')} ({point.probability:.2f})"
        for point in asked
    )
    return t("Decisions, with the probability of an insertion: {decisions}", decisions=decisions) if asked else ""
