"""What can be changed with ticked pipelines, or with all that match: tags, their place, the runs they submitted."""

from collections.abc import Callable, Sequence

import streamlit as st

from backend.api.schemas import PipelineNumbers, PipelineOut, RunOut
from dashboard.parts.bulk_dialogs import Asked, What, ask, buttons_for_all
from dashboard.parts.language import t
from memgen.contract.status import RUN_ENDED, RUN_UNDER_WAY, PipelineStatus


def change_bar(pipelines: Sequence[PipelineOut]) -> None:
    """The buttons that fit the ticked pipelines; stopped and deleted are the runs that they submitted."""
    numbers = tuple(one.id for one in pipelines)
    runs = submitted(pipelines)
    run_numbers = tuple(run.id for run in runs)
    ended = [one for one in pipelines if one.status is not PipelineStatus.RUNNING]

    def button(what: What, label: str, icon: str, *, possible: bool) -> bool:
        return st.button(label, key=f"bulk_{what}", icon=f":material/{icon}:", disabled=not possible)

    if button("tag", t("Tag"), "sell", possible=True):
        ask(Asked("tag", numbers, of="pipeline"))
    if any(one.archived for one in pipelines):
        if button("take_out", t("Take out of the archive"), "unarchive", possible=True):
            ask(Asked("take_out", numbers, of="pipeline"))
    elif button("archive", t("Archive"), "archive", possible=bool(ended)):
        ask(Asked("archive", numbers, of="pipeline"))
    if button("stop", t("Stop"), "stop", possible=any(run.status not in RUN_ENDED for run in runs)):
        ask(Asked("stop", run_numbers, under_way=any(run.status in RUN_UNDER_WAY for run in runs)))
    if button("delete", t("Delete"), "delete", possible=any(run.status in RUN_ENDED for run in runs)):
        ask(Asked("delete", run_numbers))


def change_all(numbers: Callable[[], PipelineNumbers]) -> None:
    """The buttons for all pipelines that match; `numbers` asks which these are."""

    def chosen(what: What) -> Asked:
        matching = numbers()
        if what in {"stop", "delete"}:
            return Asked(what, tuple(matching.runs), under_way=True)
        return Asked(what, tuple(matching.pipelines), of="pipeline")

    buttons_for_all(chosen)


def submitted(pipelines: Sequence[PipelineOut]) -> list[RunOut]:
    """Runs of these pipelines that are there, without those that they reuse."""
    return [step.run for one in pipelines for step in one.steps if step.run is not None and not step.reused]
