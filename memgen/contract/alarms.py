"""Alarms: what shows while a run goes on that it learns nothing, or is about to break; rules as data, no torch.

A rule looks at the newest values of a few metrics. `Watch` holds those of a run as they come in, so that each number is
looked at once and nothing is read again; the trainer has one, and says an alarm as an event. Only that no step comes
any more is seen from outside, by the backend's clock.
"""

import math
import statistics
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

NEWEST, OLDEST = 20, 6  # values of a metric that are held
GRADIENT, LOSS, REWARD = "train/grad_norm", "train/loss", "train/reward"
NO_VARIANCE, TRUNCATED, BOXED = "train/frac_reward_zero_std", "train/completions/truncated", "train/completions/boxed"
INSERT_RATE, ENTROPY, LENGTH = "train/insert_rate", "train/entropy", "train/completions/mean_length"
ALIKE, VALIDATION, SECONDS = "train/latent_similarity", "eval/loss", "train/step_seconds"
MOVED = "eval/ltpo_distance"


@dataclass
class Values:
    """The values of one metric since the attempt began."""

    oldest: list[float] = field(default_factory=list)
    newest: deque[float] = field(default_factory=lambda: deque(maxlen=NEWEST))
    best: float = math.inf
    """The lowest of all that came before the newest ones."""
    step: int = 0
    """Of the newest."""

    def add(self, step: int, value: float) -> None:
        """One more; of a step that was told twice both count."""
        if len(self.oldest) < OLDEST:
            self.oldest.append(value)
        if len(self.newest) == NEWEST:
            self.best = min(self.best, self.newest[0])
        self.newest.append(value)
        self.step = step

    def last(self, count: int) -> list[float]:
        """The newest `count`, oldest first; fewer where there are not so many."""
        return list(self.newest)[-count:]


Metrics = Mapping[str, Values]
Check = Callable[[Metrics], str]
"""From the metrics to a sentence on what was seen; empty where all is well."""


@dataclass(frozen=True)
class Rule:
    """One thing that can be seen to go wrong."""

    code: str
    title: str
    metrics: tuple[str, ...]
    """Those that it needs, all of one step."""
    check: Check
    cause: str
    """What is behind it, as a rule."""
    remedy: str
    """What to do."""
    also: tuple[str, ...] = ()
    """Metrics that it looks at where the run has them."""
    stops: bool = True
    """Whether a run that is to stop on an alarm stops on this one."""
    applies: Callable[[Mapping[str, Any]], bool] = lambda _config: True
    """Whether the rule says something of a run with this config."""


@dataclass(frozen=True)
class Alarm:
    """A rule that has fired."""

    rule: Rule
    step: int
    fact: str


class Watch:
    """Looks at a run's metrics as they come in; each rule fires once.

    Args:
        config: of the run, by name of its fields.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._rules = [rule for rule in RULES if rule.metrics and rule.applies(config)]
        self._values: dict[str, Values] = {}

    def see(self, name: str, step: int, value: float) -> list[Alarm]:
        """Take a number; returns the alarms that it completes."""
        self._values.setdefault(name, Values()).add(step, value)
        fired = []
        for rule in [one for one in self._rules if name in (*one.metrics, *one.also)]:
            there = (*rule.metrics, *(one for one in rule.also if one in self._values))
            if any(one not in self._values or self._values[one].step != step for one in there):
                continue  # the step's other numbers are still to come
            if fact := rule.check(self._values):
                fired.append(Alarm(rule, step, fact))
                self._rules.remove(rule)
        return fired


def stalled_after(step_seconds: Sequence[float]) -> float | None:
    """Seconds without a step after which a training is held to stand still; None before that can be told.

    Args:
        step_seconds: of the newest steps.
    """
    if len(step_seconds) < STALL_STEPS:
        return None
    return max(STALL_SECONDS, STALL_TIMES * statistics.median(step_seconds))


STALL_STEPS, STALL_SECONDS, STALL_TIMES = 3, 300.0, 20


def stall_fact(seconds: float, step_seconds: Sequence[float]) -> str:
    """What was seen of a training that stands still."""
    return f"No step for {seconds:,.0f} s, and a step took {statistics.median(step_seconds):.3g} s."


def _all_last(name: str, count: int, holds: Callable[[float], bool], fact: str) -> Check:
    """Whether something holds of each of the last `count` values; the fact names the newest as `{value}`."""

    def check(metrics: Metrics) -> str:
        values = metrics[name].last(count)
        fires = len(values) == count and all(map(holds, values))
        return fact.format(count=count, value=values[-1]) if fires else ""

    return check


def _not_finite(metrics: Metrics) -> str:
    names = [name for name in (LOSS, GRADIENT) if name in metrics and not math.isfinite(metrics[name].last(1)[0])]
    return f"{' and '.join(names)} is not a finite number." if names else ""


def _no_gradient(metrics: Metrics) -> str:
    """Rewards that do not differ are another matter, with a rule of its own."""
    if NO_VARIANCE in metrics and max(metrics[NO_VARIANCE].last(5)) >= 1:
        return ""
    return _all_last(GRADIENT, 5, lambda norm: norm == 0, "The gradient's norm was 0 in the last {count} steps.")(
        metrics
    )


def _no_loss(metrics: Metrics) -> str:
    """A loss from rewards is 0 on its own: advantages add up to 0."""
    if REWARD in metrics:
        return ""
    return _all_last(LOSS, 3, lambda loss: loss == 0, "The loss was exactly 0 in the last {count} steps.")(metrics)


def _stuck(metrics: Metrics) -> str:
    values = metrics[INSERT_RATE].last(10)
    if len(values) < 10:
        return ""
    if max(values) < 0.005:
        return f"The trigger never inserts: its insert rate was {values[-1]:.3f} for 10 steps."
    if min(values) > 0.995:
        return f"The trigger always inserts: its insert rate was {values[-1]:.3f} for 10 steps."
    return ""


def _format_falls(metrics: Metrics) -> str:
    boxed, reward = metrics[BOXED].last(16), metrics[REWARD].last(16)
    if len(boxed) < 16 or len(reward) < 16:
        return ""
    (was, is_now), (earned, earns) = (
        (statistics.fmean(own[:4]), statistics.fmean(own[-4:])) for own in (boxed, reward)
    )
    if was - is_now < 0.2 or earns - earned < 0.05:
        return ""
    return (
        f"Completions with a box fell from {was:.0%} to {is_now:.0%} while the reward rose from {earned:.3f} to "
        f"{earns:.3f}."
    )


def _still(metrics: Metrics) -> str:
    values = metrics[MOVED]
    return (
        f"The latents of {values.step} questions moved by {values.last(1)[0]:.1g}."
        if (values.step >= 8 and values.last(1)[0] < 1e-6)
        else ""
    )


def _validation_rises(metrics: Metrics) -> str:
    values = metrics[VALIDATION]
    *before, first, second, third, fourth = [math.inf] * 5 + values.last(NEWEST)
    best = min(values.best, *before)
    if not (first > best and first < second < third < fourth and fourth > 1.02 * best):
        return ""
    return f"The validation loss rose four times in a row, to {fourth:.4g}; the best was {best:.4g}."


def _slow(metrics: Metrics) -> str:
    """Against the attempt's first steps, the very first left out; longer completions may take longer."""
    seconds, usual = metrics[SECONDS].last(5), metrics[SECONDS].oldest[1:]
    if len(metrics[SECONDS].newest) < OLDEST + 5:
        return ""
    before, grown = statistics.median(usual), 1.0
    if LENGTH in metrics:
        lengths = metrics[LENGTH]
        grown = max(1.0, statistics.fmean(lengths.last(5)) / max(1.0, statistics.fmean(lengths.oldest[1:])))
    if min(seconds) < SLOW_TIMES * before * grown or min(seconds) - before < 0.5:
        return ""
    return f"A step takes {statistics.median(seconds):.3g} s and took {before:.3g} s at the beginning."


SLOW_TIMES = 4
NOT_FINITE = Rule(
    "not_finite",
    "Loss or gradient is not finite",
    (LOSS,),
    _not_finite,
    "The learning rate is too high for this model and data, or the number format too coarse.",
    "Lower learning_rate or max_grad_norm, or set dtype to float32, and go on from the last checkpoint.",
    also=(GRADIENT,),
)
STALLED = Rule(
    "stalled",
    "No step comes any more",
    (),
    lambda _: "",
    "A process waits for another, the machine is overloaded or swaps, or its disk hangs.",
    "Look at the end of the log and at the machine; stop the run and resume it, or move it to another slot.",
    stops=False,
)
RULES: tuple[Rule, ...] = (
    NOT_FINITE,
    Rule(
        "no_gradient",
        "The gradient is zero",
        (GRADIENT,),
        _no_gradient,
        "Nothing that is trained has a part in the loss: e.g. no latents were inserted, or all weights are frozen.",
        "Look at max_prompt_aug_num and max_inference_aug_num, and at whether the data has points for latents at all.",
        also=(NO_VARIANCE,),
    ),
    Rule(
        "zero_loss",
        "The loss is zero",
        (LOSS,),
        _no_loss,
        "No token of the solutions is supervised, or the model has learned the few rows by heart.",
        "Look at the rows and at max_completion_length; take more questions.",
        also=(REWARD,),
    ),
    Rule(
        "no_variance",
        "Rewards do not differ",
        (NO_VARIANCE,),
        _all_last(NO_VARIANCE, 10, lambda share: share >= 1, "In the last {count} steps no question had two rewards."),
        "Each question's completions are all right or all wrong: it is too hard or too easy for this model, answers "
        "lack their box, or are all cut.",
        "Look at the rollouts. Train the format first (weaver_sft), take questions of another difficulty, raise "
        "num_generations, temperature or max_completion_length.",
    ),
    Rule(
        "all_truncated",
        "All completions are cut",
        (TRUNCATED,),
        _all_last(TRUNCATED, 5, lambda share: share >= 1, "Every completion of the last {count} steps was cut."),
        "max_completion_length is shorter than the answers, or the model does not end them.",
        "Raise max_completion_length, or train the format first: weaver_sft teaches the end of an answer.",
    ),
    Rule(
        "insert_rate_stuck",
        "The trigger decides always the same",
        (INSERT_RATE,),
        _stuck,
        "Decisions that never differ teach nothing: the trigger was pushed to one side, or the penalty pushes it.",
        "Lower learning_rate or head_learning_rate, change insertion_penalty, raise temperature or beta, and go on "
        "from an earlier checkpoint.",
    ),
    Rule(
        "entropy_collapsed",
        "The entropy has collapsed",
        (ENTROPY,),
        _all_last(
            ENTROPY, 5, lambda nats: nats < 0.01,
            "The entropy was below 0.01 nat for {count} steps; the last was {value:.2g}.",
        ),
        "The policy is sure of every choice, so a question's completions are all alike and nothing is tried any more.",
        "Lower learning_rate, raise temperature or beta, and go on from an earlier checkpoint.",
    ),
    Rule(
        "format_falls",
        "The format falls while the reward rises",
        (BOXED, REWARD),
        _format_falls,
        "The reward can be had without the format: the training optimises something else than right answers.",
        "Look at the rollouts of the newest steps, and lower what is earned beside the answer, e.g. insertion_penalty.",
    ),
    Rule(
        "ltpo_still",
        "LTPO does not move the latents",
        (MOVED,),
        _still,
        "No candidate was better than the latents it started from, or steps are lost in rounding.",
        "Raise lr or sigma, set relative, or raise max_steps; ltpo_step_ulps far below 1 says that dtype is too "
        "coarse.",
        applies=lambda config: bool(config.get("max_steps")),
    ),
    Rule(
        "latents_alike",
        "Latents are all alike",
        (ALIKE,),
        _all_last(
            ALIKE, 5, lambda cosine: cosine > 0.995,
            "The latents of an insertion had a cosine of {value:.4f} with each other, above 0.995 for {count} steps.",
        ),
        "The weaver writes one vector many times: the queries' differences are lost in it.",
        "Lower learning_rate or latents_learning_rate, or start anew with another seed; fewer latents may do as well.",
    ),
    Rule(
        "validation_rises",
        "The validation loss rises",
        (VALIDATION,),
        _validation_rises,
        "The training learns its rows by heart.",
        "Stop it and take an earlier checkpoint; fewer epochs, more questions or a lower learning_rate help.",
    ),
    Rule(
        "slow",
        "Steps have become slow",
        (SECONDS,),
        _slow,
        "Another program shares the processor or the card, memory is swapped, or the card has become hot.",
        "Look at Queue and machines and at the machine's own tools; the training goes on.",
        also=(LENGTH,),
        stops=False,
    ),
    STALLED,
)  # fmt: skip
WATCHED = sorted({name for rule in RULES for name in (*rule.metrics, *rule.also)})
"""The metrics that some rule looks at."""
_BY_CODE = {rule.code: rule for rule in RULES}


def find_rule(code: str) -> Rule | None:
    """The rule of this code; None for one of another version."""
    return _BY_CODE.get(code)
