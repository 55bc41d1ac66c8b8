"""What doctor sees of one thing: a verdict, what was seen, and what to do. A check is a function that returns it."""

from collections.abc import Callable, Iterable
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from memgen.contract.errors import BadInput

EXIT_WELL, EXIT_ERROR, EXIT_NOT_LOOKED_AT = 0, 1, 3


class Verdict(StrEnum):
    """How one thing is."""

    OK = "ok"
    WARNING = "warning"
    """Something will be slow, missing or different; runs can work."""
    ERROR = "error"
    """Something that runs need does not work."""
    NOT_LOOKED_AT = "not looked at"
    """It could not be looked at here; `seen` says why."""


class Finding(BaseModel):
    """One thing that was looked at."""

    # A reader older than its writer ignores fields that it does not know.
    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    subject: str
    """What was looked at, in a word or two."""
    verdict: Verdict
    """How it is."""
    seen: str
    """What was seen, one phrase without a full stop."""
    way_out: str = ""
    """What to do, in full sentences; empty where nothing is to be done."""


def ok(subject: str, seen: str) -> Finding:
    """All is well."""
    return Finding(subject=subject, verdict=Verdict.OK, seen=seen)


def warning(subject: str, seen: str, way_out: str) -> Finding:
    """Runs can work, and something is to be known."""
    return Finding(subject=subject, verdict=Verdict.WARNING, seen=seen, way_out=way_out)


def error(subject: str, seen: str, way_out: str) -> Finding:
    """Something does not work."""
    return Finding(subject=subject, verdict=Verdict.ERROR, seen=seen, way_out=way_out)


def not_looked_at(subject: str, seen: str, way_out: str = "") -> Finding:
    """It could not be looked at."""
    return Finding(subject=subject, verdict=Verdict.NOT_LOOKED_AT, seen=seen, way_out=way_out)


def refused(subject: str, reason: BadInput) -> Finding:
    """The error that a run or a service would end with."""
    problem = reason.problem.model_copy(update={"way_out": ""})
    return error(subject, str(problem).rstrip("."), reason.way_out)


def look(subject: str, check: Callable[[], Finding | list[Finding]]) -> list[Finding]:
    """What a check finds; where it breaks down, that is the finding, and the other checks are made all the same."""
    try:
        found = check()
    except BadInput as reason:
        return [refused(subject, problem) for problem in getattr(reason, "problems", [reason])]
    except Exception as broken:  # a bug in a check, or a library that is broken itself
        seen = f"the check broke down: {type(broken).__name__}: {broken}"
        return [error(subject, seen, "Tell the project, with this page.")]
    return found if isinstance(found, list) else [found]


def exit_code(findings: Iterable[Finding]) -> int:
    """1 if anything is an error, else 3 if anything could not be looked at, else 0. Warnings change nothing."""
    verdicts = {one.verdict for one in findings}
    if Verdict.ERROR in verdicts:
        return EXIT_ERROR
    return EXIT_NOT_LOOKED_AT if Verdict.NOT_LOOKED_AT in verdicts else EXIT_WELL
