"""Settings of launches that are kept under a name."""

from typing import Any

import pytest

from backend.services import saved_launches
from backend.store.models import SavedLaunch
from memgen.contract.config import parse_config
from memgen.contract.pipeline import PipelineSpec, plan_pipeline
from tests.backend.conftest import Backend, check_problem

TRAINING = {"stage": "weaver_sft", "preset": "tiny/qwen2-242k", "data": "wordproblems"}


def put(backend: Backend, name: str, **body: Any) -> Any:
    return backend.user("PUT", f"/saved-launches/{name}", json=body)


def names(backend: Backend) -> list[str]:
    return [one["name"] for one in backend.get("/saved-launches")["items"]]


def test_config_is_kept_whole_and_listed_by_name(backend: Backend) -> None:
    assert put(backend, "second", config=backend.config, note="small").status_code == 200
    assert put(backend, "First", config=TRAINING).status_code == 200
    first, second = backend.get("/saved-launches")["items"]
    assert (first["name"], second["name"], second["note"]) == ("First", "second", "small")
    assert first["config"] == parse_config(TRAINING).model_dump(mode="json")
    assert backend.user("DELETE", "/saved-launches/First").json() == {"name": "First"}
    assert names(backend) == ["second"]
    check_problem(backend.user("DELETE", "/saved-launches/First"), 404, "saved_launch_not_found")


@pytest.mark.parametrize("name", [" a", "a ", "..", ".a", "a%0Ab", "a<b>", "%E2%80%AEa", "a" * 61, "-", "'"])
def test_bad_name_is_refused_with_what_a_name_may_have(backend: Backend, name: str) -> None:
    reply = put(backend, name, config=backend.config)
    if reply.status_code != 404:  # `..` is no path of ours
        check_problem(reply, 422, "bad_name")
    assert names(backend) == []


@pytest.mark.parametrize("name", ["a", "Qwen 1.5B, long (2)", "가중치 1", "r=16"])
def test_good_names_are_kept(backend: Backend, name: str) -> None:
    assert put(backend, name, config=backend.config).status_code == 200
    assert names(backend) == [name]


def test_other_settings_of_a_name_are_replaced_only_where_that_is_asked_for(backend: Backend) -> None:
    assert put(backend, "mine", config=backend.config).status_code == 200
    assert put(backend, "mine", config=backend.config).status_code == 200
    check_problem(put(backend, "mine", config=TRAINING), 409, "name_taken")
    assert backend.get("/saved-launches")["items"][0]["config"]["stage"] == "evaluate"
    assert put(backend, "mine", config=TRAINING, replace=True).json()["config"]["stage"] == "weaver_sft"


def test_what_can_not_be_launched_is_not_kept(backend: Backend) -> None:
    check_problem(put(backend, "a", config=backend.config | {"seed": -1}), 422, "invalid_config")
    check_problem(put(backend, "a"), 422, "bad_saved_launch")
    check_problem(put(backend, "a", config=backend.config, pipeline=backend.spec()), 422, "bad_saved_launch")
    wrong = backend.spec(steps={"ltpo_eval": {"seed": 7}})
    check_problem(put(backend, "a", pipeline=wrong), 422, "steps_disagree")
    assert names(backend) == []


def test_no_more_than_so_many_are_kept(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_launches, "MOST", 1)
    put(backend, "a", config=backend.config)
    check_problem(put(backend, "b", config=backend.config), 409, "too_many_saved")
    assert put(backend, "a", config=TRAINING, replace=True).status_code == 200


def test_config_of_a_version_before_is_opened_with_what_it_meant(backend: Backend) -> None:
    put(backend, "old", config=TRAINING)
    with backend.context.database.write() as session:
        row = session.get_one(SavedLaunch, "old")
        row.config = {name: value for name, value in (row.config or {}).items() if name != "micro_batch_size"}
        session.add(row)
    config = backend.get("/saved-launches")["items"][0]["config"]
    assert (config["micro_batch_size"], parse_config(TRAINING).micro_batch_size) == (None, "auto")  # type: ignore[attr-defined]


def test_pipeline_of_a_version_before_is_opened_with_what_it_meant(backend: Backend) -> None:
    spec = backend.spec(steps={"weaver_sft": {"max_steps": 3}})
    assert put(backend, "old", pipeline=spec).json()["pipeline"] == PipelineSpec.model_validate(spec).model_dump(
        mode="json"
    )
    with backend.context.database.write() as session:
        row = session.get_one(SavedLaunch, "old")
        configs = {name: dict(config) for name, config in (row.step_configs or {}).items()}
        del configs["weaver_sft"]["micro_batch_size"]  # which came later
        configs["ltpo_eval"]["sigma"] = 0.25  # as if that had been the default
        row.step_configs = configs
        session.add(row)
    opened = PipelineSpec.model_validate(backend.get("/saved-launches")["items"][0]["pipeline"])
    assert opened.steps == {"weaver_sft": {"max_steps": 3, "micro_batch_size": None}, "ltpo_eval": {"sigma": 0.25}}
    assert plan_pipeline(opened)["ltpo_eval"].sigma == 0.25  # type: ignore[attr-defined]
