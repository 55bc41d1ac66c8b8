"""The real trainer with a pause after each token: runs of the tiny model last long enough on fast machines, too."""

import time

from memgen.cli import main
from memgen.stages.answer_book import AnswerBook

TOKEN_SECONDS = 0.01
told = AnswerBook.tell_token


def tell_slowly(book: AnswerBook, tokens: int) -> None:
    """Tell a token after a pause."""
    time.sleep(TOKEN_SECONDS)
    told(book, tokens)


AnswerBook.tell_token = tell_slowly  # type: ignore[method-assign]
main()
