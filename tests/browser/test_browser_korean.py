"""The dashboard in Korean: chosen by the browser's language or in the sidebar, on every page, and remembered."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from dashboard.parts.catalogue import catalogue
from tests.browser.populated import FIRST, OTHERS
from tests.browser.studio import Studio as Tab
from tests.dashboard.studio import Studio
from tests.translation.catalogues import stored

# all texts that stand alone on the page, those of buttons and links among them; tables are drawn on a canvas
TEXTS = """() => {
  const NO_TEXT = 'script, noscript, style, code, pre, canvas, [data-testid="stIconMaterial"]';
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const texts = new Set();
  while (walk.nextNode()) {
    const parent = walk.currentNode.parentElement;
    if (!parent.closest(NO_TEXT)) texts.add(parent.innerText?.trim());
  }
  for (const one of document.querySelectorAll('[placeholder]')) texts.add(one.placeholder);
  return [...texts].filter(Boolean);
}"""


@pytest.fixture
def korean(browser: Browser, shown: tuple[Studio, str]) -> Iterator[Tab]:
    """A logged-in browser of somebody who reads Korean."""
    context = browser.new_context(viewport={"width": 1400, "height": 900}, locale="ko-KR")
    yield logged_in(context, shown)
    context.close()


def logged_in(context: BrowserContext, shown: tuple[Studio, str]) -> Tab:
    studio, url = shown
    tab = Tab(context.new_page(), url)
    tab.page.goto(url)
    tab.page.locator("#token").fill(studio.context.user_token)  # labels are in the reader's language
    tab.page.locator("button[type=submit]").click()
    tab.settled()
    return tab


def english(page: Page) -> list[str]:
    """Texts of the page that are messages and stand there in English."""
    read = catalogue("ko")
    messages = {message.id for message in stored("ko") if isinstance(message.id, str) and " " in message.id}
    return sorted(text for text in page.evaluate(TEXTS) if text in messages and read.gettext(text) != text)


@pytest.mark.parametrize(
    "paths", [pytest.param(FIRST, id="first"), pytest.param(OTHERS, id="others", marks=pytest.mark.long)]
)
def test_every_page_is_in_korean(korean: Tab, paths: tuple[str, ...]) -> None:
    for path in paths:
        korean.page.goto(f"{korean.url}{path}")
        korean.settled()
        assert english(korean.page) == [], path
        assert korean.page.locator("html").get_attribute("lang") == "ko", path


def test_the_login_asks_in_the_language_of_the_browser_or_of_its_link(
    browser: Browser, shown: tuple[Studio, str]
) -> None:
    context = browser.new_context(locale="en-US")
    page = context.new_page()
    page.goto(shown[1])
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    page.get_by_role("link", name="한국어").click()
    expect(page.get_by_role("button", name="로그인")).to_be_visible()
    tab = logged_in(context, shown)
    expect(tab.page.get_by_role("heading", name="홈", level=1)).to_be_visible()
    context.close()


def test_a_chosen_language_outlives_the_tab_and_other_tabs_keep_theirs(
    browser: Browser, shown: tuple[Studio, str], korean: Tab
) -> None:
    context = browser.new_context(locale="en-US")
    tab = logged_in(context, shown)
    expect(tab.page.get_by_role("heading", name="Home", level=1)).to_be_visible()
    tab.page.get_by_role("radio", name="한국어").click()
    expect(tab.page.get_by_role("heading", name="홈", level=1)).to_be_visible()
    tab.settled()
    other = context.new_page()
    other.goto(f"{tab.url}/runs")
    expect(other.get_by_role("heading", name="실행", level=1)).to_be_visible()
    expect(korean.page.get_by_role("heading", name="홈", level=1)).to_be_visible()
    context.close()
