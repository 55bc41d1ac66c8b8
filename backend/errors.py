"""Kinds of errors of the service; `backend.http.problems` says what becomes of them on the wire."""

from memgen.contract.errors import BadInput

LARGEST_INTEGER = 2**63 - 1  # that the database can hold


class ServiceError(BadInput):
    """A request that can't be served."""

    retry_after: int | None = None
    """Seconds after which it may be sent again."""


class NotFound(ServiceError):
    """There is no such thing."""


class Conflict(ServiceError):
    """The thing is in a state that does not allow this."""


class Gone(ServiceError):
    """What was asked for was there once."""


class Unauthorized(ServiceError):
    """No token, or a wrong one."""


class Stale(Conflict):
    """A report of an attempt that no longer has its lease."""

    def __init__(self, message: str) -> None:
        super().__init__("stale_attempt", message, way_out="End the trainer; nothing of it is published.")


class WrongOffset(Conflict):
    """Bytes of a stream that do not follow what is there."""

    def __init__(self, offset: int) -> None:
        super().__init__(
            "wrong_offset",
            f"the stream goes on at byte {offset}",
            field="offset",
            value=offset,
            way_out=f"Send the bytes from {offset} on.",
        )


def no_such_run(run_id: int) -> NotFound:
    """The error for a run id that does not exist."""
    return NotFound(
        "run_not_found",
        "there is no run with this id",
        field="run_id",
        value=run_id,
        way_out="GET /api/v1/runs lists the runs.",
    )
