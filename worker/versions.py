"""What this worker works with, as it is installed; nothing of it is imported."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version

from backend.api.schemas import Versions


@cache
def installed_versions() -> Versions:
    """Those of this installation. An upgrade while a process lives changes nothing of what it works with."""
    return Versions.of_this(torch=_version("torch"), transformers=_version("transformers"))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
