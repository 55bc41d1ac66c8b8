"""Run all with the mouse on the tiny model: six succeeded steps, the comparison, and the lineage."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.studio import Studio
from tests.conftest import TINY
from tests.running_stack import RunningStack

STEPS = ("base_eval", "weaver_sft", "weaver_eval", "trigger_grpo", "trigger_eval", "ltpo_eval")
SMALL = {
    "weaver_sft": {"num_questions": "8", "max_steps": "2", "eval_questions": "4"},
    "trigger_grpo": {
        "num_questions": "4", "max_steps": "2", "batch_size": "4", "gradient_accumulation_steps": "1",
        "num_generations": "4",
    },
    "ltpo_eval": {"max_steps": "2"},
}  # fmt: skip


@pytest.mark.timeout(400)
def test_run_all_to_the_comparison(stack: RunningStack, page: Page) -> None:
    studio = Studio(page, stack.dashboard_url)
    studio.log_in(stack.token)
    page.get_by_role("link", name="Launch", exact=True).first.click()
    studio.press("what", "Run all")
    studio.choose("config_preset", TINY)
    studio.choose("config_data", "Word problems")
    studio.type("config_max_completion_length", "120")
    studio.type("evaluations_num_questions", "6")
    for step, fields in SMALL.items():
        studio.key(f"{step}_step").locator("summary").click()
        for name, value in fields.items():
            studio.type(f"{step}_{name}", value)
    studio.type("launch_note", "all with the mouse")
    studio.choose("config_data", "Word problems")  # a last look over the form
    studio.submit("run_all", re.compile(r"[?&]pipeline=\d+"))

    for step in STEPS:
        expect(studio.key(f"step_{step}")).to_contain_text("succeeded", timeout=240_000)
    expect(studio.key("pipeline_title")).to_contain_text("succeeded")
    with stack.client() as client:
        pipeline = client.pipelines().items[0]
    assert pipeline.note == "all with the mouse"
    weaver = pipeline.steps[1].run
    assert weaver is not None
    assert weaver.summary["steps"] == 2

    studio.key("compare").get_by_role("button").click()
    expect(studio.key("verdicts")).to_contain_text("Too few questions to tell", timeout=60_000)
    expect(studio.key("verdicts")).to_contain_text("weaver+trigger+ltpo")
    expect(page.locator("[data-testid=stVegaLiteChart]")).to_have_count(2)
    expect(studio.key("pair_0")).to_contain_text("Reference solution")
    studio.key("insertions").locator("summary").click()
    expect(page.get_by_role("region", name="Right answers of both evaluations")).to_be_visible()
    studio.no_trace_of_an_error()

    page.goto(f"{stack.dashboard_url}/lineage?pipeline={pipeline.id}")
    graph = page.locator("[data-testid=stGraphVizChart]")
    for text in (TINY, f"run {weaver.id}", "weaver_sft", "succeeded"):
        expect(graph).to_contain_text(text)
    studio.no_trace_of_an_error()

    page.goto(f"{stack.dashboard_url}/run?run={weaver.id}")
    studio.tab("Checkpoint")
    expect(page.get_by_text(re.compile(r"^[0-9a-f]{16}$")).first).to_be_visible()
    studio.no_trace_of_an_error()
