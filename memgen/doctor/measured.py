"""What the measurements of a card say, as findings: results by step and name in, sentences out. Imports no torch."""

from collections.abc import Iterator, Mapping
from typing import Any

from memgen.doctor.card_words import ENDED, FAILED, LEFT_OUT, NO_TIME, RUNNING
from memgen.doctor.finding import Finding, error, not_looked_at, ok, warning

MOST_OFF = 0.1  # share by which a plan may miss the peak
HUNG = "it took far too long, or ended the process that measured"
NO_MEMORY = "OutOfMemoryError"  # how the error of torch begins
TELL = "Tell the project, with the JSON of this visit (docs/gpu/README.md)."

Card = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Measurements by step and name; each has a `status`, and a `result` where it was made."""


def findings(card: Card, minutes: float) -> list[Finding]:
    """What to say of the measurements.

    Args:
        card: see `Card`.
        minutes: that the measurements had.
    """
    if not card:
        return [error("measurements", "the measuring process ended before it measured anything", TELL)]
    made = [_golden(card), _noise(card), _memory(card), _bandwidth(card)]
    said = [one for one in made if one is not None]
    return [*said, *_speed(card), *_stages(card), *_failed(card), *_unmade(card, minutes)]


def _result(card: Card, step: str, name: str) -> Mapping[str, Any]:
    """What a measurement gave; empty if it was not made."""
    return dict(card.get(step, {}).get(name, {}).get("result", {}))


def _results(card: Card) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for step, entries in card.items():
        for name, entry in entries.items():
            if "result" in entry:
                yield step, name, entry["result"]


def _golden(card: Card) -> Finding | None:
    made = {name: result for step, name, result in _results(card) if step == "faithful" and "holds" in result}
    if not made:
        return None
    wrong = [
        f"{one['quantity']} of {name} ({one['worst']:.1e}, at most {one['limit']:.0e})"
        for name, result in made.items()
        for one in result["differences"]
        if not one["holds"]
    ]
    if wrong:
        return error("method", f"its numbers differ from the authors' in float32: {', '.join(wrong)}", TELL)
    devices = ", ".join(sorted({result["device"] for result in made.values()}))
    return ok("method", f"its numbers are the authors' in float32 on {devices}: {', '.join(made)}")


def _noise(card: Card) -> Finding | None:
    noise = _result(card, "faithful", "noise")
    pairs = {name: pair for name, pair in noise.items() if isinstance(pair, Mapping) and "differing" in pair}
    if not pairs:
        return None
    seen = f"of {noise['questions']} answers differ: " + "; ".join(
        f"{pair['differing']} between {name}" for name, pair in pairs.items()
    )
    unsteady = [name for name in pairs if name.endswith("twice") and pairs[name]["differing"]]
    if unsteady:
        return warning("noise", seen, "The same work gives other answers each time: no result of this card repeats.")
    return ok("noise", seen)


def _memory(card: Card) -> Finding | None:
    ratios = {_called(step, name): float(one["plan_over_peak"]) for step, name, one in _results(card) if _peaked(one)}
    if not ratios:
        return None
    low, high = min(ratios, key=lambda one: ratios[one]), max(ratios, key=lambda one: ratios[one])
    seen = f"plan over peak {ratios[low]:.2f} ({low}) to {ratios[high]:.2f} ({high}) in {len(ratios)} measurements"
    if ratios[low] < 1 - MOST_OFF:
        return warning("plan of memory", seen, f"Runs like that may end for want of memory: lower their rows. {TELL}")
    if ratios[high] > 1 + MOST_OFF:
        return warning("plan of memory", seen, f"Runs like that take less than the plan says. {TELL}")
    return ok("plan of memory", seen)


def _peaked(result: Mapping[str, Any]) -> bool:
    return result.get("plan_over_peak") is not None


def _bandwidth(card: Card) -> Finding | None:
    speed = _result(card, "card", "bandwidth").get("copy_gb_per_s")
    shares = {
        name: float(one["bandwidth_share"])
        for step, name, one in _results(card)
        if step == "speed" and one.get("bandwidth_share")
    }
    if speed is None or not shares:
        return None
    best = max(shares, key=lambda name: shares[name])
    most = f"a pass reaches {shares[best]:.0%} of it at most ({best} rows)"
    return ok("bandwidth", f"copies move {speed:,.0f} GB/s; {most}")


def _speed(card: Card) -> Iterator[Finding]:
    kinds = (("transformers", "speed"), ("continuous", "batching"), ("base", "speed"), ("weaver", "speed"))
    widths = sorted({int(name.split()[-1]) for step, name, _ in _results(card) if step == "speed"})
    for width in widths:
        rates = {kind: _result(card, step, f"{kind} {width}").get("tokens_per_s") for kind, step in kinds}
        told = [f"{kind} {rate:,.0f}" for kind, rate in rates.items() if rate is not None]
        yield ok(f"speed, {width} rows", f"tokens a second: {', '.join(told)}")


def _stages(card: Card) -> Iterator[Finding]:
    told = []
    for step, name, one in _results(card):
        seconds = one.get("step_seconds") or next(iter(one.get("rollout_and_update_seconds", [])[-1:]), None)
        if step == "stages" and seconds is None and "steps" in one:
            seconds = one["seconds"]
        if seconds is not None:
            told.append(f"{_called(step, name)} {seconds:.2f}")
    if told:
        yield ok("stages", f"seconds of a step, of LTPO of all its rows: {', '.join(told)}")


def _called(step: str, name: str) -> str:
    """A measurement's name with its step's, unless it tells enough."""
    return name if step in ("stages", "large") else f"{step}/{name}"


def _failed(card: Card) -> Iterator[Finding]:
    without_memory = []
    for step, entries in card.items():
        for name, entry in entries.items():
            if entry["status"] not in (FAILED, ENDED, RUNNING):
                continue
            why = str(entry.get("error", HUNG)).strip()
            if why.startswith(NO_MEMORY):
                without_memory.append(_called(step, name))
            else:
                yield error("measuring", f"{step}/{name}: {why.splitlines()[-1]}", TELL)
    if without_memory:
        way_out = f"Such runs need fewer rows here. Where a plan says that they fit: {TELL[0].lower()}{TELL[1:]}"
        yield warning("out of memory", ", ".join(without_memory), way_out)


def _unmade(card: Card, minutes: float) -> Iterator[Finding]:
    late = [f"{step}/{name}" for step, all_ in card.items() for name, one in all_.items() if one["status"] == NO_TIME]
    if late:
        seen = f"not measured in {minutes:g} minutes: {', '.join(late)}"
        yield not_looked_at("rest", seen, f"Give it more: `--minutes {2 * minutes:g}`.")
    large = {name: one["error"] for all_ in card.values() for name, one in all_.items() if one["status"] == LEFT_OUT}
    if large:
        yield ok("too large", "; ".join(f"{name}: {why}" for name, why in large.items()))
