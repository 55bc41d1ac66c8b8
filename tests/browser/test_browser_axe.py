"""Can everybody read and use the pages? axe-core looks at them in both themes: nothing serious or critical."""

import json

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.browser.populated import FIRST, OTHERS
from tests.browser.studio import Studio as Tab
from tests.dashboard.studio import Studio

# Streamlit's own, and out of reach: groups of links inside a list, and the marks of a small curve without a title
LEFT_OUT = {"exclude": [["[data-testid=stSidebarNavItems]"], ["[data-testid=stMetricChart]"]]}


def complaints(page: Page) -> list[str]:
    """What axe finds serious or critical, each with the element and the reason."""
    found = Axe().run(page, context=LEFT_OUT).response["violations"]  # type: ignore[arg-type]
    return [
        f"{one['id']}: {node['html'][:200]} {json.dumps(node['any'])[:300]}"
        for one in found
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "paths", [pytest.param(FIRST, id="first"), pytest.param(OTHERS, id="others", marks=pytest.mark.long)]
)
def test_nothing_serious_is_wrong_with_a_page(
    browser: Browser, shown: tuple[Studio, str], scheme: str, paths: tuple[str, ...]
) -> None:
    studio, url = shown
    context = browser.new_context(viewport={"width": 1400, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(url)
    assert complaints(page) == []
    tab = Tab(page, url)
    tab.log_in(studio.context.user_token)
    for path in paths:
        page.goto(f"{url}{path}")
        tab.settled()
        assert complaints(page) == [], path
    context.close()
