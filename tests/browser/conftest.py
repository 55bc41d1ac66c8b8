"""A real Chromium: the one on PATH, else Playwright's own."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.studio import Studio as Tab
from tests.dashboard.studio import Studio

WAIT_MS = 30_000
expect.set_options(timeout=WAIT_MS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
    with sync_playwright() as playwright:
        instance = playwright.chromium.launch(executable_path=found, args=quiet)
        yield instance
        instance.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(WAIT_MS)
    tab = context.new_page()
    yield tab
    context.close()


@pytest.fixture
def tab(house: tuple[Studio, str], page: Page) -> Tab:
    """The dashboard of the module's `house`, which a user has logged into."""
    studio, url = house
    opened = Tab(page, url)
    opened.log_in(studio.context.user_token)
    opened.settled()
    return opened
