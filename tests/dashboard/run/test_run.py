"""The page of a run: what it is, why it failed or waits, its answers and files."""

from typing import Any

import pytest

from memgen.contract.rundir import attempt_dir
from memgen.scoring import SCORER_VERSIONS
from tests.dashboard.pages import button_keys, open_page, shown
from tests.dashboard.studio import Studio

SCORER_VERSION = SCORER_VERSIONS["number"]  # of the kind that our data sets have


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
    ("warnings", "text"),
    [
        (["the hub is away"], "The hub is away."),
        (["the hub is away", "*half* is left out."], "- The hub is away.\n- \\*half\\* is left out."),
    ],
)
def test_what_the_trainer_warned_of_stands_at_the_top(studio: Studio, warnings: list[str], text: str) -> None:
    held = studio.claimed()
    held.say(*({"event": "warning", "code": "x", "message": message} for message in warnings))
    assert [warning.value for warning in open_page("run", run="1").warning] == [text]


def test_queued_run_says_why_it_waits_and_can_only_be_stopped(studio: Studio) -> None:
    studio.submit()
    app = open_page("run", run="1")
    assert "No worker is alive" in next(info.value for info in app.info)
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
    app = open_page("run", run=str(run_id), tab="Answers")
    lines = [caption.value.replace("\\", "") for caption in app.caption if "In place of" in caption.value]
    assert lines == [
        "In place of the weaver's latents: latents of another question · question t:*9* · norm 15 → 13.5 · "
        "cosine +0.600",
        "In place of the weaver's latents: no latents",
    ]
    assert "evaluate, weaver, latents of another question" in shown(app)


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
    app = open_page("run", run="1", tab="Answers")
    text = shown(app)
    assert f"version {SCORER_VERSION}" in text
    assert "By version 1" in text
    assert "100\\.0 %" in text
    assert "50\\.0 %" in text
    assert studio.wire.query("/runs/1/answers")["scorer_version"] == str(SCORER_VERSION)


def test_note_with_markdown_is_escaped(studio: Studio) -> None:
    studio.submit(note="[x](http://evil.example) $a$")
    assert "\\[x\\]\\(http" in shown(open_page("run", run="1"))


def test_files_tab_tells_the_disk_use_and_deletes_nothing(studio: Studio) -> None:
    studio.submit()
    assert "nothing yet" in shown(open_page("run", run="1", tab="Files"))
    folder = attempt_dir(studio.home, 1, 1, "evaluate").path
    folder.mkdir(parents=True)
    with (folder / "log.txt").open("wb") as file:
        file.truncate(12_300_000)
    text = shown(open_page("run", run="1", tab="Files"))
    assert "On disk: 12 MB" in text
    assert "runs/1" in text
    assert folder.is_dir()


def test_failed_run_opens_on_its_log_and_another_on_its_metrics(studio: Studio) -> None:
    failed, running = studio.failed(), studio.claimed().run_id
    assert open_page("run", run=str(failed)).session_state["tab"] == "Log"
    assert open_page("run", run=str(running)).session_state["tab"] == "Metrics"
