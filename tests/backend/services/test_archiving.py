"""The archive: out of lists, totals and offers, and nothing else of a run changes."""

from typing import Any

from tests.backend.conftest import Backend


def archive(backend: Backend, numbers: list[int], *, what: str = "runs", **more: Any) -> list[str]:
    body = {what: numbers, "confirm": True, **more}
    reply = backend.user("POST", f"/{what}/archive", json=body)
    assert reply.status_code == 200, reply.text
    return [one["problem"]["code"] if one["problem"] else one["outcome"] for one in reply.json()["items"]]


def listed(backend: Backend, path: str = "/runs", **params: Any) -> list[int]:
    return [one["id"] for one in backend.get(path, **params)["items"]]


def finished_pair(backend: Backend) -> tuple[int, int]:
    """A training with its checkpoint, and an evaluation of it."""
    backend.submit(stage="weaver_sft", num_questions=8)
    training = backend.work()
    evaluation = backend.submit(setting="weaver", checkpoint=str(training))
    backend.work()
    return training, evaluation


def test_archived_run_is_out_of_lists_and_totals_until_asked_for(backend: Backend) -> None:
    hidden, shown = backend.submit(), backend.submit()
    for run_id in (hidden, shown):
        backend.stop(run_id)
    assert archive(backend, [hidden], confirm=False) == ["goes into the archive"]
    assert listed(backend) == [shown, hidden]
    assert archive(backend, [hidden]) == ["goes into the archive"]
    assert (listed(backend), backend.get("/runs")["total"], backend.get("/home")["num_runs"]) == ([shown], 1, 1)
    assert listed(backend, archived="also") == [shown, hidden]
    assert listed(backend, archived="only") == [hidden]
    assert backend.get("/runs/numbers")["runs"] == [shown]
    assert backend.run(hidden)["archived"]
    assert backend.history(hidden)[-1]["detail"] == "put into the archive"


def test_what_runs_or_waits_is_refused_with_a_way_out_and_the_rest_goes(backend: Backend) -> None:
    queued, ended = backend.submit(), backend.submit()
    backend.stop(ended)
    assert archive(backend, [queued, ended, 99]) == ["run_not_ended", "goes into the archive", "run_not_found"]
    assert listed(backend) == [queued]


def test_taken_out_it_is_as_before(backend: Backend) -> None:
    run_id = backend.submit()
    backend.stop(run_id)
    before = backend.run(run_id)
    archive(backend, [run_id])
    assert archive(backend, [run_id]) == ["is in the archive already"]
    assert archive(backend, [run_id], archived=False) == ["comes out of the archive"]
    assert backend.run(run_id) == before
    assert listed(backend) == [run_id]


def test_lineage_comparisons_and_checkpoints_of_the_archive_stay_and_are_offered_no_more(backend: Backend) -> None:
    training, evaluation = finished_pair(backend)
    base = backend.submit()
    backend.work()
    paths = {
        "/lineage": {}, "/compare": {"runs": f"{base},{evaluation}"}, f"/checkpoints/{training}": {},
    }  # fmt: skip

    def shown() -> dict[str, Any]:
        replies = {path: backend.get(path, **params) for path, params in paths.items()}
        del replies["/lineage"]["cursor"]  # it has moved, whether or not anything looks different
        return replies

    before = shown()
    assert set(archive(backend, [training, evaluation])) == {"goes into the archive"}
    assert shown() == before
    query = {"preset": str(backend.config["preset"]), "data": str(backend.config["data"])}
    offered = backend.get("/pipelines/candidates", **query)["steps"]
    assert training not in [run["id"] for runs in offered.values() for run in runs]
    named = backend.get("/pipelines/candidates", **query, also=[training])["steps"]
    assert training in [run["id"] for run in named["weaver_sft"]]
    assert listed(backend, "/checkpoints") == []
    assert backend.get("/checkpoints/results")["total"] == 0
    assert backend.get("/checkpoints/results", archived="only")["total"] == 1
    child = backend.submit(setting="weaver", checkpoint=str(training))
    assert backend.run(child)["status"] == "queued"


def test_run_that_starts_again_leaves_the_archive(backend: Backend) -> None:
    run_id = backend.submit()
    backend.stop(run_id)
    archive(backend, [run_id])
    assert backend.user("POST", f"/runs/{run_id}/retry").status_code == 200
    assert listed(backend) == [run_id]


def test_pipeline_goes_into_the_archive_with_its_runs_and_comes_out_when_it_goes_on(backend: Backend) -> None:
    pipeline = backend.submit_pipeline()["id"]
    assert archive(backend, [pipeline], what="pipelines") == ["run_not_ended"]
    backend.user("POST", f"/pipelines/{pipeline}/stop", json={"mode": "save"})
    backend.reconciler.round()
    assert archive(backend, [pipeline], what="pipelines") == ["goes into the archive"]
    assert (listed(backend, "/pipelines"), listed(backend)) == ([], [])
    assert listed(backend, "/pipelines", archived="only") == [pipeline]
    assert archive(backend, [pipeline], what="pipelines", archived=False) == ["comes out of the archive"]
    assert len(listed(backend)) == 6
    archive(backend, [pipeline], what="pipelines")
    assert backend.user("POST", f"/pipelines/{pipeline}/continue").status_code == 200
    assert listed(backend, "/pipelines") == [pipeline]


def test_failure_in_the_archive_asks_for_no_attention(backend: Backend) -> None:
    backend.submit()
    failed = backend.work("failed")
    assert [one["run"]["id"] for one in backend.get("/home")["attention"]] == [failed]
    archive(backend, [failed])
    home = backend.get("/home")
    assert (home["attention"], home["num_failed"]) == ([], 0)
