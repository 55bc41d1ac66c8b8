"""Runs that go to a site whose batch system is a sheet of paper: what is handed in, and what becomes of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import select

from backend.executors import sites as sites_file
from backend.services import jobs
from backend.store.models import Job
from tests.backend.conftest import API, MEMORY, SLOT, VERSIONS, Backend, Held, check_problem
from tests.paper_site import WITH_PAPER, Paper, PaperSite

FILE = """
[lab]
executor = "paper"
folder = "{folder}"
{more}
[[lab.sizes]]
name = "small"
memory_gib = 2
[[lab.sizes]]
name = "large"
memory_gib = 64
"""


class Lab:
    """A backend with one site, and the sheet of its batch system."""

    def __init__(self, backend: Backend, file: Path, folder: Path, paper: Paper) -> None:
        self.backend, self.file, self.folder, self.paper = backend, file, folder, paper

    def submit(self, **more: Any) -> int:
        body = {"config": self.backend.config, "site": "lab", **more}
        reply = self.backend.user("POST", "/runs", json=body)
        assert reply.status_code == 201, reply.text
        return int(reply.json()["id"])

    def round(self, seconds: float = 1.0) -> None:
        self.backend.clock.pass_time(seconds)
        self.backend.context.dispatcher.round()

    def handed_in(self, **more: Any) -> int:
        run_id = self.submit(**more)
        self.round()
        return run_id

    def why(self, run_id: int) -> str:
        return str(self.backend.run(run_id)["waits_for"])

    def status(self, run_id: int) -> str:
        return str(self.backend.run(run_id)["status"])

    def ticket(self, job: int = 1) -> dict[str, Any]:
        (path,) = self.folder.glob(f"*-{job}.ticket")
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def ask(self, job: int, token: str, free_memory: int = MEMORY, **more: Any) -> httpx.Response:
        body = {"host": "node7", "boot_id": "n", "pid": 9, "slot": SLOT | {"name": f"job-{job}"}, "versions": VERSIONS}
        return self.backend.http.post(
            f"{API}/worker/jobs/{job}/claim", json={**body, "free_memory": free_memory, **more},
            headers={"Authorization": f"Bearer {token}"},
        )  # fmt: skip

    def begun(self, job: int = 1) -> Held:
        """Slurm has started the job, and its worker has claimed."""
        self.rows()[job - 1].phase = "running"
        reply = self.ask(job, self.ticket(job)["token"])
        assert reply.status_code == 200, reply.text
        a = reply.json()
        names = ("attempt_id", "run_id", "number", "token", "resumes", "placement", "checkpoint")
        return Held(self.backend.http, *(a[name] for name in names))

    def rows(self) -> list[Any]:
        return list(self.paper.rows.values())

    def open_jobs(self) -> list[str]:
        with self.backend.context.database.read() as session:
            return [job.phase for job in session.exec(select(Job)) if job.closed_at is None]


@pytest.fixture
def lab(start: Callable[..., Backend], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setattr(sites_file, "EXECUTORS", WITH_PAPER)
    monkeypatch.setattr("backend.views.sites.EXECUTORS", WITH_PAPER)
    monkeypatch.setattr(PaperSite, "paper", Paper())
    file, folder = tmp_path / "sites.toml", tmp_path / "jobs"
    file.write_text(FILE.format(folder=folder, more=""))
    return Lab(start(sites=file, retry_pause_seconds=0), file, folder, PaperSite.paper)


def test_run_of_a_site_is_no_work_for_our_workers_and_stands_before_none_of_their_runs(lab: Lab) -> None:
    run_id = lab.submit()
    assert lab.backend.claim() is None
    assert lab.why(run_id) == "It is handed in at site lab within seconds."
    ours = lab.backend.submit()
    assert "before it" not in lab.why(ours)
    assert lab.backend.held().run_id == ours


def test_nothing_is_handed_in_at_a_drained_site_while_what_it_has_goes_on(lab: Lab) -> None:
    first = lab.handed_in()
    reply = lab.backend.user("POST", "/sites/drain", json={"site": "lab", "drained": True})
    assert [site["drained"] for site in reply.json()["items"]] == [True]
    second = lab.handed_in()
    assert len(lab.paper.rows) == 1
    assert lab.why(second).startswith("Site lab is drained: nothing is handed in there before")
    held = lab.begun()
    held.answer(*range(6))
    held.finish(result={"accuracy": 1})
    lab.round()
    assert (lab.status(first), lab.status(second)) == ("succeeded", "queued")
    lab.backend.user("POST", "/sites/drain", json={"site": "lab", "drained": False})
    lab.round()
    assert len(lab.paper.rows) == 2
    reply = lab.backend.user("POST", "/sites/drain", json={"site": "moon", "drained": True})
    check_problem(reply, 404, "unknown_site")


def test_job_on_a_node_with_another_version_is_refused_by_name_and_keeps_its_ticket(lab: Lab) -> None:
    lab.handed_in()
    token = lab.ticket()["token"]
    problem = check_problem(lab.ask(1, token, versions=VERSIONS | {"memgen": "9.9"}), 409, "other_version")
    assert "Machine node7 has version 9.9" in problem["title"]
    assert lab.ask(1, token).status_code == 200


def test_run_is_handed_in_once_claimed_with_its_ticket_and_ends_like_any_other(lab: Lab) -> None:
    run_id = lab.handed_in()
    assert lab.why(run_id) == "Job 100 of site lab is pending: it was handed in just now."
    lab.round()
    assert lab.why(run_id) == "Job 100 of site lab is pending: nobody has read it yet."
    assert len(lab.paper.rows) == 1
    order = lab.rows()[0].order
    (path,) = lab.folder.glob("*.ticket")
    assert (order.size.name, order.command[1:]) == ("small", ["-m", "worker", "--once", str(path)])
    held = lab.begun()
    lab.rows()[0].phase = "ended"
    lab.round()
    held.answer(*range(6))
    assert held.finish(result={"accuracy": 1}).status_code == 200
    lab.round()
    run = lab.backend.run(run_id)
    assert (run["status"], run["site"], run["attempts"][0]["job"], run["attempts"][0]["slot"]) == (
        "succeeded", "lab", "100", "job-1",
    )  # fmt: skip
    assert (lab.open_jobs(), list(lab.folder.glob("*.ticket")), lab.paper.cancelled) == ([], [], [])


def test_ticket_claims_its_own_attempt_once_and_nothing_else(lab: Lab) -> None:
    first, second = lab.submit(), lab.submit()
    lab.round()
    mine, other = lab.ticket(1), lab.ticket(2)
    assert (mine["job"], mine["device"], mine["home"]) == (1, "cpu", str(lab.backend.home))
    context = lab.backend.context
    for token in (other["token"], context.user_token, context.worker_token, "x" * 32):
        check_problem(lab.ask(1, token), 401, "wrong_token")
    check_problem(lab.ask(99, mine["token"]), 401, "wrong_token")
    for path in ("claim", "look", "announce"):
        headers = {"Authorization": f"Bearer {mine['token']}"}
        check_problem(lab.backend.http.post(f"{API}/worker/{path}", headers=headers), 401, "wrong_token")
    assert lab.begun(1).run_id == first
    check_problem(lab.ask(1, mine["token"]), 401, "wrong_token")
    assert lab.begun(2).run_id == second


def test_ticket_grows_old_and_is_renewed_while_its_job_is_pending(lab: Lab) -> None:
    lab.handed_in()
    old = lab.ticket()["token"]
    lab.round(13 * 3600)
    new = lab.ticket()["token"]
    assert new != old
    check_problem(lab.ask(1, old), 401, "wrong_token")
    lab.backend.clock.pass_time(25 * 3600)
    check_problem(lab.ask(1, new), 401, "wrong_token")
    lab.round()
    assert lab.ask(1, lab.ticket()["token"]).status_code == 200


def test_machine_with_too_little_memory_does_not_get_the_run(lab: Lab) -> None:
    lab.handed_in()
    check_problem(lab.ask(1, lab.ticket()["token"], free_memory=2**20), 409, "does_not_fit")
    assert lab.begun().number == 1


def test_site_gets_so_many_jobs_at_the_same_time_the_most_urgent_first(lab: Lab) -> None:
    lab.file.write_text(FILE.format(folder=lab.folder, more="most_jobs = 1"))
    ids = [lab.submit() for _ in range(3)]
    lab.backend.user("POST", f"/runs/{ids[2]}/priority", json={"priority": 1})
    lab.round()
    assert lab.why(ids[2]).startswith("Job 100")
    assert lab.why(ids[1]) == "Site lab has as many jobs of ours as it may have (1), and 2 runs stand before it."
    lab.backend.stop(ids[2])
    lab.round()
    assert lab.paper.cancelled == ["100"]
    assert lab.why(ids[0]) == "Job 101 of site lab is pending: it was handed in just now."


def test_paused_queue_hands_nothing_in(lab: Lab) -> None:
    lab.backend.user("POST", "/queue/pause", json={"paused": True})
    run_id = lab.handed_in()
    assert (lab.paper.rows, lab.why(run_id)) == ({}, "The queue is paused.")
    lab.backend.user("POST", "/queue/pause", json={"paused": False})
    lab.round()
    assert len(lab.paper.rows) == 1


def test_run_gets_the_first_size_that_holds_it_and_waits_where_none_does(lab: Lab) -> None:
    text = FILE.format(folder=lab.folder, more="")
    lab.file.write_text(text.replace("memory_gib = 2", "memory_gib = 0.001"))
    lab.handed_in()
    assert lab.rows()[0].order.size.name == "large"
    lab.file.write_text(
        text.replace("memory_gib = 2", "memory_gib = 0.001").replace("memory_gib = 64", "memory_gib = 0.01")
    )
    waiting = lab.handed_in()
    assert "it needs more than any of its sizes has; the largest is large with 1 x 0.0 GiB" in lab.why(waiting)
    lab.file.write_text(text)
    lab.round(60)
    assert [row.order.size.name for row in lab.rows()] == ["large", "small"]


def test_refusal_is_shown_and_tried_again_ever_more_seldom(lab: Lab) -> None:
    lab.paper.refuses = "no such partition"
    run_id = lab.handed_in()
    assert lab.why(run_id) == "Site lab does not take it: no such partition. It is asked again in 10 s."
    lab.round(5)
    assert lab.why(run_id).endswith("in 5 s.")
    lab.round(6)
    assert lab.why(run_id).endswith("in 20 s.")
    lab.paper.refuses = ""
    lab.round(21)
    assert lab.begun().run_id == run_id


def test_silent_site_keeps_what_it_has_and_gets_what_waits_when_it_speaks_again(lab: Lab) -> None:
    first = lab.handed_in()
    held = lab.begun()
    lab.paper.silent = True
    second = lab.handed_in()
    lab.round(300)
    assert "Site lab has not answered for 300 s: the sheet is lost. What it has goes on" in lab.why(second)
    assert held.beat().status_code == 200
    assert (lab.status(first), lab.status(second)) == ("running", "queued")
    lab.paper.silent = False
    lab.round(60)
    assert (lab.why(second), lab.backend.get("/sites")["items"][0]["trouble"]) == (
        "Job 101 of site lab is pending: it was handed in just now.", None,
    )  # fmt: skip


def test_order_whose_reply_was_lost_is_found_by_its_name_and_not_handed_in_twice(lab: Lab) -> None:
    lab.paper.loses_replies = True
    run_id, other = lab.submit(), lab.submit()
    lab.round()
    lab.paper.loses_replies = False
    lab.round(60)
    lab.round()
    assert len(lab.paper.rows) == 2
    assert lab.why(run_id).startswith("Job 100")
    assert lab.why(other).startswith("Job 101")


def test_order_that_nobody_took_is_handed_in_again(lab: Lab) -> None:
    lab.paper.loses_replies = True
    run_id = lab.handed_in()
    lab.paper.rows.clear()
    lab.paper.loses_replies = False
    lab.round(30)
    assert lab.why(run_id) == "It is being handed in at site lab."
    lab.round(61)
    lab.round(30)
    assert lab.begun().run_id == run_id


def test_second_job_of_one_name_is_cancelled(lab: Lab) -> None:
    lab.handed_in()
    lab.paper.rows["777"] = type(lab.rows()[0])(lab.rows()[0].order)
    lab.round()
    assert lab.paper.cancelled == ["777"]
    assert lab.paper.rows["100"].phase == "pending"


def test_job_that_vanishes_before_it_begins_is_handed_in_again_while_retries_are_left(lab: Lab) -> None:
    run_id = lab.handed_in()
    for tries in range(3):
        assert (lab.status(run_id), len(lab.paper.rows)) == ("queued", 1)
        lab.paper.rows.clear()
        lab.round()
        assert lab.status(run_id) == "queued", tries
        lab.round(jobs.VANISHED_SECONDS)
    run = lab.backend.run(run_id)
    assert (run["status"], run["cause"], run["num_attempts"], lab.open_jobs()) == ("failed", "job", 1, [])
    assert run["failure"]["message"] == (
        "Job 100 of site lab has ended before it began with the run: it is not there any more. No retry is left."
    )
    assert lab.backend.user("POST", f"/runs/{run_id}/retry", json={}).status_code == 200
    lab.round()
    reply = lab.ask(4, lab.ticket(4)["token"])
    assert (reply.status_code, reply.json()["number"]) == (200, 2)


def test_job_that_is_cancelled_there_cancels_its_run_whether_it_has_begun_or_not(lab: Lab) -> None:
    pending, working = lab.submit(), lab.submit()
    lab.round()
    held = lab.begun(2)
    held.answer(0)
    for row in lab.rows():
        row.phase = "cancelled"
    lab.round()
    assert (lab.status(pending), lab.status(working)) == ("cancelled", "running")
    held.finish("stopped", "interrupted", exit_code=3)
    assert "on its way out of site lab" in lab.why(working)
    lab.round()
    run = lab.backend.run(working)
    assert (run["status"], run["can_resume"], [one["status"] for one in run["attempts"]]) == (
        "cancelled", True, ["stopped", "stopped"],
    )  # fmt: skip
    assert (lab.open_jobs(), lab.paper.cancelled) == ([], [])


def test_run_whose_time_is_over_goes_on_in_another_job_for_nothing_while_it_gets_further(lab: Lab) -> None:
    run_id = lab.handed_in()
    for number in range(1, 6):
        held = lab.begun(number)
        assert held.number == number
        held.answer(*range(number))
        held.finish("stopped", "interrupted", exit_code=3)
        lab.rows()[-1].phase = "ended"
        lab.round()
        lab.round()
    held = lab.begun(6)
    assert held.resumes == 5
    held.answer(*range(6))
    held.finish(result={"accuracy": 1})
    assert lab.status(run_id) == "succeeded"


def test_run_whose_time_is_never_enough_to_get_further_fails_and_says_so(lab: Lab) -> None:
    run_id = lab.handed_in()
    for number in range(1, 4):
        lab.begun(number).finish("stopped", "interrupted", exit_code=3)
        lab.rows()[-1].phase = "ended"
        lab.round()
        lab.round()
    run = lab.backend.run(run_id)
    assert (run["status"], run["failure"]["code"], run["num_attempts"]) == ("failed", "no_progress", 3)


def test_lost_attempt_gets_another_job_and_the_old_one_is_cancelled(lab: Lab) -> None:
    run_id = lab.handed_in()
    held = lab.begun()
    held.answer(0, 1)
    for _ in range(14):  # rounds as they come while the backend lives, over more than a lease
        lab.backend.reconciler.round()
        lab.backend.clock.pass_time(5)
    assert lab.backend.run(run_id)["attempts"][0]["status"] == "lost"
    lab.round()
    assert lab.paper.cancelled == ["100"]
    lab.round()
    assert lab.begun(2).resumes == 1
    check_problem(held.beat(), 409, "stale_attempt")


def test_stop_of_a_run_at_work_waits_for_its_report_before_its_job_is_cancelled(lab: Lab) -> None:
    run_id = lab.handed_in()
    held = lab.begun()
    lab.round()
    lab.backend.stop(run_id)
    lab.round()
    assert (held.beat().json()["stop"], lab.paper.cancelled) == ("save", [])
    held.finish("stopped", "interrupted", exit_code=3)  # a signal that came as well changes nothing
    assert lab.status(run_id) == "cancelled"
    lab.round()
    assert lab.paper.cancelled == []
    lab.round(jobs.TIME_TO_END)
    assert (lab.paper.cancelled, lab.open_jobs()) == (["100"], [])


def test_jobs_of_a_site_outlive_the_backend(lab: Lab, start: Callable[..., Backend]) -> None:
    run_id = lab.handed_in()
    lab.backend.context.database.close()
    again = Lab(start(lab.backend.clock, sites=lab.file), lab.file, lab.folder, lab.paper)
    again.round()
    assert len(lab.paper.rows) == 1
    assert again.begun().run_id == run_id


def test_pipeline_goes_to_its_site_as_a_whole(lab: Lab) -> None:
    pipeline = lab.backend.submit_pipeline(site="lab", include=["base_eval", "weaver_sft", "weaver_eval"])
    assert {step["run"]["site"] for step in pipeline["steps"]} == {"lab"}
    lab.round()
    assert len(lab.paper.rows) == 2


def test_site_that_the_operator_takes_out_of_the_file_is_named_where_a_run_waits_for_it(lab: Lab) -> None:
    run_id = lab.submit()
    lab.file.write_text("")
    lab.round()
    assert lab.why(run_id) == "Site lab is not in the file of sites any more (MEMGEN_SITES)."
    problem = check_problem(
        lab.backend.user("POST", "/runs", json={"config": lab.backend.config, "site": "lab"}), 404, "unknown_site"
    )
    assert (problem["field"], problem["value"]) == ("site", "lab")


def test_file_that_breaks_while_the_service_runs_leaves_the_sites_as_they_were(lab: Lab) -> None:
    lab.file.write_text("[lab")
    run_id = lab.handed_in()
    assert len(lab.paper.rows) == 1
    assert "can't be read" in lab.why(run_id)


def test_preflight_at_a_site_speaks_of_its_sizes(lab: Lab) -> None:
    reply = lab.backend.user("POST", "/preflight", json={"config": lab.backend.config, "site": "lab"}).json()
    assert reply["placement"].startswith("Fits on 2 of 2 sizes of site lab: in the machine's memory.")
    assert [(one["host"], one["slot"], one["state"]) for one in reply["slots"]] == [
        ("lab", "small", "free"), ("lab", "large", "free"),
    ]  # fmt: skip
    assert reply["starts"] == "Is handed in at site lab at once, and starts when a machine is free there."
    assert reply["warnings"] == []


def test_run_of_a_site_is_deleted_with_its_jobs(lab: Lab) -> None:
    run_id = lab.handed_in()
    lab.backend.stop(run_id)
    lab.round()
    assert lab.backend.user("DELETE", f"/runs/{run_id}", params={"confirm": True}).status_code == 200
    with lab.backend.context.database.read() as session:
        assert session.exec(select(Job)).all() == []


def test_body_without_a_site_has_the_key_of_versions_before(lab: Lab) -> None:
    body = {"config": lab.backend.config, "note": "", "site": None}
    first = lab.backend.user("POST", "/runs", json=body, headers={"Idempotency-Key": "k"}).json()
    del body["site"]
    again = lab.backend.user("POST", "/runs", json=body, headers={"Idempotency-Key": "k"}).json()
    assert again["id"] == first["id"]
