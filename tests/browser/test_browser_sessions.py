"""Two tabs that act at once, and a session that ends while its page is open."""

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from dashboard.login.session import COOKIE, SESSION_SECONDS, Sessions
from tests.browser.populated import populated
from tests.browser.studio import Studio as Tab
from tests.dashboard.studio import SFT, Studio, metric, progress


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Studio, str]]:
    """Runs 1 and 2 have ended, 3 is under way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        with populated(tmp_path_factory.mktemp("sessions") / "home") as (studio, url):
            studio.announce()
            studio.evaluated(True, False, data="wordproblems")
            studio.failed()
            studio.claimed(**SFT).say(*metric("train/loss", 2.0, 1.0), progress(2, 8))
            yield studio, url


def other_tab(tab: Tab) -> Tab:
    """A second tab of the same browser."""
    return Tab(tab.page.context.new_page(), tab.url)


def at(tab: Tab, path: str) -> Tab:
    tab.page.goto(f"{tab.url}{path}")
    tab.settled()
    return tab


def test_stop_from_two_tabs_at_once_stops_once_and_both_say_so(house: tuple[Studio, str], tab: Tab) -> None:
    studio, _ = house
    tabs = [at(tab, "/run?run=3"), at(other_tab(tab), "/run?run=3")]
    for one in tabs:
        one.key("stop").get_by_role("button").click()
        expect(one.page.get_by_role("dialog")).to_contain_text("Run 3 is running")
        one.settled()
    for one in tabs:
        one.page.get_by_role("dialog").get_by_role("button", name="Stop the run").click()
    for one in tabs:
        expect(one.key("run_title")).to_contain_text("stopping")
        expect(one.page.get_by_role("dialog")).to_have_count(0)
        one.no_trace_of_an_error()
    asked = [event for event in studio.history(3) if event["to_status"] == "stopping"]
    assert len(asked) == 1


def test_run_deleted_in_one_tab_is_said_to_be_gone_in_the_other(house: tuple[Studio, str], tab: Tab) -> None:
    first, second = at(tab, "/run?run=2"), at(other_tab(tab), "/run?run=2")
    for one in (first, second):  # both ask for it before either does it
        one.key("more").get_by_role("button").first.click()
        one.key("delete").get_by_role("button").click()
        expect(one.page.get_by_role("dialog", name="Delete this run?")).to_contain_text("Run 2 goes for good")
        one.settled()
    first.key("confirm_delete").get_by_role("button").click()
    expect(first.page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    second.key("confirm_delete").get_by_role("button").click()
    expect(second.page.get_by_text("There is no run 2; it may have been deleted.")).to_be_visible()
    expect(second.page.get_by_role("dialog")).to_have_count(0)
    for one in (first, second):
        one.no_trace_of_an_error()


def test_launch_of_the_same_settings_from_two_tabs_makes_two_runs(house: tuple[Studio, str], tab: Tab) -> None:
    studio, _ = house
    before = studio.get("/runs")["total"]
    path = "/launch?what=base_eval"
    tabs = [at(tab, path), at(other_tab(tab), path)]
    for one in tabs:
        one.submit("launch", re.compile(r"[?&]run=\d+"))
    numbers = {re.search(r"run=(\d+)", one.page.url).group(1) for one in tabs}  # type: ignore[union-attr]
    assert len(numbers) == 2
    assert studio.get("/runs")["total"] == before + 2


def test_session_that_ends_while_a_page_is_open_leads_to_the_login_and_back(
    house: tuple[Studio, str], browser: Browser
) -> None:
    studio, url = house
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    left = 20  # seconds; the page must be there before
    sessions = Sessions(studio.context.user_token, lambda: time.time() - SESSION_SECONDS + left)
    context.add_cookies([{"name": COOKIE, "value": sessions.new_cookie(), "url": url}])
    page: Page = context.new_page()
    page.goto(f"{url}/runs?sort=-accuracy")
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    token = page.get_by_label("Token")
    expect(token).to_be_visible(timeout=60_000)
    token.fill(studio.context.user_token)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(re.compile(r"/runs\?sort=-accuracy$"))
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    context.close()


def test_logout_in_one_tab_leads_the_other_to_the_login(tab: Tab) -> None:
    first, second = at(tab, "/"), at(other_tab(tab), "/checkpoints")
    first.page.get_by_role("button", name="Log out").click()
    expect(tab.page.get_by_label("Token")).to_be_visible()
    expect(second.page.get_by_label("Token")).to_be_visible(timeout=60_000)
    assert "next=" in second.page.url
