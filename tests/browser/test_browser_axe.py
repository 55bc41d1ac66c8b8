"""Can everybody read and use the pages? axe-core looks at them in both themes: nothing serious or critical."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.browser.populated import populated
from tests.browser.studio import Studio as Tab
from tests.dashboard.studio import Studio
from tests.homes.home import unpack

FIRST = ("/", "/run?run=1&tab=Settings", "/launch?what=weaver_sft", "/compare?runs=1,3,5,6")
OTHERS = (
    "/runs", "/run?run=1", "/run?run=1&tab=Answers", "/run?run=1&tab=Log", "/run?run=1&tab=History", "/run?run=2",
    "/run?run=2&tab=Metrics", "/run?run=2&tab=Checkpoint", "/run?run=4&tab=Rollouts", "/run?run=7", "/pipelines",
    "/pipeline?pipeline=1", "/checkpoints", "/compare?runs=1,3&tab=Answers", "/lineage", "/queue", "/data_sets",
    "/notifications", "/launch", "/launch?what=weaver_eval", "/curves?runs=2,4",
)  # fmt: skip
# Streamlit's own, and out of reach: groups of links inside a list, and the marks of a small curve without a title
LEFT_OUT = {"exclude": [["[data-testid=stSidebarNavItems]"], ["[data-testid=stMetricChart]"]]}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, presets_file: Path) -> Iterator[tuple[Studio, str]]:
    """A home with runs of every kind, and the address of its dashboard."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("axe") / "home"
        home.mkdir()
        patch.setenv("MEMGEN_HOME", str(home))
        patch.setenv("MEMGEN_PRESETS", str(presets_file))
        unpack(home)
        with populated(home) as studio_and_url:
            yield studio_and_url


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
