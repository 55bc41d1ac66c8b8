"""Why a message was not taken."""


class NotTaken(Exception):
    """A try that has failed; the text is a sentence for people that holds no secret.

    Args:
        reason: the sentence.
        retry_after: seconds after which the receiver wants to be asked again, if it said so.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
