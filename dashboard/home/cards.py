"""The parts of the first page, each from the one reply that it asks for."""

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from backend.api.schemas import AttentionOut, HomeOut, ResultOut, RunningOut, RunOut, WorkerOut
from dashboard.parts.baseline import baseline_line
from dashboard.parts.charts import is_share
from dashboard.parts.components import Colour, progress_bar, run_seconds
from dashboard.parts.foreign_text import escape_markdown, sentence
from dashboard.parts.language import mark, t
from dashboard.parts.slots import show_closed, show_sickness
from dashboard.parts.text import MISSING, ago, count, duration, full_time, percent, size
from dashboard.parts.verdicts import change_words
from memgen.contract.status import RunStatus

_KINDS: dict[str, tuple[str, Colour, str]] = {
    "failed": (mark("failed"), "red", "error"),
    "alarm": (mark("alarm"), "red", "notifications_active"),
    "warning": (mark("warned"), "orange", "warning"),
}
"""Of what needs attention: word, colour and icon."""


def tiles(state: HomeOut) -> None:
    """Four numbers: what runs, what waits, slots, disk."""
    slots = [slot for worker in state.workers for slot in worker.slots]
    busy = sum(slot.run_id is not None for slot in slots)
    waiting = t("{n} (paused)", n=count(state.num_queued)) if state.paused else count(state.num_queued)
    with st.container(horizontal=True, key="tiles", gap="small"):
        st.metric(t("Running"), count(state.num_running), border=True)
        st.metric(
            t("Queued"), waiting, border=True, help=t("{n} more wait for a checkpoint.", n=count(state.num_waiting))
        )
        st.metric(t("Slots at work"), t("{n} of {total}", n=busy, total=len(slots)), border=True)
        st.metric(
            t("Disk free"), size(state.disk_free_bytes), border=True,
            help=t(
                "Of {total}; {spare} are not needed by what runs.", total=size(state.disk_bytes),
                spare=size(state.disk_spare_bytes),
            ),
        )  # fmt: skip


def running(state: HomeOut) -> None:
    """Runs under way: how far, how long still, the newest metric with its curve, warnings."""
    _head(t("Running"), "page_running")
    if not state.running:
        st.caption(t("Nothing runs."))
    for one in state.running:
        _running_card(one)
    if state.num_running > len(state.running):
        _more(t("All {n} running runs", n=count(state.num_running)), "running")


def _running_card(one: RunningOut) -> None:
    with st.container(border=True, key=f"running_{one.run.id}"):
        figures, curve = st.columns([3, 2], vertical_alignment="center")
        with figures:
            open_run(one.run)
            if one.run.status is RunStatus.STOPPING:
                st.caption(t("A stop was asked for; the trainer is ending."))
            elif one.run.progress is None:
                st.caption(t("The trainer is starting."))
            else:
                progress_bar(one.run.progress)
            seconds = run_seconds(one.run, datetime.now(UTC))
            if seconds is not None:
                st.caption(t("for {time}", time=duration(seconds)))
        if one.metric is not None:
            with curve:
                st.metric(
                    escape_markdown(one.metric.name),
                    percent(one.metric.values[-1]) if is_share(one.metric.name) else f"{one.metric.values[-1]:.4g}",
                    chart_data=one.metric.values,
                    chart_type="line",
                )
        if one.warnings:
            last = sentence(one.warnings[-1])
            more = len(one.warnings) > 1
            st.warning(
                t("{n} warnings, the last: {text}", n=len(one.warnings), text=last) if more else last,
                icon=":material/warning:",
            )


def attention(state: HomeOut) -> None:
    """Failures of the last week with cause and way out, and warnings of what ended within a day."""
    if not state.attention:
        return
    _head(t("Needs attention"), "page_attention")
    for one in state.attention:
        _attention(one)
    shown = sum(one.kind == "failed" for one in state.attention)
    if state.num_failed > shown:
        _more(t("All {n} failures of the last 7 days", n=count(state.num_failed)), "failed")


def _attention(one: AttentionOut) -> None:
    word, colour, icon = _KINDS[one.kind]
    key = "alarm" if one.kind == "alarm" else "attention"  # a run may have both
    with st.container(border=True, key=f"{key}_{one.run.id}", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.badge(t(word), color=colour, icon=f":material/{icon}:")
            open_run(one.run)
            _when(one.run.ended_at)
        text = one.text if one.text.endswith((".", "!", "?")) else f"{one.text}."
        st.markdown(sentence(f"{text[:1].upper()}{text[1:]} {one.way_out}".strip()))


def waiting(state: HomeOut) -> None:
    """What starts next, and what it waits for."""
    _head(t("Waiting"), "page_waiting")
    if state.paused:
        st.info(t("The queue is paused: running runs go on, and nothing new starts."), icon=":material/pause_circle:")
    if not state.waiting:
        st.caption(t("Nothing waits. What is launched starts at once where a slot is free and large enough."))
        return
    for run in state.waiting:
        with st.container(key=f"waiting_{run.id}", gap=None):
            open_run(run)
            st.caption(sentence(run.waits_for or ""))
    more = state.num_queued - len(state.waiting)
    st.page_link(
        "app_pages/queue.py", label=t("{n} more in the queue", n=count(more)) if more > 0 else t("The queue"),
        icon=":material/low_priority:",
    )  # fmt: skip


def results(state: HomeOut) -> None:
    """The evaluations that finished last, each against the pinned baseline or its base."""
    _head(t("Last results"), "page_results")
    baseline_line(state.baseline)
    if not state.results:
        st.caption(t("No evaluation has finished yet."))
    for one in state.results:
        _result(one)


def _result(one: ResultOut) -> None:
    summary = one.run.summary
    with st.container(border=True, key=f"result_{one.run.id}", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            open_run(one.run)
            _when(one.run.ended_at)
        accuracy = f"**{percent(summary['accuracy'])}**" if "accuracy" in summary else MISSING
        words = t("{accuracy} of {n}", accuracy=accuracy, n=count(summary.get("num_questions")))
        words += escape_markdown(one.run.scorer_mark)
        if one.gain is None:
            st.markdown(words)
            return
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"{words} · {change_words(one.gain)}", width="content")
            st.page_link(
                "app_pages/compare.py", label=t("against run {number}", number=one.gain.base_id),
                icon=":material/compare_arrows:",
                query_params={"runs": f"{one.gain.base_id},{one.run.id}", "base": str(one.gain.base_id)},
            )  # fmt: skip


def machines(workers: Sequence[WorkerOut]) -> None:
    """Each slot of the workers that are alive, and what it works on."""
    _head(t("Machines"), "page_machines")
    if not workers:
        st.warning(
            t("No worker is alive: nothing starts until one is. `make up` starts one."), icon=":material/power_off:"
        )
    for worker in workers:
        for slot in worker.slots:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                name = t("**{host}**, slot {slot}", host=escape_markdown(worker.host), slot=escape_markdown(slot.name))
                st.markdown(name, width="content")
                if slot.run_id is not None:
                    link = {"run": str(slot.run_id)}
                    st.page_link(
                        "app_pages/run.py", label=t("works on run {number}", number=slot.run_id), query_params=link
                    )
                if slot.closed is not None:
                    show_closed(slot.closed)
                    continue
                if slot.sick is not None:
                    show_sickness(slot.sick)
                    continue
                unused = sum(slot.free) or slot.total_memory
                st.caption(
                    t("{unused} of {total} unused", unused=size(unused), total=size(slot.total_memory)), width="content"
                )


def open_run(run: RunOut) -> None:
    """Link to a run, with what it is."""
    parts = [t("Run {number}", number=run.id), run.title, run.preset.split("/")[-1], *([run.note] if run.note else [])]
    st.page_link(
        "app_pages/run.py", label=" · ".join(escape_markdown(part) for part in parts), query_params={"run": str(run.id)}
    )


def _when(time: datetime | None) -> None:
    st.caption(ago(time, datetime.now(UTC)), help=full_time(time, st.context.timezone), width="content")


def _head(words: str, key: str) -> None:
    with st.container(key=key):
        st.subheader(words, anchor=False)


def _more(label: str, status: str) -> None:
    st.page_link("app_pages/runs.py", label=label, icon=":material/list:", query_params={"status": status})


def is_live(state: HomeOut) -> bool:
    """Whether something moves by itself."""
    return bool(state.num_running or state.num_queued or state.num_waiting)
