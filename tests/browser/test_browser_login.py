"""In and out through the login, as a browser with its rules on cookies, origins and content does it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.studio import Studio
from tests.ports import free_port
from tests.serving import serving_process
from tests.warm_python import warm_python

TOKEN = "a-long-secret-of-this-house"


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A dashboard whose backend does not run."""
    port, backend = free_port(), f"http://127.0.0.1:{free_port()}"
    command = [warm_python(), "-m", "dashboard", "--port", str(port)]
    with serving_process(
        command, port, MEMGEN_TOKEN=TOKEN, MEMGEN_HOME=str(tmp_path), MEMGEN_BACKEND_URL=backend
    ) as address:
        yield address


def test_browser_logs_in_and_out_and_asks_nobody_else(page: Page, url: str) -> None:
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    studio = Studio(page, url)
    studio.log_in(TOKEN)
    expect(page.get_by_text("The backend does not answer")).to_be_visible()
    other_tab = page.context.new_page()
    other_tab.goto(url)
    expect(other_tab.get_by_text("The backend does not answer")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    expect(other_tab.get_by_label("Token")).to_be_visible()  # by itself: its session has ended, too
    assert {one for one in asked if not one.startswith((url, "data:", "blob:"))} == set()
    assert [line for line in said if "Content Security Policy" in line] == []
