"""Evaluations side by side: the same questions under the same conditions, or a refusal that says what differs."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from sqlmodel import Session, col, select

from backend.api import schemas as s
from backend.services import baseline, evidence, lifecycle
from backend.services.comparable import (
    FROM_CONFIG,
    FROM_ENVIRONMENT,
    NotComparable,
    check_alike,
    condition,
    evaluation,
    same_scorer,
    style_of,
)
from backend.services.cursors import cursor_number
from backend.services.descent import ancestors, older_parent, with_ancestors
from backend.services.origin import origin_of
from backend.services.scoring import Scores, with_metrics
from backend.services.settings_apart import apart, config_of
from backend.services.verdicts import Verdict, verdicts
from backend.store.models import Answer, AnswerScore, Run
from memgen.contract.answers import AnswerRecord
from memgen.contract.intervals import WORTH_KNOWING
from memgen.contract.pipeline import EXPECTED_POINTS
from memgen.contract.stage_configs import StageConfig

MOST_RUNS = 12
CHECKPOINT = "checkpoint"  # the field; the settings of the training that left it say more
Kind = Literal["fixed", "broken", "both_right", "both_wrong"]
KINDS: tuple[Kind, ...] = ("fixed", "broken", "both_right", "both_wrong")
WITHOUT_BOX = "without_box"  # the fixed and broken whose right answer has no box
WORTH_A_WORD = {"dtype": "number format", "device": "device", "torch": "torch", "transformers": "transformers"}


def compare(session: Session, run_ids: Sequence[int], base_id: int | None) -> s.CompareOut:
    """Evaluations side by side, each against the base.

    Args:
        session: a transaction.
        run_ids: evaluations.
        base_id: which one the others are compared with; None takes the pinned baseline if it is among them, else the
            first with the setting base.

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
    pinned_id = baseline.pinned_id(session)
    wanted = base_id if base_id is not None else pinned_id
    base = next((run for run in runs if run.id == wanted), None) or (plain[0] if plain else runs[0])
    for run in runs:
        check_alike(base, run)
    scores = same_scorer(session, runs)
    answered = {run.id: verdicts(session, run, scores[run.id]) for run in runs}
    ordered = [base, *(run for run in runs if run is not base)]
    return s.CompareOut(
        base_id=base.id,
        conditions=_conditions(base) | _styles(ordered) | {"scorer": f"version {scores[base.id].version}"},
        warnings=[*_warnings(base, ordered), *_said(session, ordered)],
        items=[
            _told_apart(session, run, _compared(run, base, scores[run.id], answered[run.id], answered[base.id]))
            for run in ordered
        ],
        settings=_settings(session, ordered),
        pinned_id=pinned_id,
    )


def answer_pairs(
    session: Session, before_id: int, after_id: int, *, show: str, cursor: str | None, limit: int
) -> s.AnswerPairs:
    """Questions that two evaluations answered, in their order, with both texts.

    Raises:
        NotComparable: as `compare`; `unknown_filter`.
    """
    if show not in ("all", *KINDS, WITHOUT_BOX):
        raise NotComparable(
            "unknown_filter",
            "pairs can't be filtered so",
            field="show",
            value=show,
            way_out=f"Known: all, {', '.join((*KINDS, WITHOUT_BOX))}.",
        )
    before, after = evaluation(session, before_id), evaluation(session, after_id)
    check_alike(before, after)
    scores = same_scorer(session, [before, after])
    old, new = verdicts(session, before, scores[before_id]), verdicts(session, after, scores[after_id])
    common = sorted((one.index, question) for question, one in old.items() if question in new)
    kinds = {question: _kind(old[question].right, new[question].right) for _, question in common}
    loose = {question for _, question in common if _without_box(old[question], new[question])}
    counts = Counter(kinds.values())
    matching = [
        (index, question)
        for index, question in common
        if show in ("all", kinds[question]) or (show == WITHOUT_BOX and question in loose)
    ]
    last_seen = cursor_number(cursor) if cursor else -1
    page = [(index, question) for index, question in matching if index > last_seen][: limit + 1]
    return s.AnswerPairs(
        items=[
            s.AnswerPair(
                id=question,
                kind=kinds[question],
                without_box=question in loose,
                before=old_answer,
                after=new_answer,
            )
            for _, question in page[:limit]
            if (old_answer := _record(session, before, scores[before_id], question)) is not None
            and (new_answer := _record(session, after, scores[after_id], question)) is not None
        ],
        next_cursor=str(page[limit - 1][0]) if len(page) > limit else None,
        total=len(matching),
        counts={"all": len(common), **{kind: counts[kind] for kind in KINDS}, WITHOUT_BOX: len(loose)},
    )


def _conditions(run: Run) -> dict[str, str]:
    names = StageConfig.model_fields
    shown = {name: str(run.config[name]) for name in FROM_CONFIG if name in names or name in run.config}
    shown |= {word: str(condition(run, name)) for name, word in FROM_ENVIRONMENT.items()}
    return shown


def _settings(session: Session, runs: Sequence[Run]) -> list[s.SettingOut]:
    """In which settings they differ, or the trainings of a stage that several descend from."""
    line = with_ancestors(session, runs)
    configs = []
    for run in runs:
        settings = {("", name): value for name, value in config_of(run).items() if name != CHECKPOINT}
        parent = line.get(older_parent(run))
        while parent is not None:
            own = config_of(parent).items()
            settings |= {(parent.stage, name): value for name, value in own if name not in (CHECKPOINT, "stage")}
            parent = line.get(older_parent(parent))
        configs.append(settings)
    differing = apart(configs)
    return [
        s.SettingOut(name=name, stage=stage, values=[one[stage, name] for one in differing])
        for stage, name in differing[0]
        # that a run has no such training is no difference of settings: its label says so
        if not stage or len({one[stage, name] for one, all_of_it in zip(differing, configs, strict=True)
                             if (stage, name) in all_of_it}) > 1
    ]  # fmt: skip


def _styles(runs: Sequence[Run]) -> dict[str, str]:
    """Which runs were asked in another way than zero-shot, and how."""
    return {f"prompt of run {run.id}": style for run in runs if (style := style_of(run)) is not None}


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
        if _width(run) != _width(base):
            warnings.append(
                f"Run {run.id} answered {_width(run)} questions at the same time, run {base.id} {_width(base)}: "
                "seconds are not comparable, and rounding changes some answers (in bfloat16 more than in float32)."
            )
    return warnings


def _width(run: Run) -> str:
    """How many questions an evaluation answered at the same time; versions before had no width but the config's."""
    first = run.environment.get("batch_size", run.config.get("batch_size"))
    least = run.summary.get("batch_size")
    return f"{first}" if least in (None, first) else f"{first} and, after memory ran out, {least:.0f}"


def _said(session: Session, runs: Sequence[Run]) -> list[str]:
    """What the trainers of these runs, and of those that they start from, warned of."""
    line = {one.id for run in runs for one in ancestors(session, run.id)}
    said: dict[str, list[str]] = {}
    for run_id in sorted(line):
        for warning in lifecycle.warnings_of(session, run_id):
            said.setdefault(warning.rstrip("."), []).append(str(run_id))
    return [f"Run{'s' * (len(ids) > 1)} {', '.join(ids)}: {warning}." for warning, ids in said.items()]


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


def _without_box(before: Verdict, after: Verdict) -> bool:
    """Whether one of two answers alone is right, and has no box."""
    return before.right != after.right and not (before.boxed if before.right else after.boxed)


def _share(right: int, n: int) -> s.Estimate:
    low, high = evidence.interval(right, n) if n else (0.0, 1.0)
    return s.Estimate(value=right / n if n else 0.0, low=low, high=high)


def _mean(values: Sequence[float]) -> s.Estimate | None:
    """None of a single value, which has no interval."""
    if len(values) < 2:
        return None
    value, low, high = evidence.mean(values)
    return s.Estimate(value=value, low=low, high=high)


def _compared(
    run: Run, base: Run, scores: Scores, mine: Mapping[str, Verdict], theirs: Mapping[str, Verdict]
) -> s.ComparedRun:
    n = len(mine)
    accuracy = _share(sum(one.right for one in mine.values()), n)
    return s.ComparedRun(
        run_id=run.id,
        stage=run.stage,
        setting=run.setting,
        preset=run.preset,
        note=run.note,
        num_questions=n,
        accuracy=accuracy.value,
        low=accuracy.low,
        high=accuracy.high,
        accuracy_strict=_share(sum(one.strict for one in mine.values()), n),
        nll=_mean([one.nll for one in mine.values() if one.nll is not None]),
        summary=scores.summary,
        scorer_version=scores.version,
        is_base=run is base,
        change=None if run is base else _change(run, base, mine, theirs),
    )


def _told_apart(session: Session, run: Run, compared: s.ComparedRun) -> s.ComparedRun:
    """With the trainings and what was ablated; the expected change is that of the usual trainings."""
    origin = vars(origin_of(session, run))
    if not any(origin.values()):
        return compared
    change = compared.change and compared.change.model_copy(update={"expected": None})
    return compared.model_copy(update={**origin, "change": change})


def _change(run: Run, base: Run, mine: Mapping[str, Verdict], theirs: Mapping[str, Verdict]) -> s.ChangeOut:
    common = [question for question in theirs if question in mine]
    if not common:
        raise NotComparable(
            "not_comparable",
            f"runs {base.id} and {run.id} have no question in common",
            field="runs",
            value=f"{base.id},{run.id}",
            way_out="Compare evaluations of the same questions.",
        )
    pairs = {question: (theirs[question], mine[question]) for question in common}
    found = evidence.change([one.right for one, _ in pairs.values()], [one.right for _, one in pairs.values()])
    strict = evidence.change([one.strict for one, _ in pairs.values()], [one.strict for _, one in pairs.values()])
    fixed = [question for question, (before, after) in pairs.items() if after.right and not before.right]
    broken = [question for question, (before, after) in pairs.items() if before.right and not after.right]
    loose = {question for question, pair in pairs.items() if _without_box(*pair)}
    fixed_loosely, broken_loosely = ([one for one in some if one in loose] for some in (fixed, broken))
    expected = EXPECTED_POINTS.get(run.setting) if base.setting == "base" else None
    return s.ChangeOut(
        num_questions=len(common),
        points=found.points,
        low=found.low,
        high=found.high,
        expected=expected,
        fixed=fixed,
        broken=broken,
        fixed_without_box=fixed_loosely,
        broken_without_box=broken_loosely,
        strict=s.Estimate(value=strict.points, low=strict.low, high=strict.high),
        p_value=found.p_value,
        nll=_mean(
            [
                after.nll - before.nll
                for before, after in pairs.values()
                if after.nll is not None and before.nll is not None
            ]
        ),
        smallest_detectable=found.smallest_detectable,
        verdict=found.verdict,
        text=TEXTS[found.verdict](found, len(common)),
        box_text=_loosely(len(fixed_loosely), len(broken_loosely), strict),
    )


def _loosely(fixed: int, broken: int, strict: evidence.Change) -> str:
    """A word about changes that are none where the box is required; empty where there is none."""
    if not fixed + broken:
        return ""
    return (
        f"{fixed} of the fixed and {broken} of the broken had their right answer without a box; with the box required "
        f"the change is {strict.points:+.1f} points."
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
        f"No difference of {WORTH_KNOWING:.0f} points or more: 95 % interval {found.low:+.1f} to {found.high:+.1f}."
    ),
    "too_few_questions": _too_few,
}
