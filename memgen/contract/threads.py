"""MEMGEN_THREADS: threads of a run on the CPU, read in one place."""

import os

from memgen.contract.errors import BadInput

VARIABLE = "MEMGEN_THREADS"
MOST = 4096


def threads_setting() -> int | None:
    """How many threads a run is to use; None leaves it to torch.

    Raises:
        BadInput: `bad_setting`.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 1 <= int(text) <= MOST):
        raise BadInput(
            "bad_setting",
            "this is no number of threads",
            field=VARIABLE,
            value=text,
            way_out=f"Set it to a number from 1 to {MOST}, or unset it.",
        )
    return int(text)
