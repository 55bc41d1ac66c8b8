"""Settings that are kept under a name, for the commands that launch."""

from typing import Any

from backend.api.client import Client
from backend.api.schemas import SavedLaunch
from memgen.contract.errors import BadInput


def config_of(api: Client, name: str) -> dict[str, Any]:
    """The config of a run that is kept under this name.

    Raises:
        BadInput: `saved_launch_not_found`, `other_kind_saved`.
    """
    config = _named(api, name).config
    if config is None:
        raise _other_kind(name, "a pipeline", "memgen-studio pipeline run")
    return dict(config)


def pipeline_of(api: Client, name: str) -> dict[str, Any]:
    """The pipeline that is kept under this name.

    Raises:
        BadInput: `saved_launch_not_found`, `other_kind_saved`.
    """
    spec = _named(api, name).pipeline
    if spec is None:
        raise _other_kind(name, "a single run", "memgen-studio launch")
    return spec.model_dump(mode="json")


def _named(api: Client, name: str) -> SavedLaunch:
    every = api.saved_launches()
    settings = next((one for one in every if one.name == name), None)
    if settings is None:
        raise BadInput(
            "saved_launch_not_found",
            "no settings have this name",
            field="--saved",
            value=name,
            way_out=f"Names: {', '.join(one.name for one in every) or 'none is kept yet'}.",
        )
    return settings


def _other_kind(name: str, what: str, command: str) -> BadInput:
    return BadInput(
        "other_kind_saved",
        f"these are the settings of {what}",
        field="--saved",
        value=name,
        way_out=f"Launch them with `{command} --saved`.",
    )
