"""Per step of a pipeline: a new run, something finished that stands for it, or nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from backend.api.schemas import OutsideBrief, RunOut
from dashboard.launch.draft import CHOICES, LEFT_OUT, NEW_RUN, draft
from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown, one_line
from dashboard.parts.language import t
from dashboard.parts.text import accuracy_words, minute
from memgen.contract.pipeline import OPTIONAL, STEPS, StepName


@dataclass(frozen=True)
class Reusable:
    """A finished run, or a checkpoint from outside, that may stand for a step."""

    id: int
    words: str
    """Plain text of the box. It tells no age: a label that changes while a page is open loses its choice."""
    parent_id: int | None
    """What stands for the step before it, then; a checkpoint from outside holds what earlier steps have left."""
    outside: bool = False


def choice_key(step: StepName) -> str:
    """Key of the step's box."""
    return f"{step}_run"


def current_choice(step: StepName) -> str:
    """What the box holds, or would start from."""
    choice: str = st.session_state.get(choice_key(step), draft(CHOICES).get(step, usual_choice(step)))
    return choice


def usual_choice(step: StepName) -> str:
    """What a step's box holds before anything was chosen."""
    return LEFT_OUT if step in OPTIONAL else NEW_RUN


def all_reusable(preset: str, data: str) -> dict[StepName, list[Reusable]]:
    """What may stand for each step, newest first, and what is chosen already."""
    chosen = [choice for choice in map(current_choice, STEPS) if choice.isdecimal() and len(choice) < 16]
    reply = api.client().candidates(preset, data, also=sorted({int(choice) for choice in chosen}))
    return {
        name: [
            *(Reusable(run.id, run_words(run), run.parent_id) for run in reply.steps.get(name, [])),
            *(
                Reusable(one.id, outside_words(one), one.id if STEPS[name].parents else None, outside=True)
                for one in reply.checkpoints.get(name, [])
            ),
        ]
        for name in STEPS
    }


def settle_choices(candidates: Mapping[StepName, Sequence[Reusable]]) -> dict[StepName, Reusable]:
    """What is chosen by step; a choice that does not fit is given up, and why is said."""
    chosen: dict[StepName, Reusable] = {}
    for name, those in candidates.items():
        choice = current_choice(name)
        if choice not in {NEW_RUN, LEFT_OUT}:
            one = next((one for one in those if str(one.id) == choice), None)
            if one is not None:
                chosen[name] = one
            else:
                st.warning(
                    t(
                        "Run {number} can't stand for {step}: it must have succeeded, be of this stage and "
                        "setting, and use this model and data.",
                        number=escape_markdown(choice),
                        step=t(STEPS[name].label),
                    ),
                    icon=":material/link_off:",
                )
                choice = usual_choice(name)
        st.session_state[choice_key(name)] = choice
    return chosen


def choose_run(step: StepName, candidates: Mapping[StepName, Sequence[Reusable]]) -> None:
    """The box of one step; its value is what `current_choice` says."""
    words = {str(one.id): one.words for one in candidates[step]}
    # without the base evaluation there is nothing to compare with
    options = [NEW_RUN, *words, *(() if step == "base_eval" else (LEFT_OUT,))]
    parents = {name: {str(one.id): one.parent_id for one in those} for name, those in candidates.items()}
    words |= {NEW_RUN: t("New run"), LEFT_OUT: t("Leave out")}
    st.selectbox(
        t("This step"),
        options,
        key=choice_key(step),
        format_func=lambda choice: words.get(choice, choice),
        help=t(
            "A finished run, or a checkpoint from outside, can stand for the step: its answers or its checkpoint are "
            "taken as they are."
        ),
        on_change=_take_parents,
        args=(step, parents),
    )


def run_words(run: RunOut) -> str:
    """`Reuse run 12 · my note · 39.5 % · 2026-11-28 00:12`, plain text."""
    parts = [t("Reuse run {number}", number=run.id), run.note]
    if "accuracy" in run.summary:
        parts.append(accuracy_words(run.summary["accuracy"], run.summary.get("num_questions", 0)) + run.scorer_mark)
    if run.ended_at is not None:
        parts.append(minute(run.ended_at, st.context.timezone))
    return " · ".join(one_line(part) for part in parts if part)


def outside_words(one: OutsideBrief) -> str:
    """`Reuse checkpoint 12 from outside · its note`, plain text."""
    parts = [t("Reuse checkpoint {number} from outside", number=one.id), one.note or one.name]
    return " · ".join(one_line(part) for part in parts if part)


def _take_parents(step: StepName, parents: Mapping[StepName, Mapping[str, int | None]]) -> None:
    """What is reused brings what stands before it, where nothing else is chosen there.

    A run that started anew does without the steps that might have come before it.
    """
    name = step
    while current_choice(name) in parents[name]:
        parent_id = str(parents[name][current_choice(name)])
        before = [one for one in STEPS[name].parents if current_choice(one) == usual_choice(one)]
        # of a checkpoint from outside, which stands for each of them, the step that is usual
        parent = next((one for one in reversed(before) if parent_id in parents[one]), None)
        if parent is None:
            anew = before if parents[name][current_choice(name)] is None else []
            st.session_state.update({choice_key(one): LEFT_OUT for one in anew})
            return
        st.session_state[choice_key(parent)] = parent_id
        name = parent
