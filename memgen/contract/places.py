"""Settings that name a file or a folder: one reader, so that every process finds the same place."""

from pathlib import Path

from memgen.contract.errors import BadInput


def path_of(value: str | None, setting: str) -> Path | None:
    """The absolute path that a setting names: `~` is a home folder, a relative path begins at the current folder.

    Args:
        value: of the variable.
        setting: its name, for the error.

    Returns:
        None if it is not set, empty or blank.

    Raises:
        BadInput: `bad_setting`.
    """
    text = (value or "").strip()
    if not text:
        return None
    try:
        text.encode()  # bytes that are no UTF-8 could stand in no reply and no config
        return Path(text).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:  # no such user; links in a circle; a character of no path
        raise BadInput(
            "bad_setting",
            f"this is no path that can be used: {error}",
            field=setting,
            value=ascii(text)[1:-1],
            way_out="Write an absolute path, or unset it.",
        ) from error
