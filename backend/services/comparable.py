"""Which evaluations may stand side by side: the same questions under the same conditions, by the same scorer."""

from collections.abc import Sequence

from sqlmodel import Session

from backend.errors import LARGEST_INTEGER, no_such_run
from backend.services.scoring import Scores, newest_scores, present_version
from backend.store.models import Run
from memgen.contract.errors import BadInput
from memgen.contract.stages import trains
from memgen.contract.status import RunStatus

# what two evaluations must have in common, by config and by what their trainers saw
FROM_CONFIG = ("preset", "data", "split", "max_completion_length")
FROM_ENVIRONMENT = {"model": "base weights", "prompt_hash": "prompt"}
# in the place of what a style of its own makes of it: an evaluation is compared by the prompt that its style adds to
WITHOUT_STYLE = {"prompt_hash": "zero_shot_prompt_hash"}


class NotComparable(BadInput):
    """Evaluations whose numbers must not stand side by side."""


def evaluation(session: Session, run_id: int) -> Run:
    """An evaluation that has succeeded.

    Raises:
        NotFound: there is no such run.
        NotComparable: `not_an_evaluation` or `not_finished`.
    """
    run = session.get(Run, run_id) if abs(run_id) <= LARGEST_INTEGER else None
    if run is None:
        raise no_such_run(run_id)
    if trains(run.stage):
        raise NotComparable(
            "not_an_evaluation",
            f"run {run_id} is {run.stage} and answers no questions",
            field="runs",
            value=run_id,
            way_out="Name evaluations.",
        )
    if run.status != RunStatus.SUCCEEDED:
        raise NotComparable(
            "not_finished",
            f"run {run_id} is {run.status}",
            field="runs",
            value=run_id,
            way_out="Compare evaluations that have succeeded.",
        )
    return run


def condition(run: Run, name: str) -> object:
    """What a run's trainer saw of one of `FROM_ENVIRONMENT`, its prompt without its style."""
    return run.environment.get(WITHOUT_STYLE.get(name, name), run.environment.get(name))


def style_of(run: Run) -> str | None:
    """The style of a run's prompt and its hash, `chain of thought, 1a2b...`; None of a zero-shot prompt."""
    style = run.environment.get("prompt_style")
    return None if style is None else f"{style}, {run.environment.get('prompt_hash')}"


def check_alike(one: Run, other: Run) -> None:
    """Refuse what differs in something that moves accuracy by itself.

    Raises:
        NotComparable: `not_comparable`.
    """
    differing = [
        f"{name} ({one.config.get(name)} and {other.config.get(name)})"
        for name in FROM_CONFIG
        if one.config.get(name) != other.config.get(name)
    ]
    differing += [
        f"{word} ({condition(one, name)} and {condition(other, name)})"
        for name, word in FROM_ENVIRONMENT.items()
        if condition(one, name) != condition(other, name)
    ]
    if one.config.get("split") != "test" and one.config.get("seed") != other.config.get("seed"):
        differing.append(f"seed ({one.config.get('seed')} and {other.config.get('seed')}), which draws the split")
    if differing:
        raise NotComparable(
            "not_comparable",
            f"runs {one.id} and {other.id} differ in {'; '.join(differing)}",
            field="runs",
            value=f"{one.id},{other.id}",
            way_out="Compare evaluations of the same model, questions, prompt and length.",
        )


def same_scorer(session: Session, runs: Sequence[Run]) -> dict[int, Scores]:
    """The newest scores of each run, by its id.

    Raises:
        NotComparable: `scorers_differ`, with the runs whose answers are to be scored anew as its value.
        BadInput: `unknown_data`, where that can't be done.
    """
    scores = newest_scores(session, runs)
    newest = max(one.version for one in scores.values())
    older = [run_id for run_id in sorted(scores) if scores[run_id].version < newest]
    if older:
        present = present_version(runs[0])  # all have the same data set
        update = "" if newest <= present else f"Update the backend, whose scorer is version {present}. "
        versions = ", ".join(f"{run_id} by version {scores[run_id].version}" for run_id in sorted(scores))
        raise NotComparable(
            "scorers_differ",
            f"the answers were scored by different versions of the scorer: run {versions}",
            field="runs",
            value=",".join(map(str, older)),
            way_out=f"{update}Score the older ones anew: `memgen-studio rescore {' '.join(map(str, older))}`, or the "
            "button Rescore on the run's page and on Compare. The old scores stay beside the new ones.",
        )
    return scores


def numbers(text: str) -> list[int]:
    """Run ids from `3,5,6`.

    Raises:
        NotComparable: `bad_selection`.
    """
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise NotComparable(
            "bad_selection",
            "this is not a list of runs",
            field="runs",
            value=text,
            way_out="Name evaluations by their ids, e.g. runs=3,5,6.",
        ) from None
