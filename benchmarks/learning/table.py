"""The paired table of all seeds that were recorded, in Markdown."""

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import fields
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy import stats

from backend.services.evidence import RESAMPLES, change, interval
from benchmarks.learning.plan import STEPS, TRAININGS, Scale, is_evaluation
from benchmarks.learning.record import Line, answers, numbers, read
from benchmarks.learning.rows import near
from memgen.contract.config import parse_config
from memgen.contract.intervals import CONFIDENCE
from memgen.contract.stages.weaver_sft import WeaverSftConfig
from memgen.stages.evaluate import chance

PAIRS = (
    ("weaver_eval", "base"),
    ("base_long", "base"),
    ("lora_eval", "base"),
    ("weaver_eval", "lora_eval"),
    ("weaver_again", "weaver_eval"),
    ("trigger_eval", "base"),
    ("trigger_eval", "weaver_eval"),
    ("random_eval", "trigger_eval"),
    ("ltpo_eval", "trigger_eval"),
    ("ltpo_none", "trigger_eval"),
    ("ltpo_noise", "trigger_eval"),
    ("ltpo_eval", "ltpo_noise"),
)
TRAINED = ("weaver_eval", "lora_eval", "trigger_eval")
HEAD = 2
"""Lines of a table without rows."""
MOST_PATTERNS = 6
TITLES = {step.name: step.title for step in STEPS}
SIGNALS = (
    ("steps", "steps", "d"),
    ("last loss", "loss", ".3f"),
    ("validation loss before", "eval_loss_before", ".3f"),
    ("after", "eval_loss", ".3f"),
    ("latent norm over token norm", "latent_norm", ".1f"),
    ("similarity between slots", "latent_similarity", ".2f"),
    ("last reward", "reward", ".2f"),
    ("last insert rate", "insert_rate", ".2f"),
    ("groups without variance", "frac_reward_zero_std", ".0%"),
    ("seconds", "seconds", ".0f"),
)
"""Columns of the trainings: title, name in the training's result, format."""


def table(folder: Path) -> str:
    """Accuracies, paired differences, these over the seeds, decisions and trainings; of all seeds found in the folder.

    Raises:
        SystemExit: no seed is there, or they were measured by different plans.
    """
    paths = sorted(folder.glob("seed-*.jsonl"), key=lambda path: (len(path.stem), path.stem))
    if not paths:
        raise SystemExit(f"no seed is recorded in {folder}; `--seed N` makes one")
    seeds = {path.stem.removeprefix("seed-"): read(path) for path in paths}
    _check_one_plan(seeds)
    parts = (_accuracies, _differences, _over_seeds, _between_seeds, _decisions, _by_chance, _nearness, _trainings)
    made = [list(part(seeds)) for part in parts]
    return "\n\n".join("\n".join(part) for part in made if len(part) > HEAD)


def _check_one_plan(seeds: dict[str, list[Line]]) -> None:
    scales = {
        seed: tuple(numbers(lines, "machine").get(one.name) for one in fields(Scale)) for seed, lines in seeds.items()
    }
    if len(set(scales.values())) > 1:
        raise SystemExit(f"these seeds were measured at different sizes and don't belong in one table: {scales}")


def _accuracies(seeds: dict[str, list[Line]]) -> Iterator[str]:
    yield "| setting | seed | n | accuracy (95 %) | format | cut off | tokens | insertions | insert rate | seconds |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for step in STEPS:
        for seed, lines in seeds.items():
            own = list(answers(lines, step.name).values())
            if not is_evaluation(step) or not own:
                continue
            n, right = len(own), sum(line.right for line in own)
            low, high = interval(right, n)
            points = sum(line.points for line in own)
            rate = f"{sum(line.insertions for line in own) / points:.2f}" if points else "-"
            yield (
                f"| {step.title} | {seed} | {n} | {100 * right / n:.1f} % ({100 * low:.1f}-{100 * high:.1f}) "
                f"| {_share(line.format_ok for line in own)} | {_share(line.truncated for line in own)} "
                f"| {statistics.fmean(line.tokens for line in own):.0f} "
                f"| {statistics.fmean(line.insertions for line in own):.2f} | {rate} "
                f"| {numbers(lines, step.name).get('seconds', 0):.0f} |"
            )


def _differences(seeds: dict[str, list[Line]]) -> Iterator[str]:
    yield "| against | seed | n | points (95 %) | fixed / broken | p (McNemar) | insertions | distance |"
    yield "|---|---|---|---|---|---|---|---|"
    for after, before in PAIRS:
        for seed, lines in seeds.items():
            one, other = answers(lines, before), answers(lines, after)
            found = _paired(one, other)
            if found is not None:
                yield (
                    f"| {TITLES[after]} against {TITLES[before]} | {seed} | {_changed(*found)} "
                    f"| {_fewer(one, other)} | {_moved(other.values())} |"
                )


def _changed(was: list[bool], now: list[bool]) -> str:
    """Number of questions, points with interval, fixed and broken, p."""
    said = change(was, now)
    fixed = sum(new and not old for old, new in zip(was, now, strict=True))
    broken = sum(old and not new for old, new in zip(was, now, strict=True))
    return (
        f"{len(was)} | {said.points:+.1f} ({said.low:+.1f} to {said.high:+.1f}) | {fixed} / {broken} "
        f"| {said.p_value:.2g}"
    )


def _over_seeds(seeds: dict[str, list[Line]]) -> Iterator[str]:
    """The questions are the same in each seed, so questions are resampled, each with its mean over the seeds."""
    yield "| against | seeds | points, mean (95 %) | lowest | highest |"
    yield "|---|---|---|---|---|"
    for after, before in PAIRS:
        each = [_change_of(answers(lines, before), answers(lines, after)) for lines in seeds.values()]
        found = [one for one in each if one]
        shared = [question for question in found[0] if all(question in one for one in found)] if found else []
        if len(found) > 1 and shared:
            points = [100 * statistics.fmean(one[question] for question in shared) for one in found]
            low, high = _interval_of_mean([statistics.fmean(one[question] for one in found) for question in shared])
            yield (
                f"| {TITLES[after]} against {TITLES[before]} | {len(found)} | {statistics.fmean(points):+.1f} "
                f"({low:+.1f} to {high:+.1f}) | {min(points):+.1f} | {max(points):+.1f} |"
            )


def _between_seeds(seeds: dict[str, list[Line]]) -> Iterator[str]:
    """The same setting trained with two seeds: what a change must exceed to be more than the seed's."""
    yield "| setting | seeds | n | points (95 %) | fixed / broken | p (McNemar) |"
    yield "|---|---|---|---|---|---|"
    for name in TRAINED:
        for (one, before), (other, after) in combinations(seeds.items(), 2):
            found = _paired(answers(before, name), answers(after, name))
            if found is not None:
                yield f"| {TITLES[name]} | {other} against {one} | {_changed(*found)} |"


def _change_of(before: dict[str, Line], after: dict[str, Line]) -> dict[str, int]:
    """-1, 0 or 1 for each question that both settings have."""
    return {key: int(after[key].right) - int(before[key].right) for key in before if key in after}


def _interval_of_mean(values: list[float]) -> tuple[float, float]:
    """95 % bootstrap interval of a mean, in points."""
    if len(set(values)) == 1:
        return 100 * values[0], 100 * values[0]
    found = stats.bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, confidence_level=CONFIDENCE, method="percentile", rng=0
    ).confidence_interval
    return 100 * float(found.low), 100 * float(found.high)


def _decisions(seeds: dict[str, list[Line]]) -> Iterator[str]:
    """Where the trigger inserted, and how many of these questions are right with all insertions."""
    yield "| decisions of weaver + trigger | seed | n | right | weaver right | fixed / broken |"
    yield "|---|---|---|---|---|---|"
    for seed, lines in seeds.items():
        weaver, own = answers(lines, "weaver_eval"), answers(lines, "trigger_eval")
        patterns = Counter(line.decisions for line in own.values() if line.decisions)
        for pattern, _ in patterns.most_common(MOST_PATTERNS):
            at = [question for question, line in own.items() if line.decisions == pattern and question in weaver]
            marks = pattern.replace("I", "●").replace("-", "○")
            yield f"| {marks} | {seed} | {_right_of(at, own, weaver)} |"


def _by_chance(seeds: dict[str, list[Line]]) -> Iterator[str]:
    """Insertions by chance, parted by whether chance kept the prompt's latents; the draw is made again."""
    yield "| insertions by chance, at the prompt | seed | n | right | weaver + trigger right | fixed / broken |"
    yield "|---|---|---|---|---|---|"
    for seed, lines in seeds.items():
        own, trigger = answers(lines, "random_eval"), answers(lines, "trigger_eval")
        shared = [question for question in own if question in trigger]
        points = sum(line.points for line in trigger.values())
        rate = round(sum(line.insertions for line in trigger.values()) / points, 4) if points else 0.0
        for kept in (True, False):
            at = [question for question in shared if (chance(int(seed), question, 0) < rate) == kept]
            if at:
                yield f"| {'inserted' if kept else 'left out'} | {seed} | {_right_of(at, own, trigger)} |"


def _nearness(seeds: dict[str, list[Line]]) -> Iterator[str]:
    """Right answers to questions whose template and numbers were trained on, and to those with new numbers."""
    yield "| held-out questions | seed | n | base right | weaver right | plain LoRA right | weaver + trigger right |"
    yield "|---|---|---|---|---|---|---|"
    for seed, lines in seeds.items():
        settings = [answers(lines, name) for name in ("base", *TRAINED)]
        if not all(settings):
            continue
        facts = numbers(lines, "machine")
        scale = Scale(**{one.name: facts[one.name] for one in fields(Scale)})
        config = parse_config(next(step for step in STEPS if step.name == "weaver_sft").config(scale, int(seed), {}))
        assert isinstance(config, WeaverSftConfig)
        known = near(config)
        for words, wanted in (("template and numbers in training", True), ("template in training, new numbers", False)):
            at = [question for question in settings[0] if (question in known) == wanted]
            right = " | ".join(str(sum(own[question].right for question in at if question in own)) for own in settings)
            yield f"| {words} | {seed} | {len(at)} | {right} |"


def _right_of(questions: list[str], own: dict[str, Line], other: dict[str, Line]) -> str:
    """Number of questions, right answers of both settings, and what the first mended and broke."""
    fixed = sum(own[key].right and not other[key].right for key in questions)
    broken = sum(other[key].right and not own[key].right for key in questions)
    right, was = (sum(lines[key].right for key in questions) for lines in (own, other))
    return f"{len(questions)} | {right} | {was} | {fixed} / {broken}"


def _paired(before: dict[str, Line], after: dict[str, Line]) -> tuple[list[bool], list[bool]] | None:
    """Whether each question that both settings have was answered right; None if there is none."""
    shared = [question for question in before if question in after]
    return ([before[key].right for key in shared], [after[key].right for key in shared]) if shared else None


def _trainings(seeds: dict[str, list[Line]]) -> Iterator[str]:
    yield "| training | seed | " + " | ".join(title for title, _, _ in SIGNALS) + " |"
    yield "|---" * (2 + len(SIGNALS)) + "|"
    for name in TRAININGS:
        for seed, lines in seeds.items():
            own = numbers(lines, name)
            if own:
                said = [f"{own[key]:{form}}" if key in own else "-" for _, key, form in SIGNALS]
                yield f"| {TITLES[name]} | {seed} | {' | '.join(said)} |"


def _share(values: Iterator[bool]) -> str:
    return f"{100 * statistics.fmean(values):.0f} %"


def _fewer(before: dict[str, Line], after: dict[str, Line]) -> str:
    """Insertions of the second setting beside those of the first, on the questions that both have."""
    shared = [question for question in before if question in after]
    was, now = (sum(own[question].insertions for question in shared) for own in (before, after))
    return f"{100 * (now - was) / was:+.0f} %" if was else "-"


def _moved(lines: Iterable[Line]) -> str:
    distances = [line.distance for line in lines if line.distance is not None]
    return f"{statistics.fmean(distances):.3f}" if distances else "-"
