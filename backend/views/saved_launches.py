"""Settings that are kept, as the API shows them: with the meaning that they had when they were kept."""

from collections.abc import Mapping
from typing import Any

from backend.api import schemas as s
from backend.store.models import SavedLaunch
from backend.views.times import when
from memgen.contract.config import stored_config
from memgen.contract.errors import BadInput
from memgen.contract.pipeline import PipelineSpec, StepName, planned_config


def saved_launch(row: SavedLaunch) -> s.SavedLaunch:
    """Settings as the API shows them."""
    spec = None if row.spec is None else as_meant(PipelineSpec.model_validate(row.spec), row.step_configs or {})
    config = None if row.config is None else _as_meant(row.config)
    return s.SavedLaunch(name=row.name, note=row.note, config=config, pipeline=spec, saved_at=when(row.saved_at))


def as_meant(spec: PipelineSpec, step_configs: Mapping[str, Mapping[str, Any]]) -> PipelineSpec:
    """A pipeline that says where its steps had other values than today's defaults would give them.

    Args:
        spec: as it was kept.
        step_configs: of its steps, whole, as they were planned then.
    """
    steps: dict[StepName, dict[str, Any]] = {name: dict(fields) for name, fields in spec.steps.items()}
    for name in spec.to_run:
        then = _as_meant(step_configs.get(name, {}))
        try:
            now = planned_config(spec, name).model_dump(mode="json")
        except BadInput:  # today's rules refuse it: the form says why once it is opened
            continue
        moved = {field: value for field, value in then.items() if now.get(field) != value}
        if moved:
            steps[name] = {**steps.get(name, {}), **moved}
    return spec.model_copy(update={"steps": steps})


def _as_meant(config: Mapping[str, Any]) -> dict[str, Any]:
    """A stored config with the meaning of fields that came later; as it stands where its stage is gone."""
    try:
        return stored_config(config).model_dump(mode="json")
    except BadInput:
        return dict(config)
