"""CUDA_VISIBLE_DEVICES, read in one place as CUDA reads it. Knows nothing of drivers: names in, names out."""

import re
from dataclasses import dataclass

VARIABLE = "CUDA_VISIBLE_DEVICES"
_DEVICE = re.compile(r"[0-9]{1,4}|(GPU|MIG)-[0-9A-Za-z\-/]+")
_END = re.compile(r"|-[0-9]+|NoDevFiles|none|void", re.IGNORECASE)  # usual ways to say that no more is visible


@dataclass(frozen=True)
class VisibleDevices:
    """What a value of CUDA_VISIBLE_DEVICES names."""

    names: list[str]
    """Numbers without leading zeros, `GPU-...` or `MIG-...` (whole, or as many characters as tell them apart)."""
    stray: str | None = None
    """The entry at which CUDA stops to read because it is no device, unless it is a usual way to end the list."""


def visible_devices(value: str) -> VisibleDevices:
    """The devices that a value names: separated by commas, blanks around them; the first that is none ends the list."""
    names: list[str] = []
    for entry in value.split(","):
        text = entry.strip()
        if _DEVICE.fullmatch(text) is None:
            return VisibleDevices(names, None if _END.fullmatch(text) else text)
        names.append(str(int(text)) if text.isdecimal() else text)
    return VisibleDevices(names)
