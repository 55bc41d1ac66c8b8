"""With the mouse on the tiny model: all steps to the comparison and the lineage, and what a weaver is compared with."""

import re

import pytest
from playwright.sync_api import Page, expect

from memgen.contract.status import RunStatus
from tests.browser.studio import Studio
from tests.conftest import TINY
from tests.running_stack import RunningStack

STEPS = ("base_eval", "weaver_sft", "weaver_grpo", "weaver_eval", "trigger_grpo", "trigger_eval", "ltpo_eval")
SFT = {"num_questions": "8", "max_steps": "2", "eval_questions": "4"}
GRPO = {"num_questions": "4", "max_steps": "1", "batch_size": "4", "num_generations": "4"}
SMALL = {
    "weaver_sft": SFT,
    "weaver_grpo": GRPO,
    "trigger_grpo": {
        "num_questions": "4", "max_steps": "2", "batch_size": "4", "gradient_accumulation_steps": "1",
        "num_generations": "4",
    },
    "ltpo_eval": {"max_steps": "2"},
}  # fmt: skip
RUN_PAGE = re.compile(r"/run\?run=(\d+)")  # the launch page may still have the number of the run that was looked at
PATIENCE = 240  # seconds until a run has ended that others may stand before


@pytest.mark.timeout(600)
def test_run_all_to_the_comparison(stack: RunningStack, page: Page) -> None:
    studio = Studio(page, stack.dashboard_url)
    studio.log_in(stack.token)
    studio.visit("Launch")
    studio.press("what", "Run all")
    studio.choose("config_preset", TINY)
    studio.choose("config_data", "Word problems")
    studio.type("config_max_completion_length", "120")
    studio.type("evaluations_num_questions", "6")
    for step, fields in SMALL.items():
        studio.unfold(f"{step}_step")
        if step == "weaver_grpo":
            studio.choose("weaver_grpo_run", "New run")
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
    weaver, rewarded, evaluated = (one.run for one in pipeline.steps[1:4])
    assert weaver is not None
    assert rewarded is not None
    assert evaluated is not None
    assert (weaver.summary["steps"], rewarded.summary["steps"]) == (2, 1)
    assert (rewarded.parent_id, evaluated.parent_id) == (weaver.id, rewarded.id)

    studio.key("compare").get_by_role("button").click()
    expect(studio.key("verdicts")).to_contain_text("Too few questions to tell", timeout=60_000)
    expect(studio.key("verdicts")).to_contain_text("weaver (weaver_sft + weaver_grpo)")
    expect(studio.key("verdicts")).to_contain_text("weaver+trigger+ltpo")
    expect(page.locator("[data-testid=stVegaLiteChart]")).to_have_count(2)
    studio.tab("Answers")
    expect(studio.key("pair_0")).to_contain_text("Reference solution")
    studio.tab("Insertions")
    expect(page.get_by_role("region", name="Right answers of both evaluations")).to_be_visible()
    studio.no_trace_of_an_error()

    page.goto(f"{stack.dashboard_url}/lineage?pipeline={pipeline.id}")
    graph = page.locator("[data-testid=stEChartsChart]")
    for text in (TINY.rpartition("/")[-1], f"{weaver.id} · weaver_sft", "weaver_grpo", "succeeded"):
        expect(graph).to_contain_text(text)
    studio.no_trace_of_an_error()

    page.goto(f"{stack.dashboard_url}/run?run={weaver.id}")
    studio.tab("Checkpoint")
    expect(page.get_by_text(re.compile(r"^[0-9a-f]{16}$")).first).to_be_visible()
    studio.no_trace_of_an_error()


def launch(studio: Studio, what: str, typed: dict[str, str], chosen: dict[str, str] | None = None) -> int:
    """Fill in the form of a single run, launch it, and return its number."""
    studio.visit("Launch")
    studio.press("what", what)
    studio.choose("config_data", "Word problems")
    if studio.key("config_preset").count():  # where a checkpoint is needed it brings its model
        studio.choose("config_preset", TINY)
    for name, choice in (chosen or {}).items():
        studio.choose(f"config_{name}", choice)
    for name, text in typed.items():
        studio.type(f"config_{name}", text)
    if what.endswith("evaluation"):
        studio.unfold("more_settings")
        studio.switch("config_nll")
    studio.submit("launch", RUN_PAGE)
    return int(RUN_PAGE.search(studio.page.url).group(1))  # type: ignore[union-attr]


@pytest.mark.timeout(600)
@pytest.mark.long
def test_controls_are_trained_and_evaluated_and_stand_beside_the_base(stack: RunningStack, page: Page) -> None:
    with stack.client() as client:
        weaver = client.submit(
            {"stage": "weaver_sft", "preset": TINY, "data": "wordproblems", "max_steps": 1, "num_questions": 4}
            | {"max_completion_length": 120, "eval_questions": 0}
        ).id
    studio = Studio(page, stack.dashboard_url)
    studio.log_in(stack.token)
    asked = {"num_questions": "4", "max_completion_length": "24"}
    lora = launch(studio, "LoRA SFT", {"num_questions": "8", "max_steps": "2", "max_completion_length": "120"})
    base = launch(studio, "Base evaluation", asked)
    thinking = launch(studio, "Base evaluation", asked, {"prompt_style": "chain of thought"})
    assert stack.run_ended(lora, PATIENCE).status is RunStatus.SUCCEEDED
    adapted = launch(studio, "LoRA evaluation", asked, {"checkpoint": f"{lora} · lora_sft"})
    rewarded = launch(studio, "LoRA GRPO", GRPO | {"max_completion_length": "24"}, {"checkpoint": f"{lora} · lora_sft"})
    noise = launch(
        studio, "Weaver evaluation", asked,
        {"checkpoint": f"{weaver} · weaver_sft", "causal_check": "noise of the same norm"},
    )  # fmt: skip
    assert stack.run_ended(rewarded, PATIENCE).status is RunStatus.SUCCEEDED
    best = launch(studio, "LoRA GRPO evaluation", asked, {"checkpoint": f"{rewarded} · lora_grpo"})
    settings = {
        base: "base",
        thinking: "base, chain of thought",
        adapted: "lora",
        noise: "weaver, noise of the same norm",
        best: "lora+grpo",
    }
    for run_id, setting in settings.items():
        run = stack.run_ended(run_id, PATIENCE)
        assert (run.status, run.setting, run.summary["num_questions"]) == (RunStatus.SUCCEEDED, setting, 4)
        assert run.summary["nll"] > 0

    page.goto(f"{stack.dashboard_url}/compare?runs={','.join(map(str, settings))}")
    for run_id, setting in settings.items():
        if run_id != base:
            expect(studio.key("verdicts")).to_contain_text(setting)
    expect(studio.key("conditions")).to_contain_text("chain of thought")
    page.get_by_text(
        "and how likely the solutions are"
    ).scroll_into_view_if_needed()  # what is out of sight isn't drawn
    expect(page.locator("[data-testid=stVegaLiteChart]")).to_have_count(3)
    costs = page.get_by_role("region", name="Form and length of the answers and the time of each evaluation")
    with stack.client() as client:
        reply = client.compare(list(settings), base=None)
    for one in reply.items:
        assert one.nll is not None
        expect(costs).to_contain_text(f"{one.nll.value:.3f}")
    studio.no_trace_of_an_error()

    page.goto(f"{stack.dashboard_url}/run?run={noise}&tab=Answers")
    expect(page.get_by_text(re.compile("In place of the weaver's latents: .*noise")).first).to_be_visible()
    studio.no_trace_of_an_error()
