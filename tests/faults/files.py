"""Full disks and endless output."""

import os
import signal

from backend.api.client import ApiError
from memgen.contract.status import AttemptStatus as A
from memgen.contract.status import Cause, RunStatus
from tests.faults.house import House
from tests.faults.registry import fault
from tests.faults.trainer import FLOOD


@fault()
def line_of_100_megabytes(house: House) -> None:
    """The log is complete, beats were not late, and its end can be read at once."""
    run_id = house.launch("flooding", 10)
    house.fault()
    house.check(run_id, RunStatus.SUCCEEDED, [A.SUCCEEDED])
    house.recovered()
    assert house.folder(run_id, 1).log.stat().st_size > FLOOD
    with house.client() as client:
        assert "[10/10] right" in client.log(run_id, attempt=1, limit=2000).text


@fault(quick=True)
def disk_full_at_answers(house: House) -> None:
    """The run fails and says so; with room again it goes on after its last whole answer."""
    run_id = house.launch(questions=120)
    house.started(run_id, 20)
    house.fault()
    written = house.folder(run_id, 1).answers.stat().st_size
    with house.files_limited(house.supervisor(run_id, 1)["trainer_pid"], written):
        run = house.check(run_id, RunStatus.FAILED, [A.FAILED])
    assert run.cause == Cause.ERROR
    assert run.traceback is not None
    assert "OSError" in run.traceback
    with house.client() as client:
        client.resume(run_id)
    run = house.claimed(run_id, 2)
    house.recovered()
    assert run.attempts[1].resumes == 1
    house.check(run_id, RunStatus.SUCCEEDED, [A.FAILED, A.SUCCEEDED])


@fault()
def disk_full_at_the_database(house: House) -> None:
    """What can't be stored is refused, nothing is half-written, and with room again everything goes on."""
    run_id = house.launch(questions=80)
    house.started(run_id)
    pid = house.service_pid("backend")
    assert pid is not None
    with house.files_limited(pid, 4096):
        try:
            house.launch()
        except ApiError as error:
            assert (error.problem.status, error.code) == (507, "storage_failed")
        else:
            raise AssertionError("a run was taken that could not be stored")
    house.fault()
    house.started(run_id, 60)
    house.recovered()
    house.check(run_id, RunStatus.SUCCEEDED, [A.SUCCEEDED])
    assert house.rows("PRAGMA integrity_check") == [("ok",)]


@fault()
def trainer_with_an_error(house: House) -> None:
    """It is not tried again; its last traceback is shown."""
    run_id = house.launch("broken")
    house.fault()
    run = house.check(run_id, RunStatus.FAILED, [A.FAILED])
    house.recovered()
    assert run.traceback is not None
    assert run.traceback.rstrip().endswith("RuntimeError: this trainer breaks at its fourth question")


@fault()
def signal_to_the_whole_group(house: House) -> None:
    """A terminal that closes, or an administrator's TERM: saved and stopped, can be resumed."""
    run_id = house.launch(questions=600)
    house.started(run_id)
    house.fault()
    os.kill(house.supervisor(run_id, 1)["pid"], signal.SIGTERM)
    run = house.check(run_id, RunStatus.CANCELLED, [A.STOPPED])
    house.recovered()
    assert run.can_resume
