"""All that doctor saw: one JSON, and one page of text that can be put into a bug report. Neither holds a secret."""

import platform
import re
import textwrap
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, computed_field

from memgen import __version__
from memgen.doctor.finding import Finding, Verdict, exit_code

FORMAT = 1
WIDTH = 118  # characters of a line
_VERDICT, _SUBJECT = max(len(one) for one in Verdict), 16  # characters of the columns


class Report(BaseModel):
    """One visit of doctor."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    format: int = FORMAT
    """Raised when a reader must know that something changed."""
    made_at: datetime
    version: str
    """Of MemGen Studio."""
    python: str
    platform: str
    findings: list[Finding]
    card: dict[str, Any] = Field(default_factory=dict)
    """Every measurement of the card by step and name, as in docs/gpu/h100.json; empty if none was made."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def exit_code(self) -> int:
        """What the command ends with."""
        return exit_code(self.findings)


def report(findings: list[Finding], now: float, card: Mapping[str, Any] | None = None) -> Report:
    """A report on this machine.

    Args:
        findings: all that was found.
        now: seconds since 1970.
        card: measurements of the card by step and name.
    """
    return Report(
        made_at=datetime.fromtimestamp(now, UTC).replace(microsecond=0),
        version=__version__,
        python=platform.python_version(),
        platform=f"{platform.platform()}, {platform.machine()}",
        findings=findings,
        card=dict(card or {}),
    )


def as_json(made: Report) -> str:
    """The report for programs, with the user's folder as `~`."""
    return without_users_folder(made.model_dump_json(indent=2)) + "\n"


def page(made: Report) -> str:
    """The report for people, with the user's folder as `~`."""
    lines = [
        f"MemGen Studio {made.version}, doctor of {made.made_at:%Y-%m-%d %H:%M} UTC",
        f"Python {made.python}, {made.platform}",
        "",
    ]
    for one in made.findings:
        lines += _lines(one)
    counts = {verdict: sum(one.verdict is verdict for one in made.findings) for verdict in Verdict}
    lines += ["", ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)]
    return without_users_folder("\n".join(lines))


def without_users_folder(text: str, folder: Path | None = None) -> str:
    """A text in which `~` stands for the user's folder, whose name often tells who it is."""
    name = str(folder or Path.home())
    return text if name == "/" else re.sub(re.escape(name) + r"(?![\w.-])", "~", text)


def _lines(one: Finding) -> list[str]:
    begin = f"{one.verdict:{_VERDICT}}  {one.subject:{_SUBJECT}}"
    blank = " " * (_VERDICT + 2 + _SUBJECT)
    seen = textwrap.wrap(one.seen, WIDTH, initial_indent=f"{begin} ", subsequent_indent=f"{blank} ")
    way_out = textwrap.wrap(one.way_out, WIDTH, initial_indent=f"{blank} -> ", subsequent_indent=f"{blank}    ")
    return [*(seen or [begin.rstrip()]), *way_out]
