"""A real Chromium: the one on PATH, else Playwright's own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.populated import populated
from tests.browser.studio import Studio as Tab
from tests.dashboard.studio import Studio
from tests.homes.home import unpack

WAIT_MS = 30_000
expect.set_options(timeout=WAIT_MS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
    # of what Streamlit sends, compile what is called; draw with one thread, in one process for all tabs
    quiet += ["--js-flags=--max-lazy", "--num-raster-threads=1", "--renderer-process-limit=1", "--disable-extensions"]
    with sync_playwright() as playwright:
        instance = playwright.chromium.launch(executable_path=found, args=quiet)
        yield instance
        instance.close()


@pytest.fixture(scope="module")
def window(browser: Browser) -> Iterator[BrowserContext]:
    """Keeps the program of the dashboard from test to test: to compile it anew takes as long as most tests."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(WAIT_MS)
    yield context
    context.close()


@pytest.fixture
def page(window: BrowserContext) -> Iterator[Page]:
    """A tab of somebody whom no page knows."""
    tab = window.new_page()
    yield tab
    for left in window.pages:
        left.close()
    forgetting = window.new_page()
    everywhere = {"origin": "*", "storageTypes": "cookies,local_storage"}
    window.new_cdp_session(forgetting).send("Storage.clearDataForOrigin", everywhere)
    window.clear_cookies()
    window.clear_permissions()
    forgetting.close()


@pytest.fixture
def tab(house: tuple[Studio, str], page: Page) -> Tab:
    """For the dashboard of the module's `house`, which a user has logged into; no page is opened yet."""
    studio, url = house
    opened = Tab(page, url)
    opened.be_known(studio.context.user_token)
    return opened


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, presets_file: Path) -> Iterator[tuple[Studio, str]]:
    """A home with runs of every kind, and the address of its dashboard."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("shown") / "home"
        home.mkdir()
        patch.setenv("MEMGEN_HOME", str(home))
        patch.setenv("MEMGEN_PRESETS", str(presets_file))
        unpack(home)
        with populated(home) as studio_and_url:
            yield studio_and_url
