"""Hostile texts as a real browser draws them: they say what they say, and nothing comes alive."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.foreign_text_page import HOSTILE
from tests.browser.studio import Studio
from tests.ports import free_port
from tests.serving import serving_process
from tests.warm_python import warm_python

TOKEN = "a-long-secret-of-this-house"
KINDS = ("markdown", "bold", "caption", "warning", "link", "expander", "radio", "progress")


@pytest.fixture
def url() -> Iterator[str]:
    port = free_port()
    with serving_process([warm_python(), "-m", "tests.browser.foreign_text_server", str(port), TOKEN], port) as address:
        yield address


def test_foreign_text_is_shown_as_it_is_and_nothing_of_it_comes_alive(page: Page, url: str) -> None:
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    Studio(page, url).log_in(TOKEN)
    expect(page.get_by_text("the end", exact=True)).to_be_visible()
    expect(
        page.locator("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg").first
    ).to_be_visible()
    expect(page.locator("[data-testid=stGraphVizChart]").get_by_text("drawn")).to_be_visible()
    for number, text in enumerate(HOSTILE):
        for kind in KINDS:
            shown = page.locator(f".st-key-{kind}_{number}").evaluate("element => element.textContent")
            assert text in shown.replace("\xa0", " "), (kind, shown)
    alive = page.locator(
        "a[href*='evil'], a[href^='mailto'], a[href^='javascript'], img[src*='evil'], .katex, main h1, main h2, "
        "[class*=st-key-markdown] :is(strong, em, del, code, img, table, blockquote, li, [data-testid=stIconMaterial])"
    )
    assert alive.count() == 0, alive.evaluate_all("all => all.map(one => one.outerHTML)")
    assert {one for one in asked if not one.startswith((url, "data:", "blob:"))} == set()
    assert [line for line in said if "Content Security Policy" in line] == []
