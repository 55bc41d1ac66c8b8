"""A Slurm that breaks while it has runs of ours: none is lost, none is done twice."""

import pytest

from memgen.contract.status import Cause, RunStatus
from tests.cluster.conftest import Lab
from tests.running_stack import wait_until


def test_controller_that_is_away_delays_what_is_handed_in_and_ends_nothing(lab: Lab) -> None:
    working = lab.submit(60)
    lab.working(working)
    lab.slurm.kill_controller()
    try:
        waiting = lab.submit()
        run = lab.when(waiting, lambda run: "has not answered" in (run.waits_for or ""), "the trouble")
        assert (run.waits_for or "").startswith("Site lab has not answered for")
        assert [site.trouble for site in lab.user.sites()] != [None]
        assert lab.ended(working).status is RunStatus.SUCCEEDED  # its reports need no Slurm
    finally:
        lab.slurm.start_controller()
    ended = lab.ended(waiting)
    assert (ended.status, ended.num_attempts) == (RunStatus.SUCCEEDED, 1)
    wait_until(lambda: [site.trouble for site in lab.user.sites()] == [None], 30, "the end of the trouble")


@pytest.mark.long
def test_node_that_loses_its_power_costs_a_retry_and_the_run_goes_on_once_it_is_back(lab: Lab) -> None:
    run_id = lab.submit(100)
    lab.working(run_id)
    lab.slurm.kill_node()
    try:
        lab.when(run_id, lambda run: run.num_attempts == 2, "the next attempt")
    finally:
        lab.slurm.start_node()
    ended = lab.ended(run_id)
    assert (ended.status, ended.attempts[0].cause, ended.attempts[1].resumes) == (RunStatus.SUCCEEDED, Cause.LOST, 1)
    assert [index for index, _ in lab.answers(run_id)] == list(range(100))


def test_backend_that_was_away_while_slurm_took_an_order_finds_it_by_its_name(lab: Lab) -> None:
    lab.describe('flags = ["--hold"]')
    run_id = lab.submit()
    job = lab.job(run_id)
    with lab.context.database.write() as session:  # as if it had died between sbatch and its transaction
        session.connection().exec_driver_sql("UPDATE job SET number = NULL, phase = 'submitting'")
    assert lab.job(run_id) == job
    lab.user.stop(run_id)


@pytest.mark.long
def test_thirty_runs_at_once_are_each_done_once(lab: Lab) -> None:
    lab.describe("most_jobs = 10")
    ids = [lab.submit() for _ in range(30)]

    def done() -> bool:
        assert len(lab.slurm.jobs()) <= 10
        return all(lab.user.run(run_id).status is RunStatus.SUCCEEDED for run_id in ids)

    wait_until(done, 280, "thirty runs", pause=0.5)
    runs = [lab.user.run(run_id) for run_id in ids]
    assert {run.num_attempts for run in runs} == {1}
    assert len({run.attempts[0].job for run in runs}) == 30
