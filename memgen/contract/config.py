"""Run configs as they come and go: parsing with errors by field, hashing, the class of each stage."""

import difflib
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from memgen.contract.added_fields import as_stored, meanings_before
from memgen.contract.errors import BadInput
from memgen.contract.presets import Preset, get_preset
from memgen.contract.stage_configs import StageConfig
from memgen.contract.stages import STAGES, stage_named, stage_names

RunConfig = StageConfig  # of one of the stages
MOST_KEYS = 200  # each unknown key is looked up among the known ones


class InvalidConfig(BadInput):
    """A config that can't be used; `problems` lists every field that is wrong, the first is the error itself."""

    def __init__(self, problems: list[BadInput]) -> None:
        super().__init__(**dict(problems[0].problem))
        self.problems = problems


def parse_config(data: object) -> RunConfig:
    """Turn a decoded JSON object into the config of its stage.

    Raises:
        InvalidConfig: with one problem per wrong field: unknown stage, key or preset, a value out of range.
    """
    if not isinstance(data, Mapping):
        raise InvalidConfig(
            [
                BadInput(
                    "invalid_config",
                    "a config must be a JSON object",
                    value=type(data).__name__,
                    way_out=f'Start from {{"stage": "{STAGES[0].name}"}}.',
                )
            ]
        )
    if len(data) > MOST_KEYS:
        raise InvalidConfig(
            [BadInput("invalid_config", f"the config has {len(data)} keys", way_out=f"No stage has {MOST_KEYS} keys.")]
        )
    config_class = _class_of(data)
    try:
        config = config_class.model_validate(dict(data))
    except ValidationError as error:
        raise InvalidConfig([_problem(config_class, item) for item in error.errors()]) from None
    try:
        check_revision(get_preset(config.preset), config.revision)
    except BadInput as error:
        raise InvalidConfig([error]) from None
    return config


def check_revision(preset: Preset, revision: str | None) -> None:
    """Refuse a revision of what has none.

    Raises:
        BadInput: `revision_unused`.
    """
    if revision is not None and preset.repo is None:
        raise BadInput(
            "revision_unused",
            f"the weights of {preset.name} lie in a folder, which has no revisions"
            if preset.folder is not None
            else f"the weights of {preset.name} come from a package, which has no revisions",
            field="revision",
            value=revision,
            way_out="Leave revision empty, or choose a model that comes from the hub.",
        )


def stored_config(data: Mapping[str, Any]) -> RunConfig:
    """A config that was parsed before, e.g. a run's: its preset may be gone from the operator's file by now.

    What today's rules refuse is taken as it stands, so that the run can still be shown, ended and deleted.

    Raises:
        BadInput: `unknown_stage`.
    """
    config_class = stage_class(str(data.get("stage")))
    try:
        return config_class.model_validate(dict(data))
    except ValidationError:
        return config_class.model_construct(**as_stored(config_class, data))


def config_hash(config: RunConfig) -> str:
    """First 16 hex digits of the sha256 of the config's canonical JSON.

    Neither what is empty counts, nor a field that came later and says what was computed before it came: the hash of a
    stored config stays what it was.
    """
    before = meanings_before(type(config))
    values = {
        name: value
        for name, value in config.model_dump(mode="json", exclude_none=True).items()
        if name not in before or value != before[name]
    }
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def stage_class(stage: str) -> type[RunConfig]:
    """The config class of a stage.

    Raises:
        BadInput: `unknown_stage`.
    """
    config_class: type[RunConfig] = stage_named(stage).config
    return config_class


def _class_of(data: Mapping[str, Any]) -> type[RunConfig]:
    if "stage" not in data:
        raise InvalidConfig(
            [
                BadInput(
                    "invalid_config",
                    "the config names no stage",
                    field="stage",
                    way_out=f"Set it to one of: {stage_names()}.",
                )
            ]
        )
    try:
        return stage_class(data["stage"] if isinstance(data["stage"], str) else "")
    except BadInput as error:
        raise InvalidConfig([error]) from None


def _problem(config_class: type[RunConfig], item: Any) -> BadInput:
    field = ".".join(str(part) for part in item["loc"]) or None
    value = item["input"]
    if item["type"] == "extra_forbidden":
        known = list(config_class.model_fields)
        near = difflib.get_close_matches(str(field), known, n=1, cutoff=0.6)
        hint = f"Did you mean {near[0]}? " if near else ""
        return BadInput(
            "unknown_config_key",
            "the config has a key that its stage does not know",
            field=field,
            value=value,
            way_out=f"{hint}Keys of {config_class.__name__}: {', '.join(known)}.",
        )
    way_out = str(item.get("ctx", {}).get("way_out", ""))
    if not way_out and field in config_class.model_fields:
        way_out = " ".join((config_class.model_fields[field].description or "").split())
    return BadInput("invalid_config", _sentence(item["msg"]), field=field, value=value, way_out=way_out)


def _sentence(message: str) -> str:
    return message[:1].lower() + message[1:]
