"""Per step of a pipeline: a new run, a finished run that stands for it, or nothing."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import streamlit as st

from backend.api.schemas import RunOut
from dashboard.launch.draft import CHOICES, LEFT_OUT, NEW_RUN, draft
from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown, one_line
from dashboard.parts.language import t
from dashboard.parts.text import accuracy_words, ago
from memgen.contract.pipeline import OPTIONAL, STEPS, StepName


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


def reusable_runs(preset: str, data: str) -> dict[StepName, list[RunOut]]:
    """Finished runs that may stand for each step, newest first, and those that are chosen already."""
    chosen = [choice for choice in map(current_choice, STEPS) if choice.isdecimal() and len(choice) < 16]
    found = api.client().candidates(preset, data, also=sorted({int(choice) for choice in chosen}))
    return {name: found.steps.get(name, []) for name in STEPS}


def settle_choices(candidates: Mapping[StepName, Sequence[RunOut]]) -> dict[StepName, RunOut]:
    """The chosen runs by step; a choice that does not fit is given up, and why is said."""
    chosen: dict[StepName, RunOut] = {}
    for name, runs in candidates.items():
        choice = current_choice(name)
        if choice not in {NEW_RUN, LEFT_OUT}:
            run = next((run for run in runs if str(run.id) == choice), None)
            if run is not None:
                chosen[name] = run
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


def choose_run(
    step: StepName, candidates: Mapping[StepName, Sequence[RunOut]], chosen: Mapping[StepName, RunOut]
) -> None:
    """The box of one step; its value is what `current_choice` says."""
    by_id = {str(run.id): run for run in candidates[step]}
    if step in chosen:
        by_id[str(chosen[step].id)] = chosen[step]
    # without the base evaluation there is nothing to compare with
    options = [NEW_RUN, *by_id, *(() if step == "base_eval" else (LEFT_OUT,))]
    parents = {name: {str(run.id): run.parent_id for run in runs} for name, runs in candidates.items()}
    st.selectbox(
        t("This step"),
        options,
        key=choice_key(step),
        format_func=lambda choice: choice_text(choice, by_id),
        help=t("A finished run can stand for the step: its answers or its checkpoint are taken as they are."),
        on_change=_take_parents,
        args=(step, parents),
    )


def choice_text(choice: str, runs: Mapping[str, RunOut]) -> str:
    """`Reuse run 12 · my note · 39.5 % · 2 d ago`, plain text."""
    if choice not in runs:
        return {NEW_RUN: t("New run"), LEFT_OUT: t("Leave out")}.get(choice, choice)
    run = runs[choice]
    parts = [t("Reuse run {number}", number=run.id), run.note]
    if "accuracy" in run.summary:
        parts.append(accuracy_words(run.summary["accuracy"], run.summary.get("num_questions", 0)) + run.scorer_mark)
    parts.append(ago(run.ended_at, datetime.now(UTC)))
    return " · ".join(one_line(part) for part in parts if part)


def _take_parents(step: StepName, parents: Mapping[StepName, Mapping[str, int | None]]) -> None:
    """A reused run brings the runs that its checkpoint comes from, where nothing else is chosen for them.

    One that started anew does without the steps that might have come before it.
    """
    name = step
    while current_choice(name) in parents[name]:
        parent_id = str(parents[name][current_choice(name)])
        before = [one for one in STEPS[name].parents if current_choice(one) == usual_choice(one)]
        parent = next((one for one in before if parent_id in parents[one]), None)
        if parent is None:
            anew = before if parents[name][current_choice(name)] is None else []
            st.session_state.update({choice_key(one): LEFT_OUT for one in anew})
            return
        st.session_state[choice_key(parent)] = parent_id
        name = parent
