"""What a finished training left, and what can be done with it."""

from backend.api.schemas import CheckpointOut, RunDetail
from dashboard.parts import api
from dashboard.parts.checkpoint import checkpoint_facts, launch_links, origin_link
from dashboard.parts.language import mark
from dashboard.parts.link_row import link_row
from dashboard.run.links import lineage_link


def checkpoint_view(run: RunDetail) -> None:
    """Links, facts, folder and files of the checkpoint."""
    with api.part_errors():
        checkpoint = api.client().checkpoint(run.id)
        next_links(checkpoint)
        checkpoint_facts(checkpoint)


def next_links(checkpoint: CheckpointOut) -> None:
    """What can be launched from the checkpoint, and its descent."""
    with link_row("checkpoint"):
        launch_links(checkpoint)
        if checkpoint.parent_id is not None:
            origin_link(
                checkpoint.parent_id,
                outside=checkpoint.parent_outside,
                of_run=mark("Its parent, the checkpoint of run {number}"),
                from_outside=mark("Its parent, the checkpoint {number} from outside"),
            )
        lineage_link(checkpoint.id)
