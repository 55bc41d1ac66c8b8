"""Rows on the model hub: a repository of data, its configuration, and its commit."""

import re
from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from memgen.contract.errors import BadInput
from memgen.contract.names import MOST_REVISION, REPOSITORY, REVISION

SETTING = "MEMGEN_HUB_DATA_SETS"
"""Repositories that users of the service may name, separated by commas."""
_TEXT = re.compile(r"hub:(?P<repository>[^#@]+)(#(?P<config>[^#@]+))?(@(?P<revision>[^#@]+))?")


class HubRows(BaseModel):
    """What to read of the hub."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    repository: str = Field(pattern=REPOSITORY, max_length=200)
    """`owner/name` of a data set."""
    config: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*$", max_length=100)
    """Its configuration, where it has several."""
    revision: str | None = Field(default=None, pattern=REVISION, max_length=MOST_REVISION)
    """Commit, branch or tag; null is the newest."""

    def __str__(self) -> str:
        config = f"#{self.config}" if self.config else ""
        return f"hub:{self.repository}{config}" + (f"@{self.revision}" if self.revision else "")

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """What `hub:owner/name#config@revision` says; None for what does not begin so.

        Raises:
            BadInput: `bad_option`.
        """
        if not text.startswith("hub:"):
            return None
        match = _TEXT.fullmatch(text)
        try:
            return cls(**(match.groupdict() if match else {}))
        except ValueError:
            raise BadInput(
                "bad_option",
                "this names no data set of the hub",
                field="file",
                value=text,
                way_out="Write hub:OWNER/NAME, then #CONFIG and @REVISION where they matter.",
            ) from None


def allowed_repositories(environment: Mapping[str, str]) -> list[str]:
    """Repositories whose rows users of the service may read; none by default.

    Raises:
        BadInput: `bad_setting`.
    """
    names = environment.get(SETTING, "").replace(",", " ").split()
    for name in names:
        if re.fullmatch(REPOSITORY, name) is None:
            raise BadInput(
                "bad_setting",
                "this is no repository of the hub",
                field=SETTING,
                value=name,
                way_out="List OWNER/NAME, separated by commas.",
            )
    return names
