"""Bringing the checkpoint that a training has left to a backend whose disk this machine does not share."""

from collections.abc import Callable
from pathlib import Path

from backend.api.client import ApiError, Client
from memgen.contract.manifest import CheckpointReport

PIECE = 4 * 2**20  # bytes of one request


def hand_in(
    client: Client, attempt_id: int, folder: Path, report: CheckpointReport, meanwhile: Callable[[], None]
) -> None:
    """Send what the backend lacks of a checkpoint, and let it take its place there.

    Args:
        client: with the attempt's token.
        attempt_id: of the attempt.
        folder: of the checkpoint.
        report: of it.
        meanwhile: is called between two pieces, to beat.

    Raises:
        ApiError: the backend does not take it.
        Unreachable: the backend is away; a second call goes on where this one ended.
    """
    received = client.output(attempt_id)
    for name, size in report.sizes.items():
        offset = received.get(name, 0)
        with (folder / name).open("rb") as file:
            while offset < size:
                file.seek(offset)
                offset = _send(client, attempt_id, name, offset, file.read(PIECE))
                meanwhile()
    client.place_output(attempt_id, report)


def _send(client: Client, attempt_id: int, name: str, offset: int, data: bytes) -> int:
    try:
        return client.send_output(attempt_id, name, offset, data)
    except ApiError as error:
        if error.code == "wrong_offset" and error.problem.value is not None:
            return int(error.problem.value)  # a reply was lost on its way: go on where the backend is
        raise
