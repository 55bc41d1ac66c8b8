"""Evaluations side by side: the same questions under the same conditions, or a refusal that says what differs."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, select

from backend import schemas as s
from backend.errors import LARGEST_INTEGER, ServiceError, no_such_run
from backend.models import Answer, AnswerScore, Run
from backend.services import evidence, lifecycle
from backend.services.lineage import ancestors
from backend.services.reading import cursor_number
from backend.services.scoring import Scores, newest_scores, with_metrics
from memgen.contract.answers import AnswerRecord
from memgen.contract.pipeline import EXPECTED_POINTS
from memgen.contract.stage_configs import StageConfig
from memgen.contract.status import RunStatus
from memgen.scoring import SCORER_VERSION

MOST_RUNS = 12
Kind = Literal["fixed", "broken", "both_right", "both_wrong"]
KINDS: tuple[Kind, ...] = ("fixed", "broken", "both_right", "both_wrong")
# what two evaluations must have in common, by config and by what their trainers saw
FROM_CONFIG = ("preset", "data", "split", "max_completion_length")
FROM_ENVIRONMENT = {"model": "base weights", "prompt_hash": "prompt"}
WORTH_A_WORD = {"dtype": "number format", "device": "device", "torch": "torch", "transformers": "transformers"}


class NotComparable(ServiceError):
    """Evaluations whose numbers must not stand side by side."""

    status = 422


def compare(session: Session, run_ids: Sequence[int], base_id: int | None) -> s.CompareOut:
    """Evaluations side by side, each against the base.

    Args:
        session: a transaction.
        run_ids: evaluations.
        base_id: which one the others are compared with; None takes the first with the setting base.

    Raises:
        NotComparable: not evaluations, not finished, or made under different conditions.
    """
    chosen = list(dict.fromkeys([*([base_id] if base_id is not None else []), *run_ids]))
    if not 1 <= len(chosen) <= MOST_RUNS:
        raise NotComparable(
            "bad_selection",
            f"{len(chosen)} evaluations were named",
            field="runs",
            value=",".join(map(str, run_ids)),
            way_out=f"Name 1 to {MOST_RUNS} evaluations, e.g. runs=3,5,6.",
        )
    runs = [evaluation(session, run_id) for run_id in chosen]
    plain = [run for run in runs if run.setting == "base"]
    base = next((run for run in runs if run.id == base_id), None) or (plain[0] if plain else runs[0])
    for run in runs:
        check_alike(base, run)
    scores = same_scorer(session, runs)
    right = {run.id: _right(session, run, scores[run.id or 0]) for run in runs}
    ordered = [base, *(run for run in runs if run is not base)]
    return s.CompareOut(
        base_id=base.id or 0,
        conditions=_conditions(base) | {"scorer": f"version {scores[base.id or 0].version}"},
        warnings=[*_warnings(base, ordered), *_said(session, ordered)],
        items=[_compared(run, base, scores[run.id or 0], right[run.id], right[base.id]) for run in ordered],
    )


def answer_pairs(
    session: Session, before_id: int, after_id: int, *, show: str, cursor: str | None, limit: int
) -> s.AnswerPairs:
    """Questions that two evaluations answered, in their order, with both texts.

    Raises:
        NotComparable: as `compare`; `unknown_filter`.
    """
    if show not in ("all", *KINDS):
        raise NotComparable(
            "unknown_filter",
            "pairs can't be filtered so",
            field="show",
            value=show,
            way_out=f"Known: all, {', '.join(KINDS)}.",
        )
    before, after = evaluation(session, before_id), evaluation(session, after_id)
    check_alike(before, after)
    scores = same_scorer(session, [before, after])
    old, new = verdicts(session, before, scores[before_id]), verdicts(session, after, scores[after_id])
    common = sorted((index, question) for question, (index, _) in old.items() if question in new)
    kinds = {question: _kind(old[question][1], new[question][1]) for _, question in common}
    counts = Counter(kinds.values())
    matching = [(index, question) for index, question in common if show in ("all", kinds[question])]
    behind = cursor_number(cursor) if cursor else -1
    page = [(index, question) for index, question in matching if index > behind][: limit + 1]
    return s.AnswerPairs(
        items=[
            s.AnswerPair(id=question, kind=kinds[question], before=old_answer, after=new_answer)
            for _, question in page[:limit]
            if (old_answer := _record(session, before, scores[before_id], question)) is not None
            and (new_answer := _record(session, after, scores[after_id], question)) is not None
        ],
        next_cursor=str(page[limit - 1][0]) if len(page) > limit else None,
        total=len(matching),
        counts={"all": len(common), **{kind: counts[kind] for kind in KINDS}},
    )


def evaluation(session: Session, run_id: int) -> Run:
    """An evaluation that has succeeded.

    Raises:
        NotFound: there is no such run.
        NotComparable: `not_an_evaluation` or `not_finished`.
    """
    run = session.get(Run, run_id) if abs(run_id) <= LARGEST_INTEGER else None
    if run is None:
        raise no_such_run(run_id)
    if not run.setting:
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
        f"{word} ({one.environment.get(name)} and {other.environment.get(name)})"
        for name, word in FROM_ENVIRONMENT.items()
        if one.environment.get(name) != other.environment.get(name)
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
    """
    scores = newest_scores(session, runs)
    newest = max(one.version for one in scores.values())
    older = [run_id for run_id in sorted(scores) if scores[run_id].version < newest]
    if older:
        update = "" if newest <= SCORER_VERSION else f"Update the backend, whose scorer is version {SCORER_VERSION}. "
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


def _conditions(run: Run) -> dict[str, str]:
    names = StageConfig.model_fields
    shown = {name: str(run.config[name]) for name in FROM_CONFIG if name in names or name in run.config}
    shown |= {word: str(run.environment.get(name)) for name, word in FROM_ENVIRONMENT.items()}
    return shown


def _warnings(base: Run, runs: Sequence[Run]) -> list[str]:
    warnings = []
    for name, word in WORTH_A_WORD.items():
        for run in runs:
            mine, theirs = run.environment.get(name), base.environment.get(name)
            if mine != theirs:
                warnings.append(f"Run {run.id} has {word} {mine}, run {base.id} {theirs}.")
    for run in runs:
        if run.config.get("num_questions") != base.config.get("num_questions"):
            warnings.append(
                f"Runs {base.id} and {run.id} answered different numbers of questions; only those that both answered "
                "are compared."
            )
        if run.config.get("batch_size") != base.config.get("batch_size"):
            warnings.append(f"Run {run.id} has batch_size {run.config.get('batch_size')}; seconds are not comparable.")
    return warnings


def _said(session: Session, runs: Sequence[Run]) -> list[str]:
    """What the trainers of these runs, and of those that they start from, warned of."""
    line = {one.id or 0 for run in runs for one in ancestors(session, run.id)}
    said: dict[str, list[str]] = {}
    for run_id in sorted(line):
        for warning in lifecycle.warnings_of(session, run_id):
            said.setdefault(warning.rstrip("."), []).append(str(run_id))
    return [f"Run{'s' * (len(ids) > 1)} {', '.join(ids)}: {warning}." for warning, ids in said.items()]


def _right(session: Session, run: Run, scores: Scores) -> dict[str, bool]:
    """Whether each question was answered rightly, by the question's id."""
    return {question: right for question, (_, right) in verdicts(session, run, scores).items()}


def answered_by(run_id: int) -> tuple[ColumnElement[bool], ...]:
    """Conditions on `Answer`: of this run, by the newest attempt that answered any question."""
    newest = select(func.max(Answer.attempt)).where(col(Answer.run_id) == run_id).scalar_subquery()
    return col(Answer.run_id) == run_id, col(Answer.attempt) == newest


def verdicts(session: Session, run: Run, scores: Scores) -> dict[str, tuple[int, bool]]:
    """Place and verdict of each question in the newest attempt that answered any, by the question's id."""
    query = select(Answer.question_id, Answer.index, scores.right).outerjoin(AnswerScore, scores.beside)
    rows = session.exec(query.where(*answered_by(run.id or 0)))
    return {question: (index, bool(right)) for question, index, right in rows}


def _record(session: Session, run: Run, scores: Scores, question: str) -> AnswerRecord | None:
    """The answer to a question; None if what is stored of it can't be read."""
    record, metrics = session.exec(
        select(Answer.record, AnswerScore.metrics)
        .outerjoin(AnswerScore, scores.beside)
        .where(col(Answer.run_id) == run.id, col(Answer.question_id) == question)
        .order_by(col(Answer.attempt).desc())
        .limit(1)
    ).one()
    return with_metrics(record, metrics)


def _kind(before: bool, after: bool) -> Kind:
    return KINDS[{(False, True): 0, (True, False): 1, (True, True): 2, (False, False): 3}[before, after]]


def _compared(run: Run, base: Run, scores: Scores, mine: dict[str, bool], theirs: dict[str, bool]) -> s.ComparedRun:
    n = len(mine)
    low, high = evidence.interval(sum(mine.values()), n) if n else (0.0, 1.0)
    return s.ComparedRun(
        run_id=run.id or 0,
        setting=run.setting,
        preset=run.preset,
        note=run.note,
        num_questions=n,
        accuracy=sum(mine.values()) / n if n else 0.0,
        low=low,
        high=high,
        summary=scores.summary,
        scorer_version=scores.version,
        is_base=run is base,
        change=None if run is base else _change(run, base, mine, theirs),
    )


def _change(run: Run, base: Run, mine: dict[str, bool], theirs: dict[str, bool]) -> s.ChangeOut:
    common = [question for question in theirs if question in mine]
    if not common:
        raise NotComparable(
            "not_comparable",
            f"runs {base.id} and {run.id} have no question in common",
            field="runs",
            value=f"{base.id},{run.id}",
            way_out="Compare evaluations of the same questions.",
        )
    found = evidence.change([theirs[question] for question in common], [mine[question] for question in common])
    expected = EXPECTED_POINTS.get(run.setting) if base.setting == "base" else None
    return s.ChangeOut(
        num_questions=len(common),
        points=found.points,
        low=found.low,
        high=found.high,
        expected=expected,
        fixed=[question for question in common if mine[question] and not theirs[question]],
        broken=[question for question in common if theirs[question] and not mine[question]],
        p_value=found.p_value,
        smallest_detectable=found.smallest_detectable,
        verdict=found.verdict,
        text=TEXTS[found.verdict](found, len(common)),
    )


def _too_few(found: evidence.Change, n: int) -> str:
    needed = "" if found.smallest_detectable is None else (
        f", and only a change of about {found.smallest_detectable:.0f} points or more would show in so many"
    )  # fmt: skip
    return f"Too few questions to tell: {n} were answered by both{needed}."


TEXTS: dict[str, Callable[[evidence.Change, int], str]] = {
    "better": lambda found, _: f"Better: {found.points:+.1f} points, p = {found.p_value:.2g}.",
    "worse": lambda found, _: f"Worse: {found.points:+.1f} points, p = {found.p_value:.2g}.",
    "no_difference": lambda found, _: (
        f"No difference of {evidence.WORTH_KNOWING:.0f} points or more: "
        f"95 % interval {found.low:+.1f} to {found.high:+.1f}."
    ),
    "too_few_questions": _too_few,
}


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
