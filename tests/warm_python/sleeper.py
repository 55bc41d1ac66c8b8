"""A process that tells what it was given, or its process id, and then waits for its end."""

import os
import signal
import sys
from pathlib import Path


def main() -> None:
    """Tell and, if asked to, sleep."""
    word, *more = sys.argv[1:]
    if word == "tell":
        umask = oct(os.umask(0))
        sys.stdout.write("\n".join([*more, os.environ["COLOUR"], str(Path.cwd()), umask, sys.executable]))
        return
    sys.stdout.write(f"{os.getpid()}\n")
    signal.pause()


if __name__ == "__main__":
    main()
