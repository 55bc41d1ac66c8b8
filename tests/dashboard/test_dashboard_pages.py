"""The pages over canned replies: what they show, send, and say when something is wrong."""

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import dashboard
from dashboard.parts.health import health_troubles
from dashboard.parts.run_actions import LEFT_BEHIND

MAIN = Path(dashboard.__file__).parent / "main.py"


def open_page(page: str = "", **query: str) -> AppTest:
    """A page as a visitor with this address sees it."""
    app = AppTest.from_file(str(MAIN), default_timeout=30)
    if page:
        app.run()
        app.switch_page(f"app_pages/{page}.py")
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    return app


def shown(app: AppTest) -> str:
    """All text of a page, in one string."""
    parts: list[Any] = [*app.title, *app.subheader, *app.markdown, *app.caption, *app.error, *app.warning]
    parts += [*app.info, *app.code, *app.text]
    return "\n".join(str(part.value) for part in parts)


def button_keys(app: AppTest) -> set[str | None]:
    """Keys of the buttons on a page."""
    return {button.key for button in app.button}


def test_no_runs_invite_to_launch(backend: Any) -> None:
    assert "No runs yet" in shown(open_page())


def test_files_that_a_deletion_left_behind_are_named_once(backend: Any) -> None:
    app = open_page()
    app.session_state[LEFT_BEHIND] = ["runs/1: Operation not permitted"]
    assert "- runs/1\\: Operation not permitted" in shown(app.run())
    assert "could not be removed" not in shown(app.run())


def test_filter_from_the_address_reaches_the_backend(backend: Any) -> None:
    backend.add_run(1, "failed")
    backend.add_run(2, "succeeded")
    app = open_page(status="failed")
    assert app.dataframe[0].value["run"].tolist() == [1]
    assert "status=failed" in str(backend.asked[-1].url)


def test_filter_without_match_says_so(backend: Any) -> None:
    backend.add_run(1, "failed")
    app = open_page()
    app.selectbox(key="status").select("running").run()
    assert "No run matches" in shown(app)
    assert app.query_params["status"] in ("running", ["running"])


@pytest.mark.parametrize(("page", "query"), [("", {}), ("launch", {}), ("run", {"run": "1"})])
def test_backend_that_does_not_answer_is_said_calmly(backend: Any, page: str, query: dict[str, str]) -> None:
    backend.down = True
    text = shown(open_page(page, **query))
    assert "does not answer" in text
    assert "make up" in text


def test_launch_sends_the_form_and_opens_the_run(backend: Any) -> None:
    app = open_page("launch")
    app.number_input(key="config_num_questions").set_value(30)
    app.text_input(key="launch_note").set_value("by a test").run()
    app.button(key="launch").click().run()
    assert not app.exception
    (key, body) = backend.submitted[0]
    assert len(key) == 32
    assert body["config"]["num_questions"] == 30
    assert body["config"]["stage"] == "evaluate"
    assert body["note"] == "by a test"
    assert "Run 101" in shown(app)


def test_same_form_keeps_its_key_and_a_changed_form_gets_another(backend: Any) -> None:
    app = open_page("launch")
    first = app.session_state["launch_idempotency"][1]
    app.run()
    assert app.session_state["launch_idempotency"][1] == first
    app.number_input(key="config_batch_size").set_value(4).run()
    assert app.session_state["launch_idempotency"][1] != first


def test_problem_switches_the_button_off_and_says_why(backend: Any) -> None:
    backend.problems = [{"code": "x", "message": "too large", "field": "batch_size", "value": "8", "way_out": "Halve."}]
    app = open_page("launch")
    assert app.button(key="launch").disabled
    assert "**batch\\_size** \\= 8" in shown(app) or "**batch\\_size** = 8" in shown(app)
    assert "Solve the problem" in shown(app)


def test_launch_again_starts_from_the_settings_of_the_run(backend: Any) -> None:
    config = {
        "stage": "evaluate",
        "preset": "Qwen/Qwen3-14B",
        "num_questions": 7,
        "seed": 5,
        "split": "train",
    }
    backend.add_run(3, config=config, note="old words")
    app = open_page("launch", **{"from": "3"})
    assert app.selectbox(key="config_preset").value == "Qwen/Qwen3-14B"
    assert app.number_input(key="config_num_questions").value == 7
    assert app.number_input(key="config_seed").value == 5
    assert app.text_input(key="launch_note").value == ""


def test_run_that_does_not_exist_is_said(backend: Any) -> None:
    assert "no run 99" in shown(open_page("run", run="99"))
    assert "not the number" in shown(open_page("run", run="../x"))
    assert "No run is chosen" in shown(open_page("run"))


def test_failed_run_shows_cause_field_and_traceback(backend: Any) -> None:
    failure = {
        "code": "oom",
        "message": "no memory",
        "field": "batch_size",
        "value": "64",
        "way_out": "Halve it.",
    }
    backend.add_run(
        4, "failed", cause="out_of_memory", cause_text="memory ran out", failure=failure, exit_code=-9,
        traceback="Traceback: $x$ *y*", resume_reason="Nothing was saved.",
    )  # fmt: skip
    app = open_page("run", run="4")
    text = shown(app)
    for part in (
        "memory ran out",
        "batch\\_size",
        "Halve",
        "signal 9",
        "Traceback: $x$ *y*",
        "Nothing was saved",
    ):
        assert part in text
    assert app.button(key="resume").disabled
    assert {"retry", "delete"} <= button_keys(app)
    assert "stop" not in button_keys(app)


@pytest.mark.parametrize(
    ("warnings", "said"),
    [
        (["the hub is away"], "The hub is away."),
        (["the hub is away", "*half* is left out."], "- The hub is away.\n- \\*half\\* is left out."),
    ],
)
def test_what_the_trainer_warned_of_stands_at_the_top(backend: Any, warnings: list[str], said: str) -> None:
    backend.add_run(3, warnings=warnings)
    assert [warning.value for warning in open_page("run", run="3").warning] == [said]


def test_queued_run_says_why_it_waits_and_can_only_be_stopped(backend: Any) -> None:
    backend.add_run(5, "queued", waits_for="no slot is free")
    app = open_page("run", run="5")
    assert "no slot is free" in shown(app)
    assert "stop" in button_keys(app)
    assert not {"delete", "resume", "retry"} & button_keys(app)


def test_model_text_is_shown_as_plain_text(backend: Any) -> None:
    backend.add_run(6)
    completion = "**bold** $\\frac{1}{2}$ <script>x</script> \\boxed{3}"
    backend.answers = [{
        "id": "gsm8k:0", "index": 0, "question": "How *many*? Question: is that one?",
        "prompt": [{"role": "user", "content": "Solve. Question: How *many*? Question: is that one?\n"}],
        "solution": "#### 3", "completion": completion, "metrics": {"accuracy": 1.0, "format_ok": 1.0},
        "completion_tokens": 9, "truncated": False, "seconds": 1.5,
    }]  # fmt: skip
    app = open_page("run", run="6", tab="Answers")
    assert completion in [code.value for code in app.code]
    assert [text.value for text in app.text] == ["How *many*? Question: is that one?"]
    assert not any("frac" in markdown.value for markdown in app.markdown)


def test_run_of_an_older_scorer_can_be_rescored_and_shows_both_versions(backend: Any) -> None:
    old, new = {"accuracy": 0.25, "num_questions": 4}, {"accuracy": 0.5, "num_questions": 4}
    backend.add_run(1, summary=old, scorer_version=1, can_rescore=True, scorings=[{"version": 1, "summary": old}])
    app = open_page("run", run="1")
    assert "version 1" in shown(app)
    app.button(key="rescore").click().run()
    assert backend.rescored == [1]
    assert "rescore" not in button_keys(app)
    both = [{"version": 1, "summary": old}, {"version": 2, "summary": new}]
    backend.runs[1] |= {"summary": new, "scorings": both}
    app = open_page("run", run="1", tab="Answers")
    assert "version 2" in shown(app)
    assert "By version 1" in shown(app)
    assert "scorer_version=2" in str(backend.asked[-1].url)


def test_note_with_markdown_is_escaped(backend: Any) -> None:
    backend.add_run(7, note="[x](http://evil.example) $a$")
    assert "\\[x\\]\\(http" in shown(open_page("run", run="7"))


def test_health_troubles_are_sentences() -> None:
    from backend.api.schemas import HealthOut

    troubles = health_troubles(
        HealthOut(
            status="degraded",
            version="1",
            database="ok",
            broker="refused",
            reconciler_age_seconds=None,
            workers_alive=0,
            home_free_bytes=10,
        )
    )
    assert len(troubles) == 4
    assert "refused" in troubles[0]


def test_files_tab_tells_the_disk_use_and_deletes_nothing(backend: Any) -> None:
    backend.add_run(1)
    assert "nothing yet" in shown(open_page("run", run="1", tab="Files"))
    backend.files = ["runs/1", "evaluate/gsm8k/m/1"]
    text = shown(open_page("run", run="1", tab="Files"))
    assert "On disk: 12 MB" in text or "On disk: 12.3 MB" in text
    assert "evaluate/gsm8k/m/1" in text
