"""The real trainer with a pause after each step of generation: the tiny model's runs last on fast machines, too."""

import os
import time

# more threads win nothing on a tiny model and cost much beside another process; read when torch is imported
os.environ["MEMGEN_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

from memgen import cli
from memgen.stages.answer_book import AnswerBook

STEP_SECONDS = 0.01


def main() -> None:
    """Run `memgen` with steps of generation that last a little."""
    told = AnswerBook.tell_step

    def tell_slowly(book: AnswerBook) -> None:
        """Tell a step after a pause."""
        time.sleep(STEP_SECONDS)
        told(book)

    AnswerBook.tell_step = tell_slowly  # type: ignore[method-assign]
    cli.main()


if __name__ == "__main__":
    main()
