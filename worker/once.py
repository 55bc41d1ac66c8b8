"""`python -m worker --once TICKET`: one attempt on a machine that a batch system has lent for it.

There is no slot to serve and no bell to wait for: the machine is there for this attempt, which is claimed now that the
batch system has started us. A signal means that the machine is about to be taken away: the attempt saves and stops, and
the run goes on in another job.
"""

import logging
import os
from pathlib import Path

from backend.api.client import Client
from backend.api.schemas import ClaimRequest
from backend.api.ticket import Ticket, read_ticket
from memgen.contract.data_sets.registry import use_home
from memgen.contract.errors import BadInput
from memgen.contract.home import look_into_home
from memgen.contract.service_files import job_slot
from worker.card import Card
from worker.disks import shares_home
from worker.settings import Settings
from worker.slots import Slot, SlotLock, find_slots, threads_per_trainer
from worker.supervisor import Supervisor
from worker.work import AttemptWork

log = logging.getLogger("worker")


def work_once(ticket_file: Path) -> None:
    """Claim what a ticket is for, and work on it to its end, whatever that is.

    Raises:
        BadInput: the ticket, the home or the machine's GPUs can't be used.
        ApiError, Unreachable: the backend does not give it out.
    """
    ticket = read_ticket(ticket_file)
    os.environ["MEMGEN_HOME"] = str(ticket.home)
    settings = Settings.read(backend_url=ticket.url, memory_share="1")  # all of what was lent, whatever ours may be
    look_into_home(settings.home, as_owner=True)
    use_home(settings.home)
    slot = lent_slot(ticket)
    name = job_slot(ticket.job)
    lock = SlotLock(settings.home, slot, name)
    if not lock.take():
        raise BadInput("job_twice", "this machine works on this job already", field="--once", value=ticket_file)
    try:
        _check_cards(slot, settings, lock)
        with Client(ticket.url, ticket.token, instance=ticket.instance) as client:
            attempt = client.claim_job(ticket.job, claim_of(slot, name))
        ticket_file.unlink(missing_ok=True)
        log.info("attempt %s of run %s, as job %s", attempt.number, attempt.run_id, ticket.job)
        with Client(ticket.url, attempt.token, instance=ticket.instance) as client:
            shares = shares_home(settings.home, ticket.instance)
            work = AttemptWork(settings, attempt, client, shares_home=shares)
            Supervisor(settings, slot, lock, work, client, lent_threads(), is_lent=True).work()
    finally:
        lock.path.unlink(missing_ok=True)  # no other job has its name
        lock.release()


def lent_slot(ticket: Ticket) -> Slot:
    """The GPUs that the batch system lets us see, as one slot; the processor for a job that asked for none.

    Raises:
        BadInput: `no_gpu`, if the job was to have GPUs and sees none.
    """
    if ticket.device == "cpu":
        return Slot("cpu")
    names = [slot.name for slot in find_slots() if slot.devices]
    if not names:
        raise BadInput(
            "no_gpu",
            "the job was to have a GPU, and none can be used here",
            field="--once",
            way_out="Let the flags of the site's size ask for one, e.g. `--gres=gpu:1`, and see that its driver works.",
        )
    whole = [name for name in names if name.isdecimal()]
    return Slot(",".join(whole) if whole else names[0])  # a trainer uses one instance of a partitioned GPU


def lent_threads() -> int:
    """CPU threads of the trainer: not more than the job was given, where the batch system says so and does no more."""
    cores, given = threads_per_trainer(1), os.environ.get("SLURM_CPUS_ON_NODE", "")
    return max(1, min(cores, int(given))) if given.isdecimal() else cores


def claim_of(slot: Slot, name: str) -> ClaimRequest:
    """The question for the attempt; the slot is called after the job, as machines lend the same GPU to many."""
    request = slot.claim()
    return request.model_copy(update={"slot": request.slot.model_copy(update={"name": name})})


def _check_cards(slot: Slot, settings: Settings, lock: SlotLock) -> None:
    """Leave the attempt alone where the machine's GPUs don't work: another job may get a better one."""
    command = settings.probe_words(has_gpus=bool(slot.devices))
    reason = Card(slot, command, lock.path, settings.probe_seconds).ask() if command else None
    if reason is not None:
        raise BadInput(**dict(reason))
