"""A slot's card, as a file says that it is: what the worker asks in place of `python -m memgen probe`.

The file is named after the slot. It holds nothing where the card works, `hang` where its driver never answers, else the
words in which the answer says what is wrong. What the scripted trainers do on such a card is in `card_trainer`.
"""

import json
import os
import sys
import time
from pathlib import Path

CARDS = "FAULTS_CARDS"
"""Names the folder of the files."""
HANG = "hang"
LOST = "GPU 0 does not answer: GPU is lost"
FULL = "other programs hold 15.9 of the 16.0 GiB of GPU 0"


def words() -> str:
    """What is wrong with the card of the slot that this process works for; empty where it works."""
    slot = Path(os.environ["MEMGEN_SLOT_LOCK"]).stem.removeprefix("slot-")
    path = Path(os.environ[CARDS]) / slot
    return path.read_text() if path.exists() else ""


def main() -> int:
    """Answer as the probe does; returns the exit code."""
    said, parent = words(), os.getppid()
    while said == HANG and os.getppid() == parent:
        time.sleep(0.1)
    if said:
        sys.stdout.write(json.dumps({"code": "card_failed", "message": said, "way_out": "Mend the card."}) + "\n")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
