"""A person at a browser: opens pages, waits until they are there, and counts what comes over the wire."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, WebSocket, sync_playwright

from benchmarks.dashboard.house import House
from benchmarks.dashboard.plan import Page as Wanted

PATIENCE_MS = 60_000
VIEWPORT: ViewportSize = {"width": 1400, "height": 900}
QUIET = 0.5  # seconds without a message after which a page is drawn
_DRAWN = (
    "() => { const app = document.querySelector('[data-testid=stApp]');"
    " return app && app.dataset.testScriptState === 'notRunning'"
    " && app.dataset.testConnectionState === 'CONNECTED'; }"
)


@dataclass
class Wire:
    """Messages that a tab has got over its WebSocket."""

    received: int = 0
    """Bytes."""
    last_at: float = 0.0

    def listen(self, socket: WebSocket) -> None:
        """Count what comes in over a socket."""
        socket.on("framereceived", self._take)

    def _take(self, payload: str | bytes) -> None:
        self.received += len(payload)
        self.last_at = time.monotonic()


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser on PATH, else Playwright's own."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next((path for name in names if (path := shutil.which(name))), None)
    arguments = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


class Visitor:
    """Somebody who has logged in.

    Args:
        house: that is looked at.
        context: of the browser; its cache is kept from page to page.
    """

    def __init__(self, house: House, context: BrowserContext) -> None:
        self._house = house
        self._context = context
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.goto(house.dashboard_url)
        page.get_by_label("Token").fill(house.token)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("heading", name="Home", exact=True).wait_for()
        page.close()

    def at(self, house: House) -> "Visitor":
        """Somebody who has logged into another house, in the same browser."""
        browser = self._context.browser
        assert browser is not None, "the context is one of a browser's"
        return Visitor(house, browser.new_context(viewport=VIEWPORT))

    @contextmanager
    def opened(self, path: str, content: str) -> Iterator[tuple[Page, Wire, float]]:
        """A tab on a page that is drawn, what it has got, and the seconds until its content could be seen."""
        page, wire = self._context.new_page(), Wire()
        page.on("websocket", wire.listen)
        try:
            began = time.monotonic()
            page.goto(self._house.dashboard_url + path, wait_until="commit")
            page.locator(content).first.wait_for()
            seconds = time.monotonic() - began
            drawn(page, wire)
            yield page, wire, seconds
        finally:
            page.close()

    def cost(self, wanted: Wanted, numbers: dict[str, int]) -> dict[str, float]:
        """What a page asks of the backend, and what the browser gets, when it is opened and when it is drawn anew."""
        asked = self._house.counting.start_anew()
        with self.opened(wanted.path(numbers), wanted.content) as (page, wire, _):
            requests, sent = asked.total()
            figures: dict[str, float] = {"requests": requests, "reply_bytes": sent, "browser_bytes": wire.received}
            asked, before = self._house.counting.start_anew(), wire.received
            page.locator("body").press("r")  # Streamlit's key for drawing a page anew
            page.wait_for_timeout(300)
            drawn(page, wire)
            requests, sent = asked.total()
            return figures | {
                "rerun_requests": requests,
                "rerun_reply_bytes": sent,
                "rerun_browser_bytes": wire.received - before,
            }

    def left_alone(self, wanted: Wanted, numbers: dict[str, int], seconds: float) -> dict[str, float]:
        """What a page that nobody touches asks for, a minute."""
        with self.opened(wanted.path(numbers), wanted.content) as (page, wire, _):
            asked, before = self._house.counting.start_anew(), wire.received
            page.wait_for_timeout(seconds * 1000)
            requests, sent = asked.total()
            minute = 60 / seconds
            return {
                "requests": requests * minute,
                "reply_bytes": sent * minute,
                "browser_bytes": (wire.received - before) * minute,
            }


def drawn(page: Page, wire: Wire) -> None:
    """Wait until the script has ended and nothing more comes."""
    page.wait_for_function(_DRAWN)
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while time.monotonic() - wire.last_at < QUIET and time.monotonic() < deadline:
        page.wait_for_timeout(100)
