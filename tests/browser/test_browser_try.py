"""Try in a browser: columns side by side, an insertion left out, a run that takes the slot over, and what is kept."""

import re

import pytest
from playwright.sync_api import Page, expect

from memgen.contract.status import RunStatus
from tests.browser.studio import Studio
from tests.conftest import GOLDEN, TINY
from tests.running_stack import RunningStack, wait_until

LABELS = ("base", "weaver", "weaver+trigger", "weaver+trigger+ltpo")
LOADED_MS = 120_000


@pytest.fixture
def checkpoint(stack: RunningStack) -> int:
    done = stack.command("checkpoint", "add", str(GOLDEN / "a" / "checkpoint"), "--preset", TINY)
    assert done.returncode == 0, done.stdout + done.stderr
    with stack.client() as client:
        return client.checkpoints().items[0].id


def leave_out_first(tab: Studio, place: int) -> None:
    """Ask a column once more without the latents at the end of the prompt."""
    name = f"change_1_1_{place}"
    tab.settled()
    tab.key(name).get_by_role("button").first.click()
    tab.key(f"turned_{name}").get_by_role("combobox").click()
    tab.page.get_by_role("option", name="token 0, inserted", exact=True).click()
    tab.page.keyboard.press("Tab")
    tab.key(f"again_{name}").get_by_role("button").click()


def test_session_of_four_columns_is_changed_gives_way_and_becomes_an_evaluation(
    stack: RunningStack, page: Page, checkpoint: int
) -> None:
    tab = Studio(page, stack.dashboard_url)
    tab.log_in(stack.token)
    tab.visit("Checkpoints")
    tab.visit("Try")
    tab.choose(f"try_data_{checkpoint}", "wordproblems")
    page.get_by_label("Longest answer", exact=True).fill("24")
    page.get_by_label("Longest answer", exact=True).press("Enter")
    tab.settled()
    tab.key("open_session").get_by_role("button").click()
    expect(tab.key("try_head")).to_contain_text("ready", timeout=LOADED_MS)
    page.get_by_label("Question", exact=True).fill("Ann has 3 apples, and Tom has 4. How many are that?")
    page.get_by_label("Right answer, if it is known", exact=True).fill("7")
    tab.key("ask_question").get_by_role("button").click()
    asked = tab.key("asked_1")
    for label in LABELS:
        expect(asked).to_contain_text(label)
    expect(asked.get_by_text(re.compile("^Answer: "))).to_have_count(4, timeout=LOADED_MS)
    expect(asked).to_contain_text("latents inserted")
    expect(asked).to_contain_text("Probability of an insertion")
    leave_out_first(tab, LABELS.index("weaver"))
    changed = tab.key("asked_2")
    expect(changed).to_contain_text("without latents at token 0")
    expect(changed.get_by_text(re.compile("^Answer: "))).to_have_count(2, timeout=LOADED_MS)
    expect(changed).to_contain_text("◆ first difference")
    with stack.client() as client:
        config = client.try_sessions().items[0].columns[0].config
        run = client.submit(config | {"num_questions": 2}).id
    expect(page.get_by_text(f"Run {run} needs its slot.").first).to_be_visible(timeout=LOADED_MS)
    expect(tab.key("try_head")).to_contain_text("ended", timeout=LOADED_MS)
    assert stack.run_ended(run).status is RunStatus.SUCCEEDED
    expect(tab.key("ask_question")).to_have_count(0)
    tab.unfold("try_set")
    tab.type("try_set_name", "asked")
    tab.key("try_set_make").get_by_role("button").click()
    expect(page.get_by_text("Registered as")).to_contain_text("1 question", timeout=LOADED_MS)
    expect(page.get_by_text("Compare can't tell two evaluations apart")).to_be_visible()
    page.get_by_role("link", name=f"Evaluate weaver · checkpoint {checkpoint}", exact=True).click()
    tab.submit("launch", re.compile(r"/run\?run=\d+"))
    evaluation = stack.run_ended(run + 1)
    assert evaluation.status is RunStatus.SUCCEEDED
    with stack.client() as client:
        tried = client.try_sessions().items[0]
        answers = client.try_session(tried.id).asked[0].answers
        answer = client.answers(evaluation.id).items[0]
    record = answers[LABELS.index("weaver")].record
    assert record is not None
    assert evaluation.config["data"].startswith("asked-")
    assert (answer.completion, answer.metrics) == (record.completion, record.metrics)
    tab.no_trace_of_an_error()


def test_session_is_closed_by_its_button(stack: RunningStack, page: Page) -> None:
    with stack.client() as client:
        session = client.open_try([{"stage": "evaluate", "preset": TINY, "data": "wordproblems"}]).id
    tab = Studio(page, stack.dashboard_url)
    tab.log_in(stack.token)
    tab.settled()
    page.goto(f"{stack.dashboard_url}/try_out?session={session}")
    expect(tab.key("try_head")).to_contain_text("ready", timeout=LOADED_MS)
    page.get_by_role("button", name="Close", exact=True).click()

    def has_ended() -> bool:
        with stack.client() as client:
            return client.try_session(session).end == "closed"

    wait_until(has_ended, 30, "the session's end")
