"""The launch page with mouse and keyboard: changes with their way back, the check in view, settings kept and copied."""

import re
from collections.abc import Iterator
from contextlib import suppress

import pytest
from playwright.sync_api import TimeoutError, expect

from tests.backend.conftest import SLOT
from tests.browser.populated import populated
from tests.browser.studio import TAKEN_MS, TRIES
from tests.browser.studio import Studio as Tab
from tests.dashboard.studio import Studio

HEIGHT = 900


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Studio, str]]:
    """A worker, a weaver (run 1), and a run that the worker is busy with (run 2)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        with populated(tmp_path_factory.mktemp("forms") / "home") as (studio, url):
            studio.announce(slots=[SLOT | {"total_memory": 2**36}])
            studio.trained()
            studio.claimed()
            yield studio, url


def in_view(tab: Tab, key: str) -> bool:
    place = tab.key(key).bounding_box()
    return place is not None and place["y"] >= 0 and place["y"] + place["height"] <= HEIGHT


def test_change_is_marked_goes_back_and_the_button_stays_in_view(tab: Tab) -> None:
    tab.page.goto(f"{tab.url}/launch?what=weaver_sft")
    tab.type("config_max_steps", "5")
    back = tab.key("config_back_to_max_steps").get_by_role("button")
    expect(back).to_have_text(re.compile("Changed; default: all epochs"))
    assert in_view(tab, "launch")
    tab.key("launch_note").scroll_into_view_if_needed()
    assert in_view(tab, "launch")
    back.click()
    expect(tab.key("config_max_steps").locator("input")).to_have_value("")
    expect(back).to_have_count(0)
    tab.page.set_viewport_size({"width": 390, "height": HEIGHT})
    tab.settled()
    assert in_view(tab, "launch")
    tab.no_trace_of_an_error()


def test_check_says_what_holds_the_run_and_after_which_it_starts(tab: Tab) -> None:
    tab.page.goto(f"{tab.url}/launch?what=weaver_sft")
    expect(tab.key("launch_bar")).to_contain_text("Starts after run 2, which slot cpu of lab works on")
    expect(tab.key("preflight")).to_contain_text("fits, busy with run 2")
    expect(tab.key("preflight")).to_contain_text("of 64 GB")


def test_checkpoint_comes_first_and_brings_its_model(tab: Tab) -> None:
    tab.page.goto(f"{tab.url}/launch?what=weaver_eval")
    first = tab.key("launch_form").get_by_role("combobox").first
    expect(first).to_have_value(re.compile(r"^1 · weaver_sft"))
    expect(tab.key("model")).to_contain_text("as the checkpoint was made for it")
    expect(tab.key("config_preset")).to_have_count(0)


def test_launch_is_copied_by_a_click(tab: Tab) -> None:
    tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.page.goto(f"{tab.url}/launch?what=weaver_sft")
    tab.type("config_max_steps", "7")
    tab.unfold("elsewhere")
    code = tab.key("elsewhere").get_by_test_id("stCode").first
    expect(code).to_contain_text("--set max_steps=7")
    tab.settled()
    for _ in range(TRIES):  # the button is there while the mouse is over the text
        tab.page.mouse.move(0, 0)
        code.hover()
        with suppress(TimeoutError):
            code.get_by_role("button", name="Copy to clipboard").click(timeout=TAKEN_MS)
            break
    copied = str(tab.page.evaluate("navigator.clipboard.readText()"))
    assert copied.startswith("memgen-studio launch")
    assert "--set max_steps=7" in copied


def test_settings_are_saved_opened_and_deleted(tab: Tab, house: tuple[Studio, str]) -> None:
    tab.page.goto(f"{tab.url}/launch?what=weaver_sft")
    tab.type("config_max_steps", "9")
    tab.unfold("save")
    tab.page.get_by_label("Name of the settings").fill("nine steps")
    tab.key("save_launch").get_by_role("button").click()
    expect(tab.page.get_by_text("Saved as nine steps.")).to_be_visible()
    tab.page.goto(f"{tab.url}/launch")
    tab.settled()
    tab.key("saved_launches").get_by_role("button").first.click()
    tab.key("open_saved").get_by_role("button").click()
    expect(tab.key("config_max_steps").locator("input")).to_have_value("9")
    expect(tab.key("source")).to_contain_text("the saved settings nine steps")
    tab.key("saved_launches").get_by_role("button").first.click()
    tab.key("delete_saved").get_by_role("button").click()
    expect(tab.key("saved_launches")).to_have_count(0)
    assert house[0].client.saved_launches() == []


def test_form_that_starts_from_a_run_shows_what_differs_and_the_launch_leads_to_the_title(
    tab: Tab, house: tuple[Studio, str]
) -> None:
    studio, _ = house
    tab.page.goto(f"{tab.url}/run?run=2&tab=Log")
    tab.settled()
    tab.key("more").get_by_role("button").first.click()
    tab.key("launch_again").get_by_role("button").click()
    expect(tab.key("source")).to_contain_text("Starts from the settings of run 2")
    tab.type("config_num_questions", "8")
    expect(tab.key("source")).to_contain_text("Questions: 20 → 8")
    assert "run=" not in tab.page.url
    assert "tab=" not in tab.page.url
    tab.submit("launch", re.compile(r"/run\?run=\d+"))
    expect(tab.page.get_by_role("heading", level=1)).to_be_focused()
    newest = studio.client.runs(limit=1).items[0]
    assert studio.client.run(newest.id).config["num_questions"] == 8


def test_sidebar_leads_from_a_run_to_an_address_without_it(tab: Tab) -> None:
    tab.page.goto(f"{tab.url}/run?run=2")
    tab.settled()
    tab.visit("Launch")
    tab.press("what", "Weaver SFT")
    expect(tab.page).to_have_url(re.compile(r"/launch\?what=weaver_sft$"))


def test_failed_run_is_mended_with_the_blamed_setting_in_focus(tab: Tab, house: tuple[Studio, str]) -> None:
    studio, _ = house
    studio.announce(slots=[SLOT | {"total_memory": 2**36}])
    held = studio.claimed(max_completion_length=9)
    failure = {
        "code": "prompt_too_long", "message": "the longest prompt has at least 90 tokens",
        "field": "max_prompt_length", "way_out": "Set max_prompt_length to more than 90.",
    }  # fmt: skip
    held.finish("failed", "invalid_config", failure=failure)
    tab.page.goto(f"{tab.url}/run?run={held.run_id}")
    tab.submit("fix", re.compile(rf"/launch\?fix={held.run_id}"))
    expect(tab.key("config_max_prompt_length").locator("input")).to_be_focused()
    expect(tab.key("launch_form")).to_contain_text("The failure names this setting")
    tab.type("config_max_prompt_length", "2000")
    tab.submit("launch", re.compile(r"/run\?run=\d+"))
    expect(tab.page.get_by_role("link", name=f"mends run {held.run_id}")).to_be_visible()
    expect(tab.page.get_by_role("heading", level=1)).to_be_focused()
    tab.no_trace_of_an_error()


def test_pipeline_that_failed_goes_on_as_another_and_shows_strip_results_and_warnings(
    tab: Tab, house: tuple[Studio, str]
) -> None:
    studio, _ = house
    made = studio.submit_pipeline(include=["base_eval", "weaver_sft", "weaver_eval"], evaluations={"num_questions": 6})
    number = made["id"]
    base, weaver = (step["run"]["id"] for step in made["steps"][:2])
    studio.user("POST", f"/runs/{base}/priority", json={"priority": 1000})
    held = studio.held()
    held.answer(0, 1, 2)
    held.answer(3, 4, 5, right=False)
    held.say({"event": "warning", "code": "slow", "message": "the card is *slow*"})
    studio.complete(held, result={"num_questions": 6, "accuracy": 0.5})
    studio.user("POST", f"/runs/{weaver}/priority", json={"priority": 1000})
    failure = {"code": "out_of_memory", "message": "no room", "way_out": "Launch it with a smaller batch_size."}
    studio.held().finish("failed", "error", failure=failure)
    studio.reconciler.round()
    tab.page.goto(f"{tab.url}/pipeline?pipeline={number}")
    expect(tab.key("step_base_eval")).to_contain_text("succeeded")
    expect(tab.key("results")).to_contain_text("50.0 %")
    expect(tab.key("results")).to_contain_text("18.8 to 81.2")
    expect(tab.key("pipeline_warnings")).to_contain_text("The card is *slow*.")
    tab.unfold("pipeline_settings")
    expect(tab.key("pipeline_settings")).to_contain_text("Questions")
    cards = [tab.key(f"step_{step['step']}").bounding_box() for step in made["steps"]]
    assert len({card["y"] for card in cards if card is not None}) == 1  # side by side
    tab.submit("fix", re.compile(r"/launch\?"))
    expect(tab.key("weaver_sft_batch_size").locator("input")).to_be_focused()
    tab.type("weaver_sft_batch_size", "2")
    tab.submit("run_all", re.compile(r"/pipeline\?pipeline=\d+"))
    expect(tab.page.get_by_role("link", name=f"mends pipeline {number}")).to_be_visible()
    expect(tab.key("step_base_eval")).to_contain_text("reused")
    newest = studio.client.pipelines().items[0]
    assert (newest.spec["fixes"], newest.spec["reuse"]) == (number, {"base_eval": base})
    tab.no_trace_of_an_error()
