"""The search: by number, note, tag, model, data set and stage, bounded in rows."""

from typing import Any

from sqlalchemy import insert

from backend.store.models import Run, RunTag
from tests.backend.conftest import Backend
from tests.backend.views.test_sorted_lists import ROW, store


def hits(backend: Backend, text: str, **params: Any) -> list[tuple[str, Any]]:
    return [(one["kind"], one["number"] or one["name"]) for one in backend.get("/search", text=text, **params)["items"]]


def test_number_finds_the_run_the_pipeline_and_the_checkpoint(backend: Backend) -> None:
    backend.submit(stage="weaver_sft", num_questions=8)
    training = backend.work()
    backend.submit_pipeline()
    assert hits(backend, "1")[:3] == [("run", training), ("pipeline", 1), ("checkpoint", training)]
    assert hits(backend, "run 1")[0] == hits(backend, "#1")[0] == ("run", training)
    assert hits(backend, "Pipeline 1")[0] == ("pipeline", 1)
    assert hits(backend, "9" * 18) == []


def test_words_are_found_in_notes_tags_models_data_sets_and_stages_and_all_must_be_there(backend: Backend) -> None:
    store(
        backend,
        {"note": "Long answers"},
        {"preset": "HuggingFaceTB/SmolLM2-135M-Instruct", "note": "long"},
        {"stage": "weaver_sft", "setting": ""},
        {"data": "gsm8k"},
    )
    backend.user("POST", "/runs/tags", json={"runs": [4], "add": ["Paper"], "confirm": True})
    assert hits(backend, "LONG") == [("run", 2), ("run", 1)]
    assert hits(backend, "long smollm2") == [("run", 2)]
    assert hits(backend, "weaver_sft") == [("run", 3)]
    assert ("run", 4) in hits(backend, "gsm8k") and ("data set", "gsm8k") in hits(backend, "gsm8k")
    assert hits(backend, "pap") == [("tag", "Paper"), ("run", 4)]
    assert ("model", "HuggingFaceTB/SmolLM2-135M-Instruct") in hits(backend, "135m smol")
    assert hits(backend, "100%_") == hits(backend, "   ") == []


def test_archive_is_searched_and_says_so(backend: Backend) -> None:
    store(backend, {"note": "old"})
    backend.user("POST", "/runs/archive", json={"runs": [1], "confirm": True})
    (hit,) = backend.get("/search", text="old")["items"]
    assert (hit["number"], hit["archived"], hit["status"]) == (1, True, "succeeded")


def test_ten_thousand_runs_give_the_newest_few_and_say_that_there_are_more(backend: Backend) -> None:
    row = ROW | {"preset": "m", "status": "succeeded", "config": backend.config, "created_at": 0.0, "summary": {}}
    with backend.context.database.write() as session:
        session.execute(insert(Run), [{**row, "note": f"number {number} of many"} for number in range(10_000)])
        session.execute(insert(RunTag), [{"run_id": n, "key": "t", "name": "t"} for n in range(1, 10_001)])
    reply = backend.get("/search", text="many", limit=8)
    assert [hit["number"] for hit in reply["items"]] == list(range(10_000, 9_992, -1))
    assert reply["more"]
    assert backend.get("/search", text="number 7 zzz")["items"] == []
