"""What each of our processes does first, whatever it was started from."""

import io
import os
import sys


def begin_process() -> None:
    """Keep what the process writes to its owner, and let no text that it prints end it.

    The umask reaches all files, also those of libraries and of child processes. A stream that knows only ASCII, or text
    that is no valid Unicode, is printed with escapes.
    """
    os.umask(0o077)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
