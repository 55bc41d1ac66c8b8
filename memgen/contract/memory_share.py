"""MEMGEN_MEMORY_SHARE: how much of each GPU's memory a run may be planned to use, read in one place."""

import os
from collections.abc import Mapping

from memgen.contract.errors import BadInput

VARIABLE = "MEMGEN_MEMORY_SHARE"


def memory_share(environment: Mapping[str, str] = os.environ) -> float:
    """The share, above 0 and at most 1; 1 where nothing is said.

    Raises:
        BadInput: `bad_setting`.
    """
    text = environment.get(VARIABLE, "").strip()
    try:
        share = float(text or 1)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise BadInput(
            "bad_setting", "this is no share of the memory", field=VARIABLE, value=text,
            way_out="Set it to a number above 0 and at most 1, e.g. 0.5, or unset it.",
        )  # fmt: skip
    return share
