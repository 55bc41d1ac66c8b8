"""The lineage as a person uses it: clicked, searched, pulled, live, on a phone, and with notes that are markup."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.populated import populated
from tests.browser.studio import Studio as Tab
from tests.dashboard.studio import GRPO, Studio

PHONE = {"width": 390, "height": 844}
MARKUP = "<img src=x onerror=\"document.title='broken'\"> {b} note"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Studio, str]]:
    with populated(tmp_path_factory.mktemp("home")) as (studio, url):
        studio.evaluated(*[True, False] * 10, note="base")
        weaver = studio.trained(note="for the paper")
        studio.evaluated(*[True, True] * 10, setting="weaver", checkpoint=str(weaver), note=MARKUP)
        studio.trained(GRPO, checkpoint=str(weaver))
        for number in range(30):
            studio.evaluated(True, note=f"older {number}")
        yield studio, url


def picture(page: Page) -> Locator:
    return page.locator("[data-testid=stEChartsChart] svg")


def dot(page: Page, words: str) -> Locator:
    """The words beside a run."""
    return picture(page).locator("text", has_text=words).first


def height_of(one: Locator) -> float:
    box = one.bounding_box()
    assert box is not None
    return box["y"]


def test_click_shows_a_run_and_branch_opens_the_form_from_its_checkpoint(tab: Tab) -> None:
    page = tab.page
    page.goto(f"{tab.url}/lineage?run=3")
    dot(page, "2 · weaver_sft").click()
    panel = tab.key("lineage_chosen_box")
    expect(panel).to_contain_text("2 · weaver_sft")
    expect(panel).to_contain_text("for the paper")
    panel.get_by_role("link", name="Train the trigger from it").click()
    page.wait_for_url(re.compile(r"/launch\?.*checkpoint=2"))
    expect(tab.key("config_checkpoint").get_by_role("combobox")).to_have_value(re.compile("^2 · weaver_sft"))
    tab.no_trace_of_an_error()


def test_search_and_keyboard_lead_to_a_run_without_the_picture(tab: Tab) -> None:
    page = tab.page
    page.goto(f"{tab.url}/lineage")
    expect(picture(page)).to_be_visible()
    tab.settled()
    field = tab.key("lineage_find").locator("input")
    field.focus()
    page.keyboard.type("paper")
    page.keyboard.press("Enter")
    panel = tab.key("lineage_chosen_box")
    expect(panel).to_contain_text("2 · weaver_sft")
    expect(dot(page, "2 · weaver_sft")).to_be_visible()  # it came into sight
    expect(page).to_have_url(re.compile("find=paper"))
    page.reload()
    expect(field).to_have_value("paper")
    field.fill("nowhere to be found")
    field.press("Enter")
    expect(page.get_by_text("Nothing has all of these words.")).to_be_visible()
    tab.no_trace_of_an_error()


def test_note_that_is_markup_is_text_and_is_changed_in_place(tab: Tab) -> None:
    page = tab.page
    page.goto(f"{tab.url}/lineage?run=3")
    dot(page, "3 · evaluate, weaver").hover()
    tooltip = page.locator("[data-testid=stEChartsChart] div", has_text="onerror=").last
    expect(tooltip).to_contain_text("{b} note")
    assert page.locator("[data-testid=stEChartsChart] img").count() == 0
    assert page.title() != "broken"
    dot(page, "4 · trigger_grpo").click()
    panel = tab.key("lineage_chosen_box")
    expect(panel).to_contain_text("4 · trigger_grpo")
    panel.get_by_role("button", name="Add a note").click()
    field = tab.key("note_of_4").locator("input")
    field.fill("a *new* one")
    field.press("Enter")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(dot(page, "a *new* one")).to_be_visible()
    tab.no_trace_of_an_error()


def test_picture_is_live_and_stays_where_it_was_pulled_while_nothing_changes(
    tab: Tab, house: tuple[Studio, str]
) -> None:
    studio, page = house[0], tab.page
    held = studio.claimed(note="live one")
    with page.expect_websocket() as socket:
        page.goto(f"{tab.url}/lineage")
    expect(dot(page, f"{held.run_id} · evaluate")).to_be_visible()
    expect(picture(page)).to_contain_text("running")
    tab.settled()
    box = picture(page).bounding_box()
    assert box is not None
    x, y = box["x"] + 400, box["y"] + 300
    watched = dot(page, f"{held.run_id - 3} · evaluate")
    before = height_of(watched)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - 60, steps=6)
    page.mouse.up()
    pulled = height_of(watched)
    assert pulled < before - 20
    for _ in range(2):  # the page is drawn anew, and nothing has changed
        socket.value.wait_for_event("framereceived")
        tab.settled()
    assert abs(height_of(watched) - pulled) < 2
    studio.complete(held, result={"num_questions": 4, "accuracy": 0.75})
    expect(picture(page)).to_contain_text("75.0 % of 4")
    tab.no_trace_of_an_error()


def test_phone_shows_first_columns_and_the_search_leads_on(browser: Browser, house: tuple[Studio, str]) -> None:
    context = browser.new_context(viewport=PHONE, has_touch=True)
    tab = Tab(context.new_page(), house[1])
    tab.log_in(house[0].context.user_token)
    tab.settled()
    tab.page.goto(f"{tab.url}/lineage")
    expect(picture(tab.page)).to_be_visible()
    tab.type("lineage_find", "paper")
    expect(tab.key("lineage_chosen_box").get_by_role("link", name="Open run 2")).to_be_visible()
    wide = tab.page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
    assert wide <= PHONE["width"]
    context.close()
