"""Tags and groups: told before they are changed, one spelling each, found by lists, gone with their run."""

from typing import Any

import pytest

from backend.services import tags as tag_service
from tests.backend.conftest import Backend, check_problem


def tag(backend: Backend, runs: list[int], *, what: str = "runs", confirm: bool = True, **more: Any) -> Any:
    reply = backend.user("POST", f"/{what}/tags", json={what: runs, "confirm": confirm, **more})
    assert reply.status_code == 200, reply.text
    return reply.json()


def outcomes(reply: Any) -> list[str]:
    return [one["problem"]["code"] if one["problem"] else one["outcome"] for one in reply["items"]]


def tags_of(backend: Backend, run_id: int) -> tuple[list[str], str | None]:
    run = backend.run(run_id)
    return run["tags"], run["group"]


def listed(backend: Backend, path: str = "/runs", **params: Any) -> list[int]:
    return [one["id"] for one in backend.get(path, **params)["items"]]


def test_preview_changes_nothing_and_names_what_is_not_there(backend: Backend) -> None:
    run_id = backend.submit()
    reply = tag(backend, [run_id, 99, run_id], add=["7B"], confirm=False)
    assert (reply["confirmed"], outcomes(reply)) == (False, ["changes its tags", "run_not_found"])
    assert tags_of(backend, run_id) == ([], None)


def test_tags_are_added_taken_away_and_listed_with_how_often_they_are_used(backend: Backend) -> None:
    first, second = backend.submit(), backend.submit()
    tag(backend, [first, second], add=["lr 1e-5", "Paper"])
    tag(backend, [second], remove=["PAPER"])
    assert [tags_of(backend, one)[0] for one in (first, second)] == [["lr 1e-5", "Paper"], ["lr 1e-5"]]
    counts = {one["name"]: one["num_runs"] for one in backend.get("/tags")["items"]}
    assert counts == {"lr 1e-5": 2, "Paper": 1}
    assert outcomes(tag(backend, [first], add=["paper"])) == ["has these tags already"]


def test_tag_in_another_spelling_is_the_same_tag_as_it_was_spelled_first(backend: Backend) -> None:
    first, second = backend.submit(), backend.submit()
    tag(backend, [first], add=["Größe"])
    tag(backend, [second], add=["  GRÖSSE "])
    assert tags_of(backend, second)[0] == ["Größe"]
    assert listed(backend, tag="größe") == [second, first]


def test_group_is_one_of_the_tags_and_a_run_has_one(backend: Backend) -> None:
    runs = [backend.submit() for _ in range(3)]
    tag(backend, runs[:2], add=["Paper"], group="lr sweep")
    tag(backend, [runs[1]], group="Other")
    assert [tags_of(backend, one) for one in runs] == [
        (["lr sweep", "Paper"], "lr sweep"), (["lr sweep", "Other", "Paper"], "Other"), ([], None),
    ]  # fmt: skip
    assert listed(backend, group="LR sweep") == [runs[0]]
    assert listed(backend, tag="lr sweep") == [runs[1], runs[0]]
    assert listed(backend, sort="group") == [runs[0], runs[1], runs[2]]
    tag(backend, [runs[0]], remove=["lr sweep"])
    tag(backend, [runs[1]], group="")
    assert [tags_of(backend, one)[1] for one in runs] == [None, None, None]


def test_several_tags_list_what_has_all_of_them(backend: Backend) -> None:
    both, one = backend.submit(), backend.submit()
    tag(backend, [both], add=["a", "b"])
    tag(backend, [one], add=["a"])
    assert listed(backend, tag="a,b") == [both]
    assert backend.get("/runs", tag="a")["total"] == 2
    assert backend.get("/runs/numbers", tag="a") == {"runs": [one, both], "total": 2}


@pytest.mark.parametrize("word", ["", " ", "-x", "a,b", "x" * 41, "a\nb\x00", "<b>", "👍"])
def test_what_can_not_be_a_tag_is_refused(backend: Backend, word: str) -> None:
    run_id = backend.submit()
    body = {"runs": [run_id], "add": [word], "confirm": True}
    check_problem(backend.user("POST", "/runs/tags", json=body), 422, "bad_tag")


def test_change_of_nothing_is_refused(backend: Backend) -> None:
    check_problem(backend.user("POST", "/runs/tags", json={"runs": [1]}), 422, "nothing_to_change")


def test_run_has_a_bounded_number_of_tags(backend: Backend) -> None:
    run_id = backend.submit()
    most = tag_service.MOST_OF_ONE
    tag(backend, [run_id], add=[f"t{number}" for number in range(most)])
    assert outcomes(tag(backend, [run_id], add=["one more"])) == ["too_many_tags"]
    assert len(tags_of(backend, run_id)[0]) == most
    assert outcomes(tag(backend, [run_id], add=["one more"], remove=["t0"])) == ["changes its tags"]


def test_home_has_a_bounded_number_of_tags(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tag_service, "MOST", 2)
    run_id = backend.submit()
    tag(backend, [run_id], add=["a", "b"])
    body = {"runs": [run_id], "add": ["c"], "confirm": True}
    check_problem(backend.user("POST", "/runs/tags", json=body), 409, "too_many_tags")
    assert outcomes(tag(backend, [run_id], add=["B"])) == ["has these tags already"]


def test_tags_go_with_their_run_and_their_pipeline(backend: Backend) -> None:
    pipeline = backend.submit_pipeline()
    own = [step["run"]["id"] for step in pipeline["steps"]]
    tag(backend, own, add=["gone"])
    tag(backend, [pipeline["id"]], what="pipelines", add=["gone"])
    backend.user("POST", "/runs/stop", json={"runs": own, "confirm": True})
    assert backend.user("POST", "/runs/delete", json={"runs": own, "confirm": True}).json()["left"] == []
    assert backend.get("/tags")["items"] == []


def test_run_is_submitted_with_its_tags_and_group_or_not_at_all(backend: Backend) -> None:
    body = {"config": backend.config, "tags": ["Paper"], "group": "lr sweep"}
    run = backend.user("POST", "/runs", json=body).json()
    assert (run["tags"], run["group"]) == (["lr sweep", "Paper"], "lr sweep")
    check_problem(backend.user("POST", "/runs", json=body | {"tags": ["a,b"]}), 422, "bad_tag")
    assert listed(backend) == [run["id"]]


def test_pipeline_is_submitted_with_tags_that_all_its_runs_get_and_a_group(backend: Backend) -> None:
    before = backend.submit()
    body = backend.spec(tags=["Paper", "7B"], group="lr sweep")
    first, again = (
        backend.user("POST", "/pipelines", json=body, headers={"Idempotency-Key": "k"}).json() for _ in range(2)
    )
    assert first == again
    assert first["tags"] == ["7B", "lr sweep", "Paper"]
    assert "tags" not in first["spec"]  # they change, and what was asked for does not
    for step in first["steps"]:
        assert tags_of(backend, step["run"]["id"]) == (["7B", "lr sweep", "Paper"], "lr sweep")
    assert tags_of(backend, before) == ([], None)
    problem = check_problem(backend.user("POST", "/pipelines", json=body | {"tags": ["a,b"]}), 422, "bad_tag")
    assert problem["field"] == "tags"
    assert len(listed(backend, "/pipelines")) == 1


def test_run_that_a_new_pipeline_reuses_keeps_its_tags(backend: Backend) -> None:
    backend.submit(**backend.spec()["evaluations"])
    base = backend.work()
    pipeline = backend.submit_pipeline(reuse={"base_eval": base}, tags=["new"])
    assert tags_of(backend, base) == ([], None)
    assert tags_of(backend, pipeline["steps"][1]["run"]["id"])[0] == ["new"]


def test_pipelines_are_found_by_tag_and_by_text(backend: Backend) -> None:
    first, second = (backend.submit_pipeline(note=note)["id"] for note in ("for the paper", "other"))
    reply = tag(backend, [first, 99], what="pipelines", add=["7B"])
    assert outcomes(reply) == ["changes its tags", "pipeline_not_found"]
    assert listed(backend, "/pipelines", tag="7b") == [first]
    assert listed(backend, "/pipelines", text="OTHER") == [second]
    assert backend.get(f"/pipelines/{first}")["tags"] == ["7B"]


def test_numbers_of_all_pipelines_that_match_come_with_those_of_the_runs_they_submitted(backend: Backend) -> None:
    backend.submit(**backend.spec()["evaluations"])
    base = backend.work()
    first = backend.submit_pipeline(note="for the paper", reuse={"base_eval": base}, include=["weaver_sft"])
    second = backend.submit_pipeline(note="other", include=["base_eval"])
    runs = {one["id"]: [step["run"]["id"] for step in one["steps"] if not step["reused"]] for one in (first, second)}
    assert backend.get("/pipelines/numbers") == {
        "pipelines": [second["id"], first["id"]], "runs": [*runs[second["id"]], *runs[first["id"]]], "total": 2,
    }  # fmt: skip
    assert backend.get("/pipelines/numbers", text="paper") == {
        "pipelines": [first["id"]], "runs": runs[first["id"]], "total": 1,
    }  # fmt: skip
    assert backend.get("/pipelines/numbers", tag="none")["total"] == 0


def test_same_key_gets_the_same_reply(backend: Backend) -> None:
    body = {"runs": [backend.submit()], "add": ["a"], "confirm": True}
    first, again = (
        backend.user("POST", "/runs/tags", json=body, headers={"Idempotency-Key": "k"}).json() for _ in range(2)
    )
    assert first == again
