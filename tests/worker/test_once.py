"""`python -m worker --once TICKET` with a real backend and a scripted trainer, without a batch system."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.api.schemas import RunDetail
from backend.api.ticket import Ticket, write_ticket
from backend.launcher.stack import busy_slots
from backend.services import jobs
from backend.store.models import Job
from memgen.contract.machine import slots_dir
from memgen.contract.service_files import job_slot
from memgen.contract.status import AttemptStatus, Cause, RunStatus
from tests.running_stack import wait_until
from tests.worker.conftest import House
from worker.__main__ import main
from worker.slots import Slot, SlotLock


@pytest.fixture
def hand_in(house: House, tiny_config: dict[str, object], tmp_path: Path) -> Callable[..., tuple[int, Path]]:
    """Submits a run as if for a site, and writes the ticket of its job; returns the run's number and the file."""

    def make(**changes: object) -> tuple[int, Path]:
        run_id = house.user.submit(tiny_config | {"num_questions": 2}).id
        context = house.context
        with context.database.write() as session:
            job = Job(run_id=run_id, attempt=1, site="lab", phase="pending", tried_at=0.0)
            job.ticket_hash, job.ticket_until = jobs.hash_token("t" * 32), context.clock() + 60
            session.add(job)
            session.flush()
            number = job.id
        ticket = Ticket(
            job=number, token="t" * 32, url=house.settings.backend_url, instance=context.instance, home=context.home,
            device="cpu",
        )  # fmt: skip
        path = tmp_path / "ticket"
        write_ticket(path, ticket.model_copy(update=changes))
        return run_id, path

    return make


def newest(house: House, run_id: int) -> RunDetail:
    return house.user.run(run_id)


def test_worker_does_the_run_of_its_ticket_and_ends(house: House, hand_in: Callable[..., tuple[int, Path]]) -> None:
    house.write_script("answer(0); answer(1); finish()")
    house.user.submit(dict(newest(house, hand_in()[0]).config))  # another run waits, and is not its business
    run_id, path = hand_in()
    assert main(["--once", str(path)]) == 0
    run = newest(house, run_id)
    assert (run.status, run.attempts[0].slot) == (RunStatus.SUCCEEDED, "job-2")
    assert not path.exists()
    assert list(slots_dir(house.settings.home).glob("slot-job-*")) == []
    assert [one.status for one in house.user.runs().items].count(RunStatus.QUEUED) == 2


def test_signal_saves_and_ends_the_attempt_while_the_run_goes_on(
    house: House, hand_in: Callable[..., tuple[int, Path]]
) -> None:
    house.write_script("answer(0); wait_for_stop(); sys.exit(3)")
    run_id, path = hand_in()
    process = subprocess.Popen([sys.executable, "-m", "worker", "--once", str(path)], env=dict(os.environ))
    wait_until(lambda: house.user.answers(run_id).counts["all"] == 1, 30, "an answer")
    process.send_signal(signal.SIGUSR1)
    assert process.wait(20) == 0
    run = newest(house, run_id)
    assert (run.status, run.num_attempts) == (RunStatus.QUEUED, 2)
    assert (run.attempts[0].status, run.attempts[0].cause) == (AttemptStatus.STOPPED, Cause.INTERRUPTED)
    assert run.attempts[1].resumes == 1


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.chmod(0o640), "others than this user may read"),
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_text("{}"), "it holds no ticket"),
    ],
)
def test_ticket_that_is_not_ours_alone_is_refused(
    house: House,
    hand_in: Callable[..., tuple[int, Path]],
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], object],
    words: str,
) -> None:
    run_id, path = hand_in()
    spoil(path)
    assert main(["--once", str(path)]) == 2
    assert words in capsys.readouterr().err
    assert newest(house, run_id).status is RunStatus.QUEUED


def test_ticket_that_was_used_ends_the_worker_with_a_word(
    house: House, hand_in: Callable[..., tuple[int, Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    run_id, path = hand_in(token="x" * 32)
    assert main(["--once", str(path)]) == 1
    assert "was used, or is too old" in capsys.readouterr().err
    assert newest(house, run_id).status is RunStatus.QUEUED


def test_job_that_was_to_have_a_gpu_and_sees_none_leaves_the_run_alone(
    house: House, hand_in: Callable[..., tuple[int, Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    run_id, path = hand_in(device="cuda")
    assert main(["--once", str(path)]) == 2
    assert "none can be used here" in capsys.readouterr().err
    assert newest(house, run_id).status is RunStatus.QUEUED


def test_what_a_batch_system_has_lent_is_no_slot_that_the_end_of_our_services_waits_for(home: Path) -> None:
    lent, ours = SlotLock(home, Slot("cpu"), job_slot(1)), SlotLock(home, Slot("cpu"))
    assert lent.take()
    assert busy_slots(home) == []
    assert ours.take(), "a job and a slot of a worker don't stand in each other's way"
    assert busy_slots(home) == ["cpu"]
    lent.release()
    ours.release()
