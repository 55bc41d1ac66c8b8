"""Runs at a real Slurm, from their submission to their end."""

from pathlib import Path

import pytest

from memgen.contract.status import AttemptStatus, Cause, RunStatus, StopMode
from tests.cluster.conftest import Lab
from tests.faults.trainer import answer

HELD = 'flags = ["--hold"]'


def test_run_waits_with_slurms_reason_and_succeeds_once_it_is_released(lab: Lab) -> None:
    lab.describe(HELD)
    run_id = lab.submit()
    run = lab.when(run_id, lambda run: "JobHeldUser" in (run.waits_for or ""), "Slurm's reason")
    job = lab.job(run_id)
    assert run.waits_for == (
        f"Job {job} of site lab is pending: it is held back; `scontrol release` lets it go (JobHeldUser)."
    )
    assert [one.waits_for for one in lab.user.queue().items] == [run.waits_for]
    assert (run.status, run.site) == (RunStatus.QUEUED, "lab")
    assert [(site.name, site.jobs, site.trouble) for site in lab.user.sites()] == [("lab", 1, None)]
    lab.slurm.command("scontrol", "release", job)
    ended = lab.ended(run_id)
    assert (ended.status, ended.num_attempts, ended.summary["accuracy"]) == (RunStatus.SUCCEEDED, 1, 1.0)
    assert (ended.attempts[0].job, ended.attempts[0].slot) == (job, "job-1")


def test_nothing_of_a_job_holds_a_secret_but_its_ticket_which_is_its_owners_alone(lab: Lab) -> None:
    lab.describe(HELD)
    run_id = lab.submit()
    job = lab.job(run_id)
    (ticket,) = lab.folder.glob("*.ticket")
    assert ticket.stat().st_mode & 0o777 == 0o600
    lab.slurm.command("scontrol", "release", job)
    lab.working(run_id, 1)
    script = lab.slurm.command("scontrol", "write", "batch_script", job, "-").stdout
    shown = lab.slurm.command("scontrol", "show", "job", "--details", job).stdout
    stored = b"".join(path.read_bytes() for path in (lab.slurm.folder / "state").rglob("*") if path.is_file())
    written = (script + shown).encode() + stored
    assert b"worker --once" in shown.encode()
    secrets = (lab.context.user_token, lab.context.worker_token)
    assert not [secret for secret in secrets if secret.encode() in written]
    lab.ended(run_id)


def test_stop_saves_and_a_resume_is_another_job_that_goes_on(lab: Lab) -> None:
    run_id = lab.submit(100)
    lab.working(run_id)
    lab.user.stop(run_id, StopMode.SAVE)
    stopped = lab.ended(run_id)
    assert (stopped.status, stopped.cause, stopped.can_resume) == (RunStatus.CANCELLED, Cause.STOPPED, True)
    lab.user.resume(run_id)
    ended = lab.ended(run_id)
    assert (ended.status, ended.attempts[1].resumes) == (RunStatus.SUCCEEDED, 1)
    assert ended.attempts[0].job != ended.attempts[1].job
    assert [index for index, _ in lab.answers(run_id)] == list(range(100))


def test_stop_of_a_run_that_slurm_has_not_begun_takes_its_job_out_of_the_queue(lab: Lab) -> None:
    lab.describe(HELD)
    run_id = lab.submit()
    lab.job(run_id)
    assert lab.user.stop(run_id).status is RunStatus.CANCELLED


def test_job_that_is_cancelled_at_slurm_while_it_is_pending_cancels_its_run(lab: Lab) -> None:
    lab.describe(HELD)
    run_id = lab.submit()
    job = lab.job(run_id)
    lab.slurm.command("scancel", job)
    ended = lab.ended(run_id)
    assert (ended.status, ended.cause, ended.num_attempts) == (RunStatus.CANCELLED, Cause.STOPPED, 1)
    assert lab.user.run_events(run_id).items[-1].detail == f"job {job} of site lab was cancelled there"


def test_job_that_is_cancelled_at_slurm_while_it_works_saves_and_cancels_its_run(lab: Lab) -> None:
    run_id = lab.submit(200)
    lab.working(run_id)
    lab.slurm.command("scancel", lab.job(run_id))
    ended = lab.ended(run_id)
    assert (ended.status, ended.cause, ended.can_resume) == (RunStatus.CANCELLED, Cause.STOPPED, True)
    assert ended.attempts[0].cause is Cause.INTERRUPTED
    assert lab.user.answers(run_id).counts["all"] >= 3


def test_signal_before_the_end_of_its_time_lets_a_run_go_on_in_another_job_to_the_same_result(lab: Lab) -> None:
    run_id = lab.submit(100)
    lab.working(run_id)
    first = lab.job(run_id)
    lab.slurm.command("scancel", "--batch", "--signal=USR1", first)  # what Slurm does then
    ended = lab.ended(run_id)
    assert (ended.status, ended.num_attempts) == (RunStatus.SUCCEEDED, 2)
    assert (ended.attempts[0].status, ended.attempts[0].cause) == (AttemptStatus.STOPPED, Cause.INTERRUPTED)
    assert (ended.attempts[1].resumes, ended.attempts[1].job != first) == (1, True)
    assert lab.answers(run_id) == [(index, answer(index).completion) for index in range(100)]
    assert (ended.summary["num_questions"], ended.summary["accuracy"]) == (100, 1.0)


def test_refusal_of_sbatch_is_the_reason_why_a_run_waits_until_the_operator_mends_the_file(lab: Lab) -> None:
    lab.describe('flags = ["--partition=nowhere"]')
    run_id = lab.submit()
    run = lab.when(run_id, lambda run: "does not take it" in (run.waits_for or ""), "the refusal")
    assert "invalid partition" in (run.waits_for or "").lower()
    assert not lab.slurm.jobs()
    lab.describe()
    assert lab.ended(run_id).status is RunStatus.SUCCEEDED


def test_job_that_can_not_start_its_worker_is_tried_again_and_then_fails_with_what_it_printed(lab: Lab) -> None:
    lab.describe(python="/nowhere/python")
    run_id = lab.submit()
    ended = lab.ended(run_id)
    assert (ended.status, ended.cause, ended.num_attempts) == (RunStatus.FAILED, Cause.JOB, 1)
    assert ended.failure is not None
    assert ended.failure.code == "job_failed"
    assert "/nowhere/python: No such file or directory" in ended.failure.message
    retried = [one for one in lab.user.run_events(run_id).items if one.kind == "job"]
    assert len(retried) == 2


def test_script_of_the_site_comes_before_the_worker(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "lab.sh").write_text(f'#!/bin/bash\nhostname > {tmp_path}/begun\nexec "$@"\n')
    lab.describe('template = "lab.sh"')
    assert lab.ended(lab.submit()).status is RunStatus.SUCCEEDED
    assert (tmp_path / "begun").exists()


def test_runs_beyond_the_sites_limit_wait_here(lab: Lab) -> None:
    lab.describe(f"{HELD}\nmost_jobs = 1")
    first, second = lab.submit(), lab.submit()
    lab.job(first)
    run = lab.when(second, lambda run: "as it may have" in (run.waits_for or ""), "the limit")
    assert run.waits_for == "Site lab has as many jobs of ours as it may have (1), and 1 run stands before it."
    assert len(lab.slurm.jobs()) == 1
    for run_id in (second, first):
        lab.user.stop(run_id)


@pytest.mark.long
def test_time_limit_of_slurm_itself_is_survived(lab: Lab) -> None:
    lab.describe('flags = ["--time=1"]')
    lab.sites_file.write_text(lab.sites_file.read_text().replace("signal_seconds = 30", "signal_seconds = 10"))
    run_id = lab.submit(70, seed=5)  # a question a second
    ended = None
    for _ in range(4):
        try:
            ended = lab.ended(run_id)
            break
        except AssertionError:
            continue
    assert ended is not None
    assert (ended.status, len(lab.answers(run_id))) == (RunStatus.SUCCEEDED, 70)
    assert [one.cause for one in ended.attempts[:-1]] == [Cause.INTERRUPTED] * (ended.num_attempts - 1)
    assert ended.num_attempts > 1
