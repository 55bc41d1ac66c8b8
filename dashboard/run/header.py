"""The top of a run's page: a line that says what it is and what can be done, one on how far it is, and four numbers."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import streamlit as st

from backend.api.schemas import BulkOut, RunDetail
from dashboard.parts import api
from dashboard.parts.components import archived_badge, progress_share, progress_words, run_seconds, status_badge
from dashboard.parts.foreign_text import escape_markdown, sentence
from dashboard.parts.language import mark, plural, t
from dashboard.parts.run_actions import actions
from dashboard.parts.run_note import run_note
from dashboard.parts.tag_choice import tags_popover
from dashboard.parts.text import ago, duration, full_time
from dashboard.run.live_part import live_part
from dashboard.run.live_run import LiveRun
from dashboard.run.tiles import tiles
from memgen.contract.status import CAUSE_TEXT, RUN_NOT_STARTED, RUN_UNDER_WAY, RunStatus

# the title beside buttons is a line, not a headline; tiles are low, with their curve at the side, so that the tabs
# begin in the upper third of a screen; on a narrow one there are two in a row
_STYLE = """<style>
.st-key-run_title h1 { font-size: 1.5rem; padding: 0; white-space: nowrap; }
.st-key-run_title :is(a, button) { white-space: nowrap; }
@media (min-width: 901px) {
  .st-key-run_title, .st-key-actions { flex-wrap: nowrap; }
  .st-key-run_title > :has(> .st-key-what_it_is) { flex: 1 1 0; min-width: 0; }
  .st-key-run_title > :not(:has(> .st-key-what_it_is)) { flex: 0 0 auto; width: auto; }
  .st-key-what_it_is p { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
}
.st-key-run_head, .st-key-run_head [data-testid="stVerticalBlock"] { gap: 0.4rem; }
.st-key-progress { min-height: 1.9rem; }
.st-key-progress button { min-height: 1.6rem; }
.st-key-progress [data-testid="stProgress"] { margin-bottom: 0.3rem; }
.st-key-tiles [data-testid="stHorizontalBlock"] { gap: 0.6rem; }
.st-key-tiles [data-testid="stMetric"] { display: flex; align-items: center; height: 5.2rem; padding: 0; }
.st-key-tiles [data-testid="stMetric"] > div:first-child { flex: 1 1 auto; padding: 0.2rem 0.7rem; }
.st-key-tiles [data-testid="stMetric"] > div:nth-child(2) { flex: 0 0 45%; min-width: 0; }
.st-key-tiles [data-testid="stMetricValue"] { font-size: 1.2rem; }
@media (max-width: 900px) {
  .st-key-run_title { row-gap: 0.3rem; }
  .st-key-run_title > :is(:has(> .st-key-what_it_is), :has(> .st-key-actions)) { flex: 1 1 100%; }
}
@media (max-width: 640px) {
  .st-key-tiles [data-testid="stHorizontalBlock"] { display: grid; grid-template-columns: 1fr 1fr; }
  .st-key-tiles [data-testid="stColumn"] { min-width: 0; width: auto; }
}
</style>"""


def run_header(run: RunDetail) -> None:
    """Title, status, actions and note; then the part that moves."""
    st.html(_STYLE)
    with st.container(key="run_head"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="run_title"):
            st.page_link("app_pages/runs.py", label=t("Runs"), icon=":material/arrow_back:")
            st.title(t("Run {number}", number=run.id), width="content", anchor=False)
            status_badge(run.status.value)
            if run.archived:
                archived_badge()
            with st.container(key="what_it_is"):
                st.markdown(escape_markdown(what_it_is(run)))
            if run_note(run.id, run.note):
                st.rerun()
            tags_popover(run.id, run.tags, partial(_tag, run.id), group=run.group, grouped=True)
            actions(run)
        live_part(run, _moving)


def what_it_is(run: RunDetail) -> str:
    """`SmolLM2-135M-Instruct · evaluate, weaver · gsm8k test`, plain text."""
    model = run.preset.rpartition("/")[-1]
    return " · ".join([model, run.title, f"{run.data} {run.config.get('split', '')}".strip()])


def _tag(run_id: int, add: Sequence[str], remove: Sequence[str], group: str | None) -> BulkOut:
    return api.client().tag_runs([run_id], add=add, remove=remove, group=group, confirm=True)


def _moving(run: RunDetail, live: LiveRun) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="progress"):
        _how_far(run)
        _alarms(run)
        _warnings(run)
    tiles(run, live)


def _how_far(run: RunDetail) -> None:
    """One line that fits the status."""
    share = progress_share(run.progress) if run.status in RUN_UNDER_WAY else None
    if share is not None:
        st.progress(share, text=escape_markdown(under_way_words(run)))
        return
    icon, text = state_line(run, datetime.now(UTC))
    st.markdown(f":material/{icon}: {text}", help=_times(run))


def under_way_words(run: RunDetail) -> str:
    """`generate: 40 of 200 questions, 2 min 10 s left · 8 under way`, plain text."""
    if run.progress is None:
        return t("the trainer is starting")
    return " · ".join(filter(None, [progress_words(run.progress), run.progress.detail]))


def state_line(run: RunDetail, now: datetime) -> tuple[str, str]:
    """Icon, and what there is to say of a run without a bar, as markdown."""
    if run.status in RUN_NOT_STARTED:
        return "schedule", t("**Waits:** {reason}", reason=sentence(run.waits_for or ""))
    if run.status is RunStatus.STOPPING:
        return "stop_circle", t("A stop was asked for; the trainer is ending.")
    if run.status is RunStatus.RUNNING:
        return "play_circle", escape_markdown(under_way_words(run)).capitalize()
    seconds = run_seconds(run, now)
    parts = [ago(run.ended_at, now)] if run.ended_at else []
    parts += [t("after {time}", time=duration(seconds))] if seconds is not None else []
    ended = escape_markdown(", ".join(parts))
    if run.status is RunStatus.FAILED:
        cause = run.cause_text or (CAUSE_TEXT[run.cause] if run.cause else mark("no cause was reported"))
        failed = t("**Failed:** {cause}", cause=sentence(t(cause)))
        return "error", f":red[{failed}]" + (f", {ended}" if ended else "")
    words = {RunStatus.CANCELLED: mark("Stopped {when}."), RunStatus.SKIPPED: mark("Skipped {when}.")}
    text = t(words.get(run.status, mark("Ended {when}.")), when=ended)
    return "flag", f"{text} {t('It can be resumed.')}" if run.can_resume else text


def _times(run: RunDetail) -> str:
    """Submitted, started and ended, each with its full time."""
    zone = st.context.timezone
    times = {
        mark("submitted {time}"): run.created_at,
        mark("started {time}"): run.started_at,
        mark("ended {time}"): run.ended_at,
    }
    return "  \n".join(t(words, time=escape_markdown(full_time(time, zone))) for words, time in times.items() if time)


def _alarms(run: RunDetail) -> None:
    """How many alarms the run has raised; what they mean and what to do, when it is opened."""
    if not run.alarms:
        return
    label = f":red[{plural('{n} alarm', '{n} alarms', len(run.alarms))}]"
    with st.popover(label, icon=":material/notifications_active:", type="tertiary", key="alarms"):
        for one in run.alarms:
            where = f" ({t('step {number}', number=f'{one.step:,}')})" if one.step else ""
            st.markdown(f"**{escape_markdown(t(one.title))}**{where}. {sentence(one.fact)}")
            for text in filter(None, (one.cause, one.remedy)):
                st.caption(sentence(t(text)))


def _warnings(run: RunDetail) -> None:
    """How many things the trainer warned of; what, when it is opened."""
    if not run.warnings:
        return
    label = plural("{n} warning", "{n} warnings", len(run.warnings))
    with st.popover(label, icon=":material/warning:", type="tertiary", key="warnings"):
        for one in run.warnings:
            st.markdown(f"- {sentence(one[:1].upper() + one[1:].rstrip('.'))}.")
