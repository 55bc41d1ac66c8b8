"""In which settings runs differ: what groups their curves, and what a comparison says of them."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeVar

from backend.store.models import Run
from memgen.contract.added_fields import as_stored
from memgen.contract.stages import find_stage

Name = TypeVar("Name", bound=Hashable)


def config_of(run: Run) -> dict[str, Any]:
    """The run's config, with what it meant when it was stored in fields that came later."""
    stage = find_stage(run.stage)
    return dict(run.config if stage is None else as_stored(stage.config, run.config))


def apart(configs: Sequence[Mapping[Name, Any]]) -> list[dict[Name, str]]:
    """Of each config the fields in which not all are alike, in the same order, as words; absent ones are empty."""
    names = dict.fromkeys(name for config in configs for name in config)
    words = {name: [_words(config.get(name)) for config in configs] for name in names}
    differing = [name for name, values in words.items() if len(set(values)) > 1]
    return [{name: words[name][place] for name in differing} for place in range(len(configs))]


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
