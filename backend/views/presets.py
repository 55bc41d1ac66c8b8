"""Models that can be launched, as the API shows them."""

from backend.api import schemas as s
from memgen.contract.planner.memory import weights_bytes
from memgen.contract.presets import load_presets


def preset_list() -> s.PresetList:
    """All presets, in their order."""
    items = [
        s.PresetOut(
            name=preset.name,
            note=preset.note,
            parameters=preset.dimensions.parameters,
            weights_bytes=weights_bytes(preset),
            expected_hours=preset.expected_hours,
        )
        for preset in load_presets().values()
    ]
    return s.PresetList(items=items)
