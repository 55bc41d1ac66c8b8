"""Order in many runs as a person brings it: tags, the archive, the search and the keys, on a phone as well."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from memgen.contract.demo import small_spec
from tests.browser.populated import populated
from tests.browser.studio import Studio as Visitor
from tests.dashboard.studio import GRPO, Studio

PHONE = {"width": 390, "height": 844}
RUN, TRAINING = "run?run=1", "run?run=3"
PAGES = [
    "", "launch", "queue", "runs", "pipelines", "checkpoints", "compare?runs=1,2", "lineage", "curves?runs=3,4",
    "data_sets", "notifications", RUN, TRAINING, f"{TRAINING}&tab=Checkpoint", "pipeline?pipeline=1",
    *(f"{RUN}&tab={tab}" for tab in ("Answers", "Log", "Settings", "History")),
]  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Studio, str]]:
    with populated(tmp_path_factory.mktemp("home")) as (studio, url):
        studio.evaluated(*[True, False] * 10, note="base for the paper")
        studio.evaluated(*[True, True] * 10)
        weaver = studio.trained()
        studio.trained(GRPO, checkpoint=str(weaver))
        studio.user("POST", "/pipelines", json=small_spec().model_dump(mode="json"))
        studio.user("POST", "/runs/tags", json={"runs": [1, 3], "add": ["Paper"], "group": "sweep", "confirm": True})
        yield studio, url


@pytest.fixture
def visitor(browser: Browser, house: tuple[Studio, str]) -> Iterator[Visitor]:
    context = browser.new_context(timezone_id="Asia/Seoul", viewport={"width": 1280, "height": 900})
    studio = Visitor(context.new_page(), house[1])
    studio.log_in(house[0].context.user_token)
    expect(studio.page.get_by_role("heading", level=1)).to_be_visible()
    yield studio
    context.close()


def overflow(page: Page) -> list[str]:
    """What stands beyond the right edge of the page and can't be scrolled to in a part of its own."""
    return page.evaluate(
        """() => {
          const wide = document.documentElement.clientWidth, out = [];
          const main = document.querySelector('[data-testid=stMain]');
          for (const one of main.querySelectorAll('button, a, input, h1, h2, h3, p, label')) {
            const box = one.getBoundingClientRect();
            if (box.width === 0 || box.height === 0 || box.right <= wide + 1) continue;
            let scrolls = false;
            for (let up = one.parentElement; up && up !== main; up = up.parentElement)
              if (/(auto|scroll|hidden)/.test(getComputedStyle(up).overflowX)) scrolls = true;
            if (!scrolls) out.push(`${one.tagName} ${one.innerText.slice(0, 40)} ${Math.round(box.right)}`);
          }
          return out;
        }"""
    )


def test_slash_opens_the_search_and_enter_the_first_hit(visitor: Visitor, house: tuple[Studio, str]) -> None:
    visitor.settled()
    visitor.page.keyboard.press("/")
    field = visitor.key("search_text").locator("input")
    with suppress(AssertionError):  # a page that is just drawn anew hears no key: whoever sees that presses again
        expect(field).to_be_visible(timeout=5_000)
    if not field.is_visible():
        visitor.settled()
        visitor.page.keyboard.press("/")
    expect(field).to_be_focused()
    visitor.page.keyboard.type("base for paper")
    expect(visitor.key("search_hits")).to_contain_text("run 1")
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.get_by_role("heading", name="Run 1", exact=True, level=1)).to_be_visible()
    expect(visitor.page.get_by_role("dialog")).to_have_count(0)


def test_no_key_does_anything_while_one_types(visitor: Visitor) -> None:
    visitor.visit("Runs")
    field = visitor.key("text").locator("input")
    field.click()
    visitor.page.keyboard.type("l/?np")
    expect(field).to_have_value("l/?np")
    visitor.settled()
    expect(visitor.page.get_by_role("dialog")).to_have_count(0)
    expect(visitor.page.get_by_role("heading", name="Runs", exact=True, level=1)).to_be_visible()


def test_keys_are_listed_and_lead_to_the_form(visitor: Visitor) -> None:
    visitor.visit("Runs")
    visitor.settled()
    visitor.page.get_by_role("heading", name="Runs", exact=True, level=1).click()
    visitor.page.keyboard.press("?")
    expect(visitor.page.get_by_role("dialog")).to_contain_text("Search everything")
    visitor.page.keyboard.press("Escape")
    expect(visitor.page.get_by_role("dialog")).to_have_count(0)
    visitor.page.keyboard.press("l")
    expect(visitor.page.get_by_role("heading", name="Launch", exact=True, level=1)).to_be_visible()


def test_times_stand_in_the_zone_of_the_reader_with_utc_beside_them(visitor: Visitor) -> None:
    visitor.page.goto(f"{visitor.url}/run?run=1&tab=History")
    expect(visitor.page.get_by_role("region", name="History of the run")).to_contain_text("Asia/Seoul")


def test_every_page_fits_a_phone(visitor: Visitor, tmp_path: Path) -> None:
    visitor.page.set_viewport_size(PHONE)
    wide = {}
    for number, path in enumerate(PAGES):
        visitor.page.goto(f"{visitor.url}/{path}")
        expect(visitor.page.get_by_role("heading", level=1).first).to_be_visible()
        visitor.settled()
        expect(visitor.page.get_by_text("This page met an error")).to_have_count(0)
        if found := overflow(visitor.page):
            wide[path] = found
            visitor.page.screenshot(path=tmp_path / f"{number}.png", full_page=True)
    assert wide == {}
