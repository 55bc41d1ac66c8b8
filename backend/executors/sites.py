"""The operator's file of sites (`MEMGEN_SITES`): where runs may go beside the workers of this service."""

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backend.errors import NotFound
from backend.executors import EXECUTORS
from backend.executors.executor import Site
from memgen.contract.errors import BadInput, first_error

SETTING = "MEMGEN_SITES"
MOST_BYTES = 2**20


def load_sites(path: Path | None, home: Path) -> dict[str, Site]:
    """The sites by their names, in the file's order; none without a file. A file that has changed is read again.

    Args:
        path: TOML, a table for each site.
        home: folder of everything, in which no site may keep its tickets.

    Raises:
        BadInput: `bad_sites_file`, with the first thing that is wrong.
    """
    if path is None:
        return {}
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise _unusable(path, f"the file of sites can't be read: {error.strerror}") from error
    return _read(path, home, changed)


def find_site(sites: Mapping[str, Site], name: str | None) -> Site | None:
    """The site of this name; None for the workers of this service.

    Raises:
        NotFound: `unknown_site`.
    """
    if name is None or name in sites:
        return None if name is None else sites[name]
    raise NotFound(
        "unknown_site",
        "there is no site of this name",
        field="site",
        value=name,
        way_out=f"Known: {', '.join(sites) or 'none'}. Leave it out to let the workers of this service do the run; "
        f"operators describe sites in the file that {SETTING} names.",
    )


@lru_cache(maxsize=4)
def _read(path: Path, home: Path, _mtime_ns: int) -> dict[str, Site]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise _unusable(path, f"the file of sites is longer than {MOST_BYTES:,} bytes")
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _unusable(path, f"the file of sites can't be read: {error}") from error
    return {name: _site(path, home, name, table) for name, table in tables.items()}


def _site(path: Path, home: Path, name: str, table: Any) -> Site:
    if not isinstance(table, dict):
        raise _unusable(path, "the file of sites holds a table for each site and nothing else", name)
    classes = {one.name: one.site for one in EXECUTORS if one.site is not None}
    executor = table.get("executor")
    kind = classes.get(executor) if isinstance(executor, str) else None
    if kind is None:
        known = ", ".join(classes)
        raise _unusable(path, f"site {name} needs an executor that is one of: {known}", executor)
    try:
        site = kind.model_validate({**table, "name": name}, context={"folder": path.parent})
    except ValidationError as error:
        raise _unusable(path, f"site {name} can't be used: {first_error(error)}") from None
    if site.folder.resolve().is_relative_to(home.resolve()):
        message = f"the folder of site {name} lies inside MEMGEN_HOME, whose backups would hold its tickets"
        raise _unusable(path, message, site.folder)
    return site


def _unusable(path: Path, message: str, value: object = None) -> BadInput:
    way_out = f"Mend the file, see docs/cluster.md, or unset {SETTING}."
    return BadInput("bad_sites_file", message, field=SETTING, value=path if value is None else value, way_out=way_out)
