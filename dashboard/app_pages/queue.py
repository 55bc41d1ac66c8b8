"""Queue: what waits, in which order and for what, and what the slots work on."""

from collections.abc import Callable
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from backend.api.schemas import QueueOut, RunOut, SiteOut, SlotOut, WorkerOut
from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown, sentence
from dashboard.parts.language import plural, t
from dashboard.parts.slots import show_closed, show_sickness
from dashboard.parts.text import duration, size

REFRESH_SECONDS = 3
SHOWN = 50  # rows with buttons; a longer queue says how many follow


def show_queue() -> None:
    """Slots and sites, then the queue."""
    with api.part_errors():
        client = api.client()
        queue, workers = client.queue(limit=SHOWN), client.workers().items
        show_machines(workers)
        show_sites(client.sites())
        show_head(queue)
        for place, run in enumerate(queue.items, start=1):
            show_run(place, run, queue)
        if queue.total > len(queue.items):
            more = queue.total - len(queue.items)
            st.caption(t("{n} more runs follow; `memgen-studio queue` lists all.", n=more))


def show_machines(workers: list[WorkerOut]) -> None:
    """Each machine that is alive, with one card per slot."""
    alive = [worker for worker in workers if worker.alive]
    if not any(worker.slots for worker in alive):
        st.warning(
            t("No worker is alive: nothing starts until one is. `make up` starts one."), icon=":material/power_off:"
        )
    number = 0  # of a card: names may repeat, and keys may not
    for place, worker in enumerate(alive):
        show_machine(place, worker)
        for start in range(0, len(worker.slots), 4):
            for column, slot in zip(st.columns(4), worker.slots[start : start + 4], strict=False):
                with column.container(border=True, key=f"slot_{number}"):
                    show_slot(worker, slot, number)
                number += 1


def show_machine(place: int, worker: WorkerOut) -> None:
    """One row: what the machine is, what is wrong with it, and the button that drains it."""
    words, button = st.columns([4, 1], vertical_alignment="center")
    with words:
        st.markdown(f"**{escape_markdown(worker.host)}**")
        st.caption(" · ".join(escape_markdown(part) for part in facts_of(worker)))
        show_clock(worker.clock_ahead)
        if worker.refusal is not None:
            show_closed(worker.refusal)
    drain_button(button, f"machine_{place}", worker.drained, lambda: set_drained(worker.host, None, worker.drained))


def facts_of(worker: WorkerOut) -> list[str]:
    """What is to be known of a machine, plain text."""
    facts, versions, limits = [], worker.versions, worker.limits
    if versions is not None:
        facts.append(t("version {number}", number=versions.memgen))
        facts += [f"{name} {version}" for name, version in versions.packages.items() if version]
    if limits.most_runs is not None:
        facts.append(plural("at most {n} run at once", "at most {n} runs at once", limits.most_runs))
    if limits.memory_share < 1:
        facts.append(t("{share} % of its memory", share=f"{100 * limits.memory_share:g}"))
    return facts


def show_clock(ahead: float) -> None:
    """That a machine's clock differs from the backend's by so many seconds, if it does."""
    time = duration(abs(ahead))
    if ahead:
        words = t("its clock is {time} ahead", time=time) if ahead > 0 else t("its clock is {time} behind", time=time)
        st.badge(words, color="orange", icon=":material/schedule:")


def show_slot(worker: WorkerOut, slot: SlotOut, number: int) -> None:
    """What a slot does, or why it does nothing."""
    st.markdown(t("slot **{slot}**", slot=escape_markdown(slot.name)))
    if slot.sick is not None:
        show_sickness(slot.sick)
    if slot.closed is not None and worker.refusal is None:  # which is said of its machine
        show_closed(slot.closed)
    if slot.try_session is not None:
        st.page_link(
            "app_pages/try_out.py", label=t("holds session {number}", number=slot.try_session),
            query_params={"session": str(slot.try_session)},
        )  # fmt: skip
    elif slot.run_id is not None:
        open_run(slot.run_id, t("works on run {number}", number=slot.run_id))
    elif slot.sick is None and slot.closed is None:
        unused, total = size(sum(slot.free) or slot.total_memory), size(slot.total_memory)
        st.caption(t("free · {unused} of {total} unused", unused=unused, total=total))
    if len(worker.slots) > 1 and not worker.drained:
        drain_button(
            st.container(), f"slot_{number}", slot.drained, lambda: set_drained(worker.host, slot.name, slot.drained)
        )


def drain_button(place: DeltaGenerator, key: str, drained: bool, change: Callable[[], object]) -> None:
    """The button that lets something take nothing new, or take work again."""
    label, icon = (t("Take work again"), "play_arrow") if drained else (t("Drain"), "do_not_disturb_on")
    pressed = place.button(
        label, key=f"drain_{key}", icon=f":material/{icon}:", width="stretch",
        help=t("It finishes what it has and takes nothing new."),
    )  # fmt: skip
    if pressed and api.attempt(change):
        st.rerun()


def set_drained(host: str, slot: str | None, drained: bool) -> None:
    """Turn round whether a machine, or a slot of it, is drained."""
    client = api.client()
    (client.undrain if drained else client.drain)(host, slot)


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
                if site.drained:
                    st.badge(t("drained"), color="gray", icon=":material/do_not_disturb_on:")
                drain_button(st.container(), f"site_{site.name}", site.drained, partial(set_site_drained, site))


def set_site_drained(site: SiteOut) -> None:
    """Turn round whether a site is drained."""
    api.client().drain_site(site.name, drained=not site.drained)


def show_head(queue: QueueOut) -> None:
    """How many wait, and the pause."""
    words, button = st.columns([4, 1], vertical_alignment="bottom")
    words.subheader(plural("{n} queued run", "{n} queued runs", queue.total), anchor=False)
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


def show_run(place: int, run: RunOut, queue: QueueOut) -> None:
    """One row: place, run, what it waits for, and the buttons that move it."""
    with st.container(border=True, key=f"queued_{run.id}"):
        number, what, first, last = st.columns([1, 10, 2, 2], vertical_alignment="center")
        number.markdown(f"**{place}**")
        with what:
            open_run(run.id, f"{t('run {number}', number=run.id)} · {run.title} · {run.preset}")
            priority = f" {t('Priority {number}.', number=run.priority)}" if run.priority else ""
            st.caption(sentence(run.waits_for or "") + priority)
        if first.button(
            t("First"), key=f"first_{run.id}", icon=":material/vertical_align_top:", width="stretch",
            disabled=place == 1,
            help=t("Before all others: its priority becomes the highest."),
        ):  # fmt: skip
            move(run, queue.items[0].priority + 1)
        if last.button(
            t("Last"), key=f"last_{run.id}", icon=":material/vertical_align_bottom:", width="stretch",
            disabled=place == queue.total, help=t("After all others: its priority becomes the lowest."),
        ):  # fmt: skip
            move(run, (queue.lowest_priority or 0) - 1)


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
