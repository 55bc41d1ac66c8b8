"""Names that become parts of paths: of presets, data sets, files of a checkpoint; and revisions of a repository.

Others choose them, so a name is taken only where it names one thing inside the folder that it is put into.
"""

import re

from memgen.contract.errors import BadInput

MOST_BYTES = 200  # of one name in UTF-8; file systems end at 255, and temporary names are longer
MOST_REVISION = 100
REVISION = r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*(/[A-Za-z0-9_][A-Za-z0-9_.\-]*)*$"
"""Commit, branch or tag (`main`, `refs/pr/1`), no part of which is `..` or hidden: the hub's cache has a file of it."""
REPOSITORY = r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*(/[A-Za-z0-9_][A-Za-z0-9_.\-]*)?$"
"""`name` or `owner/name` on the model hub."""


def is_revision(text: object) -> bool:
    """Whether a hub's or a trainer's word for a commit may be taken for one."""
    return isinstance(text, str) and len(text) <= MOST_REVISION and re.fullmatch(REVISION, text) is not None


def is_file_name(name: str) -> bool:
    """Whether the name is that of one visible file or folder, and can be printed."""
    return (
        name.isprintable()  # no NUL, no line break, no half of a surrogate pair, no mark that turns text around
        and name == name.strip()
        and not name.startswith(".")
        and not re.search(r"[/\\]", name)
        and 0 < len(name.encode()) <= MOST_BYTES
    )


def file_name(name: str, field: str) -> str:
    """The name, if it may become part of a path.

    Raises:
        BadInput: `unsafe_name`.
    """
    if not is_file_name(name):
        raise BadInput(
            "unsafe_name",
            "this name can't be that of a file or folder",
            field=field,
            value=ascii(name),
            way_out=f"Use a name of at most {MOST_BYTES} bytes without slashes that does not begin with a full stop.",
        )
    return name


def has_file_names(path: str) -> bool:
    """Whether all parts between the slashes are names of files or folders, as in `owner/model`."""
    return all(is_file_name(part) for part in path.split("/"))
