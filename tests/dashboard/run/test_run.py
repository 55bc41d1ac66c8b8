"""The page of a run: what it is, why it failed or waits, its answers and files."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dashboard.run.runs_table import runs_frame
from memgen.contract.rundir import attempt_dir
from memgen.scoring import SCORER_VERSIONS
from tests.backend.conftest import answer_line
from tests.dashboard.pages import button_keys, open_page, popovers, shown, tiles
from tests.dashboard.studio import Studio

SCORER_VERSION = SCORER_VERSIONS["number"]  # of the kind that our data sets have
ENVIRONMENT = {"model": "folder:1", "prompt_hash": "p", "scorer_version": SCORER_VERSION}


def test_run_that_does_not_exist_is_said(studio: Studio) -> None:
    assert "no run 99" in shown(open_page("run", run="99"))
    assert "not the number" in shown(open_page("run", run="../x"))
    assert "No run is chosen" in shown(open_page("run"))


def test_failed_run_shows_cause_field_and_traceback(studio: Studio) -> None:
    failure = {"code": "oom", "message": "no memory", "field": "batch_size", "value": "64", "way_out": "Halve it."}
    studio.claimed().finish(
        "failed", "killed", failure=failure, exit_code=-9, traceback="Traceback: $x$ *y*"
    )  # fmt: skip
    app = open_page("run", run="1")
    text = shown(app)
    for part in (
        "killed by a signal",
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
    ("warnings", "label", "texts"),
    [
        (["the hub is away"], "1 warning", ["- The hub is away."]),
        (
            ["the hub is away", "*half* is left out."],
            "2 warnings",
            ["- The hub is away.", "- \\*half\\* is left out."],
        ),
    ],
)
def test_warnings_of_the_trainer_are_folded_to_their_count(
    studio: Studio, warnings: list[str], label: str, texts: list[str]
) -> None:
    held = studio.claimed()
    held.say(*({"event": "warning", "code": "x", "message": message} for message in warnings))
    app = open_page("run", run="1")
    assert label in popovers(app)
    assert [one.value for one in app.markdown if one.value.startswith("- ")] == texts


def test_queued_run_says_why_it_waits_and_can_only_be_stopped(studio: Studio) -> None:
    studio.submit()
    app = open_page("run", run="1")
    assert "**Waits:** No worker is alive" in shown(app)
    assert "stop" in button_keys(app)
    assert not {"delete", "resume", "retry"} & button_keys(app)


def test_model_text_is_shown_as_plain_text(studio: Studio) -> None:
    completion = "**bold** $\\frac{1}{2}$ <script>x</script> \\boxed{3}"
    question = "How *many*? Question: is that one?"
    prompt = [{"role": "user", "content": f"Solve. Question: {question}\n"}]
    studio.evaluated(True, answers={0: {"question": question, "prompt": prompt, "completion": completion}})
    app = open_page("run", run="1", tab="Answers")
    assert completion in [code.value for code in app.code]
    assert [text.value for text in app.text] == [question]
    assert not any("frac" in markdown.value for markdown in app.markdown)


def test_answer_says_what_stood_in_the_place_of_the_weavers_latents(studio: Studio) -> None:
    insertions = [
        {"token": 0, "norm": 10.0, "used_norm": 9.0, "cosine": 0.5},
        {"token": 7, "norm": 20.0, "used_norm": 18.0, "cosine": 0.7},
    ]
    checks = [
        {"check": "latents of another question", "taken_from": "t:*9*", "insertions": insertions},
        {"check": "no latents", "taken_from": None, "insertions": []},
    ]
    weaver = str(studio.trained())
    run_id = studio.evaluated(
        True, False, True, answers={place: {"causal_check": check} for place, check in enumerate(checks)},
        setting="weaver", checkpoint=weaver, causal_check="other_question",
    )  # fmt: skip
    lines = {
        "1": "In place of the weaver's latents: latents of another question · question t:*9* · norm 15 → 13.5 · "
        "cosine +0.600",
        "2": "In place of the weaver's latents: no latents",
    }
    for number, line in lines.items():
        app = open_page("run", run=str(run_id), tab="Answers", answer=number)
        assert [one.value.replace("\\", "") for one in app.caption if "In place of" in one.value] == [line]
    assert "evaluate, weaver, latents of another question" in shown(app)


def test_run_is_named_by_the_trainings_that_made_its_checkpoint(studio: Studio) -> None:
    rewarded = studio.trained({"stage": "weaver_grpo", "batch_size": 8}, checkpoint=str(studio.trained()))
    run_id = studio.evaluated(True, setting="weaver", checkpoint=str(rewarded))
    text = shown(open_page("run", run=str(run_id))).replace("\\", "")
    assert "evaluate, weaver (weaver_sft + weaver_grpo)" in text
    (run,) = [one for one in studio.client.runs().items if one.id == run_id]
    (row,) = runs_frame([run], datetime.now(UTC)).to_dict("records")
    assert row["stage"] == "evaluate, weaver (weaver_sft + weaver_grpo)"


def test_answers_of_an_earlier_version_show_their_prompt_for_a_question(studio: Studio) -> None:
    studio.evaluated(True, answers={0: {"prompt": [{"role": "user", "content": "Question: How *many*?"}]}})
    assert [text.value for text in open_page("run", run="1", tab="Answers").text] == ["Question: How *many*?"]


def test_run_of_an_older_scorer_can_be_rescored_and_shows_both_versions(studio: Studio) -> None:
    answers: dict[int, dict[str, Any]] = {index: {"completion": "\\boxed{4}"} for index in range(2)}
    studio.evaluated(True, False, answers=answers, environment={"scorer_version": 1})
    app = open_page("run", run="1")
    assert "version 1" in shown(app)
    app.button(key="rescore").click().run()
    assert studio.run(1)["scorer_version"] == SCORER_VERSION
    assert "rescore" not in button_keys(app)
    app = open_page("run", run="1")
    assert tiles(app)["Accuracy"].startswith("100.0 %")
    text = shown(app)
    assert f"version {SCORER_VERSION}" in text
    assert "By version 1" in text
    assert "50\\.0 %" in text
    open_page("run", run="1", tab="Answers")
    assert studio.wire.query("/runs/1/answers")["scorer_version"] == str(SCORER_VERSION)


def test_note_with_markdown_is_escaped(studio: Studio) -> None:
    studio.submit(note="[x](http://evil.example) $a$")
    app = open_page("run", run="1")
    assert any(label.startswith("\\[x\\]\\(http") for label in popovers(app))


def test_files_tab_tells_the_disk_use_and_deletes_nothing(studio: Studio) -> None:
    studio.submit()
    assert "nothing yet" in shown(open_page("run", run="1", tab="Settings", part="Files"))
    folder = attempt_dir(studio.home, 1, 1, "evaluate").path
    folder.mkdir(parents=True)
    with (folder / "log.txt").open("wb") as file:
        file.truncate(12_300_000)
    text = shown(open_page("run", run="1", tab="Settings", part="Files"))
    assert "On disk: 12 MB" in text
    assert "runs/1" in text
    assert folder.is_dir()


@pytest.mark.parametrize(
    ("asked", "opened"), [("", "Overview"), ("Config", "Settings"), ("Attempts", "History"), ("Log", "Log")]
)
def test_run_opens_on_its_overview_or_on_the_tab_of_the_address(studio: Studio, asked: str, opened: str) -> None:
    failed = studio.failed()
    app = open_page("run", run=str(failed), **({"tab": asked} if asked else {}))
    assert app.session_state["tab"] == opened
    assert [tab.label for tab in app.tabs] == ["Overview", "Metrics", "Answers", "Log", "Settings", "History"]


def test_note_is_changed_in_its_place(studio: Studio) -> None:
    studio.submit(note="first")
    app = open_page("run", run="1")
    app.text_input(key="note_of_1").set_value(" *second* ").run()
    app.button(key="save_note").click().run()
    assert studio.run(1)["note"] == "*second*"
    assert "\\*second\\*" in popovers(app)


def test_evaluation_of_a_pipeline_says_its_accuracy_with_interval_and_change(studio: Studio) -> None:
    studio.submit_pipeline(include=["base_eval", "weaver_sft", "weaver_eval"])
    for right in ([False] * 4, None, [True] * 4):
        held = studio.held()
        if right is not None:
            lines = [answer_line(index, right=value) for index, value in enumerate(right)]
            assert held.send("answers", b"".join(lines)).status_code == 200
        result = {"steps": 2.0} if right is None else {"num_questions": 4.0, "accuracy": float(all(right))}
        studio.complete(held, result=result, environment=ENVIRONMENT)
        studio.reconciler.round()
    app = open_page("run", run="3")
    (accuracy,) = [tile for tile in app.metric if tile.label == "Accuracy"]
    assert str(accuracy.value).replace("\\", "") == "100.0 % (51.0 to 100.0)"
    assert accuracy.delta == "+100.0 points (+100.0 to +100.0)"
    app.run()
    assert studio.wire.paths().count("GET /compare") == 1
    assert [tile.delta for tile in open_page("run", run="1").metric if tile.label == "Accuracy"] == [""]


def test_last_known_values_stay_while_the_backend_is_away(studio: Studio) -> None:
    held = studio.claimed()
    held.answer(0, 1)
    app = open_page("run", run="1")
    before = tiles(app)
    assert before["Questions so far"] == "2"
    studio.wire.down = True
    app.run()
    assert "does not answer" in shown(app)
    assert "known last" in shown(app)
    assert tiles(app) == before
    studio.wire.down = False
    held.answer(2)
    app.run()
    assert "does not answer" not in shown(app)
    assert tiles(app)["Questions so far"] == "3"


def test_run_that_is_deleted_meanwhile_is_said(studio: Studio) -> None:
    failed = studio.failed()
    app = open_page("run", run=str(failed))
    studio.client.delete(failed, confirm=True)
    app.run()
    assert "may have been deleted" in shown(app)
    assert "GET /api" not in shown(app)
