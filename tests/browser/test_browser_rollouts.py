"""The rollouts of a live training: its newest step moves on until somebody chooses one, then that one stays."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.backend.conftest import Held, rollout_line
from tests.browser.populated import populated
from tests.browser.studio import Studio as Tab
from tests.dashboard.studio import Studio, metric, progress

HEADER, ROW = 18, 36  # pixels: the middle of a table's first line, the height of a line
WEAVER = {"stage": "weaver_grpo", "num_questions": None, "data": "wordproblems"}


def step(held: Held, number: int) -> None:
    """One more step of two groups of four completions."""
    told = {"event": "metric", "name": "train/reward", "step": number, "value": 0.5}
    held.say(told, progress(number, 40))
    lines = [
        rollout_line(number, 0, [1, 0, 0, number % 2], question=f"How many apples, {number}?", text="Two, 4. So 6."),
        rollout_line(number, 1, [1] * 4 if number % 3 else [0, 1, 0, 0], truncated=number % 2, question="And pears?"),
    ]  # fmt: skip
    assert held.send("rollouts", b"".join(lines)).status_code == 200


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Held, Studio, str]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        with populated(tmp_path_factory.mktemp("rollouts") / "home") as (studio, url):
            studio.announce()
            held = studio.claimed(**WEAVER)
            held.say({"event": "phase", "name": "train"}, *metric("train/reward", 0.5))
            for number in range(1, 21):
                step(held, number)
            yield held, studio, url


def test_newest_step_moves_on_until_one_is_chosen(house: tuple[Held, Studio, str], page: Page) -> None:
    held, studio, url = house
    tab = Tab(page, url)
    tab.be_known(studio.context.user_token)
    page.goto(f"{url}/run?run={held.run_id}")
    tab.settled()
    page.get_by_role("tab", name="Rollouts").click()
    expect(page.get_by_text("Step 20, group 1")).to_be_visible()
    step(held, 21)
    expect(page.get_by_text("Step 21, group 1")).to_be_visible(timeout=20_000)
    tab.settled()
    steps = page.get_by_test_id("stDataFrame").first
    steps.scroll_into_view_if_needed()
    steps.click(position={"x": 14, "y": HEADER + 2 * ROW})  # the box in front of the second row, step 20
    expect(page.get_by_text("Step 20, group 1")).to_be_visible(timeout=20_000)
    expect(page).to_have_url(re.compile("step=20"))
    step(held, 22)
    tab.settled()
    tab.press("show_rollouts", "Without variance")
    expect(page.get_by_text("Step 20, group 2")).to_be_visible(timeout=20_000)
    page.reload()
    expect(page.get_by_text("Step 20, group 2")).to_be_visible(timeout=20_000)
    tab.no_trace_of_an_error()
