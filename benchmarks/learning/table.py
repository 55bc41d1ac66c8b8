"""The paired table of all seeds that were recorded, in Markdown."""

import statistics
from collections.abc import Iterable, Iterator
from pathlib import Path

from backend.services.evidence import change, interval
from benchmarks.learning.plan import STEPS, TRAININGS
from benchmarks.learning.record import Line, answers, numbers, read

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
)
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
    """Accuracies, paired differences, these over the seeds, and the trainings; of all seeds found in the folder."""
    seeds = {path.stem.removeprefix("seed-"): read(path) for path in sorted(folder.glob("seed-*.jsonl"))}
    parts = [list(_accuracies(seeds)), list(_differences(seeds))]
    if len(seeds) > 1:
        parts.append(list(_over_seeds(seeds)))
    parts.append(list(_trainings(seeds)))
    return "\n\n".join("\n".join(part) for part in parts)


def _accuracies(seeds: dict[str, list[Line]]) -> Iterator[str]:
    yield "| setting | seed | n | accuracy (95 %) | format | cut off | tokens | insertions | insert rate | seconds |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for step in STEPS:
        for seed, lines in seeds.items():
            own = list(answers(lines, step.name).values())
            if step.name in TRAININGS or not own:
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
                was, now = found
                said = change(was, now)
                fixed = sum(new and not old for old, new in zip(was, now, strict=True))
                broken = sum(old and not new for old, new in zip(was, now, strict=True))
                yield (
                    f"| {TITLES[after]} against {TITLES[before]} | {seed} | {len(was)} "
                    f"| {said.points:+.1f} ({said.low:+.1f} to {said.high:+.1f}) | {fixed} / {broken} "
                    f"| {said.p_value:.2g} | {_fewer(one, other)} | {_moved(other.values())} |"
                )


def _over_seeds(seeds: dict[str, list[Line]]) -> Iterator[str]:
    """The questions are the same in each seed, so seeds are no further questions: their spread is shown instead."""
    yield "| against | seeds | points, mean | lowest | highest | largest p |"
    yield "|---|---|---|---|---|---|"
    for after, before in PAIRS:
        each = [_paired(answers(lines, before), answers(lines, after)) for lines in seeds.values()]
        found = [change(*one) for one in each if one is not None]
        if found:
            points = [one.points for one in found]
            yield (
                f"| {TITLES[after]} against {TITLES[before]} | {len(found)} | {statistics.fmean(points):+.1f} "
                f"| {min(points):+.1f} | {max(points):+.1f} | {max(one.p_value for one in found):.2g} |"
            )


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
    """Insertions of the second setting beside those of the first."""
    was, now = (sum(line.insertions for line in own.values()) for own in (before, after))
    return f"{100 * (now - was) / was:+.0f} %" if was else "-"


def _moved(lines: Iterable[Line]) -> str:
    distances = [line.distance for line in lines if line.distance is not None]
    return f"{statistics.fmean(distances):.3f}" if distances else "-"
