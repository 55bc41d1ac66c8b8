"""The rollouts of a training: steps, groups and completions, live and finished, as the address says."""

from typing import Any

import pytest

from backend.api.schemas import RolloutStep
from dashboard.run.rollouts_view import (
    completions_frame,
    decisions_line,
    group_remarks,
    groups_frame,
    kept_words,
    steps_chart,
)
from memgen.contract.rollouts import RolloutGroup
from tests.backend.conftest import Held, rollout_line
from tests.dashboard.pages import open_page, said
from tests.dashboard.studio import SFT, Studio, metric

WEAVER: dict[str, Any] = {"stage": "weaver_grpo", "num_questions": None, "data": "wordproblems"}
LINES = (
    rollout_line(1, 0, [1, 0], question="How *many*?"), rollout_line(1, 1, [1, 1]), rollout_line(2, 0, [0, 0]),
    rollout_line(3, 0, [0, 1], truncated=1, text="<b>bold</b> é"),
)  # fmt: skip


def group(*scores: float, **changes: Any) -> RolloutGroup:
    return RolloutGroup.model_validate_json(rollout_line(1, 0, list(scores), **changes))


def rolling(studio: Studio, *lines: bytes, **config: Any) -> Held:
    """A live training that has kept these groups."""
    held = studio.claimed(**WEAVER | config)
    held.say({"event": "phase", "name": "train"}, *metric("train/reward", 0.5))
    assert held.send("rollouts", b"".join(lines)).status_code == 200
    return held


def tables(studio: Studio, **query: str) -> list[Any]:
    """The frames of the tab: steps, groups, completions."""
    return [one.value for one in open_page("run", run="1", tab="Rollouts", **query).dataframe]


def test_only_trainings_from_rewards_have_the_tab(studio: Studio) -> None:
    studio.trained(SFT)
    studio.evaluated(True)
    rolling(studio, *LINES)
    has_tab = ["Rollouts" in [tab.label for tab in open_page("run", run=run_id).tabs] for run_id in "123"]
    assert has_tab == [False, False, True]


def test_live_run_shows_its_newest_step_first_and_moves_on(studio: Studio) -> None:
    held = rolling(studio, *LINES)
    steps, groups, completions = tables(studio)
    assert steps["step"].tolist() == [3, 2, 1]
    assert groups["question"].tolist() == ["How many?"]
    assert completions["remarks"].tolist() == ["wrong, truncated, no box", "right"]
    held.send("rollouts", rollout_line(4, 0, [1, 1]))
    held.say({"event": "progress", "done": 4, "total": 9, "unit": "steps"})
    app = open_page("run", run="1", tab="Rollouts")
    assert app.dataframe[0].value["step"].tolist() == [4, 3, 2, 1]
    assert "**Step 4, group 1**" in said(app)


def test_step_group_and_filter_are_those_of_the_address(studio: Studio) -> None:
    rolling(studio, *LINES)
    app = open_page("run", run="1", tab="Rollouts", step="1", group="2")
    assert "**Step 1, group 2**" in said(app)
    assert app.dataframe[1].value.index.tolist() == [1, 2]
    app.segmented_control(key="show_rollouts").set_value("without_variance").run()
    assert app.query_params["show_rollouts"] == "without_variance"
    assert app.dataframe[0].value["step"].tolist() == [2, 1]
    assert app.dataframe[1].value.index.tolist() == [2]
    assert "4 groups · 2 without variance · 1 truncated · 2 boxed but wrong" in said(app)


def test_completion_is_shown_as_it_is_with_its_insertions_marked(studio: Studio) -> None:
    rolling(studio, *LINES)
    app = open_page("run", run="1", tab="Rollouts")
    assert any(code.value == "▮<b>bold</b> é 0" for code in app.code)
    assert "Decisions, with the probability of an insertion: prompt inserted (0.75)" in said(app)


def test_page_says_what_was_dropped_and_why_there_is_nothing(studio: Studio) -> None:
    rolling(studio, rollout_line(1, 0, [1, 0], every=4))
    assert "the completions of one step in 4; the others were dropped" in said(
        open_page("run", run="1", tab="Rollouts")
    )
    assert kept_words([group(1, 0)]) == "Every step's completions are kept."
    rolling(studio, kept_rollouts=0)
    assert "its setting kept_rollouts is 0" in said(open_page("run", run="2", tab="Rollouts"))
    rolling(studio)
    assert "they come step by step" in said(open_page("run", run="3", tab="Rollouts"))


def test_rows_say_rewards_advantages_and_what_went_wrong() -> None:
    frame = groups_frame([group(1, 0), group(0, 0, truncated=2)])
    assert frame["right"].tolist() == ["1/2", "0/2"]
    assert frame["remarks"].tolist() == ["1 boxed but wrong", "no variance, 2 truncated"]
    ones = completions_frame(group(1, 0).completions)
    assert (ones["advantage"].tolist(), ones["parts"].tolist()) == ([0.5, -0.5], ["accuracy +1", "accuracy +0"])
    assert ones["insertions"].tolist() == ["1/1", "1/1"]
    assert "insertions" not in completions_frame(
        [one.model_copy(update={"augmentations": []}) for one in group(1, 0).completions]
    )
    assert group_remarks(group(1, 1)) == ["no variance"]
    assert decisions_line(group(1).completions[0].model_copy(update={"augmentations": []})) == ""


def test_bars_are_the_steps_mean_rewards() -> None:
    steps = [
        RolloutStep(step=n, groups=2, matching=2, reward=n / 4, without_variance=n / 2, truncated=0, boxed_wrong=0)
        for n in (1, 2)
    ]
    layers = steps_chart(steps, 2).to_dict()["layer"]
    assert layers[0]["encoding"]["y"]["field"] == "reward"
    assert layers[0]["encoding"]["opacity"]["field"] == "signal"


@pytest.mark.parametrize("live", [True, False])
def test_rerun_sends_at_most_three_requests_and_a_finished_run_none_by_itself(
    studio: Studio, intervals: list[float], live: bool
) -> None:
    held = rolling(studio, *LINES)
    if not live:
        held.finish("failed", "error")
    app = open_page("run", run="1", tab="Rollouts")
    intervals.clear()
    studio.wire.asked.clear()
    if live:
        held.send("rollouts", rollout_line(4, 0, [1, 1]))
        held.say({"event": "progress", "done": 4, "total": 9, "unit": "steps"})
    app.run()
    assert not app.exception
    asked = sorted(studio.wire.paths())
    assert [one for one in asked if not one.startswith("POST")] == ["GET /health", "GET /runs/1"] + [
        "GET /runs/1/rollouts"
    ] * live
