"""Queue: what waits, in which order and for what, and what the slots work on."""

import streamlit as st

from backend.api.schemas import QueueOut, RunOut, SiteOut, WorkerOut
from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown, sentence
from dashboard.parts.language import plural, t
from dashboard.parts.slots import show_sickness
from dashboard.parts.text import size

REFRESH_SECONDS = 3
SHOWN = 50  # rows with buttons; a longer queue says how many follow


def show_queue() -> None:
    """Slots and sites, then the queue."""
    with api.part_errors():
        client = api.client()
        queue, workers = client.queue(), client.workers().items
        show_slots(workers)
        show_sites(client.sites())
        show_head(queue)
        for place, run in enumerate(queue.items[:SHOWN], start=1):
            show_run(place, run, queue.items)
        if len(queue.items) > SHOWN:
            st.caption(t("{n} more runs follow; `memgen-studio queue` lists all.", n=len(queue.items) - SHOWN))


def show_slots(workers: list[WorkerOut]) -> None:
    """One card per slot of the workers that are alive."""
    slots = [(worker.host, slot) for worker in workers if worker.alive for slot in worker.slots]
    if not slots:
        st.warning(
            t("No worker is alive: nothing starts until one is. `make up` starts one."), icon=":material/power_off:"
        )
        return
    for start in range(0, len(slots), 4):
        row = zip(st.columns(4), slots[start : start + 4], strict=False)
        for number, (column, (host, slot)) in enumerate(row, start=start):
            with column.container(border=True, key=f"slot_{number}"):  # names may repeat, and keys may not
                st.markdown(t("**{host}**, slot {slot}", host=escape_markdown(host), slot=escape_markdown(slot.name)))
                if slot.sick is not None:
                    show_sickness(slot.sick)
                if slot.try_session is not None:
                    st.page_link(
                        "app_pages/try_out.py", label=t("holds session {number}", number=slot.try_session),
                        query_params={"session": str(slot.try_session)},
                    )  # fmt: skip
                elif slot.run_id is None and slot.sick is None:
                    st.caption(
                        t(
                            "free · {unused} of {total} unused",
                            unused=size(sum(slot.free) or slot.total_memory),
                            total=size(slot.total_memory),
                        )
                    )
                elif slot.run_id is not None:
                    open_run(slot.run_id, t("works on run {number}", number=slot.run_id))


def show_sites(sites: list[SiteOut]) -> None:
    """One card per site: what it has of ours, and whether it answers."""
    for start in range(0, len(sites), 4):
        row = zip(st.columns(4), sites[start : start + 4], strict=False)
        for column, site in row:
            with column.container(border=True, key=f"site_{site.name}"):
                st.markdown(t("Site **{name}**, {kind}", name=escape_markdown(site.name), kind=site.title))
                st.caption(t("{n} of at most {most} jobs", n=site.jobs, most=site.most_jobs))
                if site.trouble is not None:
                    st.badge(t("gives trouble"), color="orange", icon=":material/healing:")
                    st.caption(sentence(site.trouble))


def show_head(queue: QueueOut) -> None:
    """How many wait, and the pause."""
    words, button = st.columns([4, 1], vertical_alignment="bottom")
    words.subheader(plural("{n} queued run", "{n} queued runs", len(queue.items)), anchor=False)
    if queue.paused:
        st.info(t("The queue is paused: running runs go on, and nothing new starts."), icon=":material/pause_circle:")
    label, icon = (t("Go on"), "play_arrow") if queue.paused else (t("Pause"), "pause")
    pressed = button.button(
        label, key="pause", icon=f":material/{icon}:", width="stretch", type="primary" if queue.paused else "secondary"
    )
    if pressed and api.attempt(lambda: api.client().pause_queue(not queue.paused)):
        st.rerun()
    if not queue.items:
        st.caption(t("Nothing waits. What is launched starts at once where a slot is free and large enough."))


def show_run(place: int, run: RunOut, queue: list[RunOut]) -> None:
    """One row: place, run, what it waits for, and the buttons that move it."""
    with st.container(border=True, key=f"queued_{run.id}"):
        number, what, first, last = st.columns([1, 10, 2, 2], vertical_alignment="center")
        number.markdown(f"**{place}**")
        with what:
            open_run(run.id, f"{t('run {number}', number=run.id)} · {run.title} · {run.preset}")
            priority = f" {t('Priority {number}.', number=run.priority)}" if run.priority else ""
            st.caption(sentence(run.waits_for or "") + priority)
        priorities = [one.priority for one in queue]
        if first.button(
            t("First"), key=f"first_{run.id}", icon=":material/vertical_align_top:", width="stretch",
            disabled=place == 1,
            help=t("Before all others: its priority becomes the highest."),
        ):  # fmt: skip
            move(run, max(priorities) + 1)
        if last.button(
            t("Last"), key=f"last_{run.id}", icon=":material/vertical_align_bottom:", width="stretch",
            disabled=place == len(queue), help=t("After all others: its priority becomes the lowest."),
        ):  # fmt: skip
            move(run, min(priorities) - 1)


def open_run(run_id: int, words: str) -> None:
    """Link to a run."""
    st.page_link("app_pages/run.py", label=escape_markdown(words), query_params={"run": str(run_id)})


def move(run: RunOut, priority: int) -> None:
    """Set a run's priority and show the new order."""
    if api.attempt(lambda: api.client().set_priority(run.id, priority)):
        st.rerun()


for leftover in ("run", "tab", "pipeline"):
    st.query_params.pop(leftover, None)
st.title(t("Queue and machines"), anchor=False)
st.fragment(show_queue, run_every=REFRESH_SECONDS)()
