"""What people come for, with thousands of runs around it: five tasks in few clicks, and the keyboard alone."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from benchmarks.dashboard.home import family, fill_many
from benchmarks.dashboard.house import House, open_house
from benchmarks.dashboard.lab import Lab, answers
from memgen.contract.problem import Problem
from memgen.contract.status import RunStatus
from tests.browser.studio import Studio as Tab
from tests.warm_python import warm_python

RUNS = 2000
MOST_CLICKS = 5
HEADER, ROW, TICK_COLUMN = 18, 36, 32  # pixels: middle of a table's first line, height of a line, its first column
NUMBER = TICK_COLUMN + (32 + 8 * len("Checkpoint")) / 2  # pixels: where the buttons with the numbers are
MOST_TABS = 120  # presses of Tab on the way to anything of a page
# each press of a mouse's button counts, wherever it lands; a page that is loaded anew goes on counting
COUNTING = (
    "window.addEventListener('pointerdown', () => sessionStorage.clicks = 1 + Number(sessionStorage.clicks || 0), true)"
)
RIGHT_TO_LEFT, EMOJI = "تجربة أولى (1)", "🧵 weaver 👩‍🔬 <b>bold</b> ‮evil"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, dict[str, int]]]:
    """Thousands of runs, and a newest family of them, whose numbers are given."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        home = tmp_path_factory.mktemp("many") / "home"
        with open_house(home, warm_python()) as running, running.user() as user, running.worker() as worker:
            lab = Lab(home, user, worker)
            assert fill_many(running, lab, RUNS) >= RUNS
            yield running, family(lab, 40)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1400, "height": 900})
    made.set_default_timeout(30_000)
    made.add_init_script(COUNTING)
    yield made
    made.close()


@pytest.fixture
def home(house: tuple[House, dict[str, int]], context: BrowserContext) -> Tab:
    """Home, with no click so far."""
    running, _ = house
    tab = Tab(context.new_page(), running.dashboard_url)
    tab.log_in(running.token)
    expect(tab.page.get_by_role("heading", name="Home", exact=True)).to_be_visible()
    tab.settled()
    tab.page.evaluate("sessionStorage.clicks = 0")
    return tab


def clicks(tab: Tab) -> int:
    return int(tab.page.evaluate("Number(sessionStorage.clicks)"))


def click_link(tab: Tab, name: str) -> None:
    """Open a page by the sidebar, with one click."""
    tab.page.get_by_role("link", name=name, exact=True).first.click()
    expect(tab.page.get_by_role("heading", name=name, exact=True, level=1)).to_be_visible()
    tab.settled()


def test_demo_starts_in_at_most_five_clicks(house: tuple[House, dict[str, int]], home: Tab) -> None:
    click_link(home, "Launch")
    home.key("what").get_by_role("radio", name="Run all").click()
    home.settled()
    home.key("run_demo").get_by_role("button").click()
    home.page.wait_for_url(re.compile(r"/pipeline\?pipeline=\d+"))
    assert clicks(home) <= MOST_CLICKS
    number = int(re.search(r"pipeline=(\d+)", home.page.url).group(1))  # type: ignore[union-attr]
    with house[0].user() as user:
        assert user.pipeline(number).note == "Demo"
        user.stop_pipeline(number)


def test_why_a_run_failed_is_said_in_at_most_five_clicks(house: tuple[House, dict[str, int]], home: Tab) -> None:
    failed = house[1]["failed"]
    card = home.key(f"attention_{failed}")
    expect(card).to_contain_text("Every example is longer than the config allows")
    card.get_by_role("link").click()
    expect(home.key("run_title")).to_contain_text(f"Run {failed}")
    expect(home.key("failure")).to_contain_text("Raise max_prompt_length")
    assert clicks(home) <= MOST_CLICKS


def test_best_checkpoint_is_seen_in_at_most_five_clicks(house: tuple[House, dict[str, int]], home: Tab) -> None:
    click_link(home, "Checkpoints")
    home.key("checkpoints_order_column").get_by_role("combobox").click()
    home.page.get_by_role("option", name="Best accuracy").click()
    home.page.wait_for_url(re.compile(r"sort=-accuracy"))
    home.settled()
    home.key("checkpoints_table").get_by_test_id("stDataFrame").click(position={"x": NUMBER, "y": HEADER + ROW})
    home.page.wait_for_url(re.compile(r"/run\?run=\d+"))
    assert clicks(home) <= MOST_CLICKS
    opened = int(re.search(r"run=(\d+)", home.page.url).group(1))  # type: ignore[union-attr]
    with house[0].user() as user:
        best = user.checkpoint_results(sort="-accuracy", limit=1).items[0].checkpoint
    assert opened == best.id


def test_trigger_of_an_older_weaver_is_trained_in_at_most_five_clicks(
    house: tuple[House, dict[str, int]], home: Tab
) -> None:
    click_link(home, "Checkpoints")
    table = home.key("checkpoints_table").get_by_test_id("stDataFrame")
    expect(table).to_be_visible()
    home.settled()
    table.click(
        position={"x": NUMBER, "y": HEADER}
    )  # the newest are first, so the header of the numbers turns it round
    home.page.wait_for_url(re.compile(r"[?&]sort=checkpoint"))
    home.settled()
    table.click(position={"x": TICK_COLUMN / 2, "y": HEADER + ROW})
    home.key("next_trigger_grpo").get_by_role("button").click()
    home.page.wait_for_url(re.compile(r"/launch\?.*what=trigger_grpo"))
    home.settled()
    expect(home.key("config_checkpoint").get_by_role("combobox")).to_have_value(re.compile(r"^2 · weaver_sft"))
    home.key("launch").get_by_role("button").click()
    home.page.wait_for_url(re.compile(r"/run\?run=\d+"))
    assert clicks(home) <= MOST_CLICKS
    number = int(re.search(r"run=(\d+)", home.page.url).group(1))  # type: ignore[union-attr]
    with house[0].user() as user:
        run = user.run(number)
        assert (run.stage, run.config["checkpoint"]) == ("trigger_grpo", "2")
        user.stop(number)


def test_comparison_is_shared_in_at_most_five_clicks(house: tuple[House, dict[str, int]], home: Tab) -> None:
    running, numbers = house
    home.key(f"result_{numbers['weaver']}").get_by_role("link", name=re.compile("against run")).click()
    expect(home.key("verdicts")).to_contain_text("Better")
    home.tab("Answers")
    home.page.wait_for_url(re.compile(r"tab=Answers"))
    assert clicks(home) <= MOST_CLICKS
    shared = home.page.url
    somebody = home.page.context.browser
    assert somebody is not None
    elsewhere = somebody.new_context()
    other = Tab(elsewhere.new_page(), running.dashboard_url)
    other.page.goto(shared)
    other.page.get_by_label("Token").fill(running.token)
    other.page.get_by_role("button", name="Log in").click()
    expect(other.key("verdicts")).to_contain_text("Better")
    expect(other.page.get_by_role("tab", name="Answers")).to_have_attribute("aria-selected", "true")
    elsewhere.close()


def focused(page: Page) -> str:
    """Role and words of what has the focus."""
    words: str = page.evaluate(
        """() => {
            const one = document.activeElement;
            const words = one.querySelector("[data-testid=stMarkdownContainer]") || one;  // beside them stands a key
            const label = one.getAttribute("aria-label") || words.innerText || "";
            return `${one.getAttribute("role") || one.tagName.toLowerCase()} ${label.trim().split("\\n").pop()}`;
        }"""
    )
    return words


def tab_to(page: Page, wanted: str) -> None:
    """Press Tab until this has the focus."""
    seen: list[str] = []
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        seen.append(focused(page))
        if re.fullmatch(wanted, seen[-1]):
            return
    raise AssertionError(f"no way to {wanted!r} by Tab: {seen}")


def test_keyboard_alone_launches_stops_and_compares(house: tuple[House, dict[str, int]], home: Tab) -> None:
    running, numbers = house
    page = home.page
    tab_to(page, "a Launch")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Launch", exact=True)).to_be_visible()
    expect(home.key("launch").get_by_role("button")).to_be_enabled()
    home.settled()
    tab_to(page, "button Launch")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/run\?run=\d+"))
    number = int(re.search(r"run=(\d+)", page.url).group(1))  # type: ignore[union-attr]
    expect(home.key("run_title")).to_contain_text("queued")
    home.settled()
    tab_to(page, "button Stop")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("has not started")
    home.settled()
    tab_to(page, "button Stop the run")
    page.keyboard.press("Enter")
    expect(home.key("run_title")).to_contain_text("cancelled")
    with running.user() as user:
        assert user.run(number).status is RunStatus.CANCELLED
    home.settled()
    tab_to(page, "a Compare")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Compare", exact=True)).to_be_visible()
    home.settled()
    tab_to(page, r"(combobox|input) .*Evaluations.*")
    for one in (numbers["base"], numbers["weaver"]):
        page.keyboard.type(f"run {one} ")
        wanted = page.get_by_role("option", name=re.compile(rf"^run {one} ")).first
        expect(wanted).to_be_visible()
        for _ in range(MOST_TABS):
            if wanted.get_attribute("data-focused") == "true":
                break
            page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        expect(home.key("compare_runs")).to_contain_text(f"run {one} ")
        home.settled()
    expect(home.key("verdicts")).to_contain_text("Better")
    assert clicks(home) == 0
    home.no_trace_of_an_error()


def test_text_from_right_to_left_and_emoji_stay_in_their_place(house: tuple[House, dict[str, int]], home: Tab) -> None:
    running, _ = house
    with running.user() as user, running.worker() as worker:
        lab = Lab(running.home, user, worker)
        arabic = lab.fail(
            Problem(code="x", message=f"the folder {RIGHT_TO_LEFT} is not there", way_out="Name another."),
            RIGHT_TO_LEFT, stage="weaver_sft", num_questions=None,
        )  # fmt: skip
        report = lab.begin(EMOJI, stage="evaluate", num_questions=2)
        records = [
            {**record, "question": f"{RIGHT_TO_LEFT} {EMOJI}", "completion": f"{EMOJI} \\boxed{{4}} {RIGHT_TO_LEFT}"}
            for record in answers(2, 1.0, insertions=False)
        ]
        report.answer(records)
        report.send("log", f"{RIGHT_TO_LEFT}\n{EMOJI}\n".encode())
        emoji = report.succeed({"num_questions": 2, "accuracy": 1.0}, {})
    seen = EMOJI.replace("‮", "⟨U+202E⟩")
    home.page.reload()
    expect(home.key(f"attention_{arabic}")).to_contain_text(RIGHT_TO_LEFT)
    expect(home.key(f"result_{emoji}")).to_contain_text(seen)
    for path, key, text in (
        (f"/run?run={arabic}", "failure", RIGHT_TO_LEFT),
        (f"/run?run={emoji}", "note", seen),
        (f"/run?run={emoji}&tab=Log", "log", seen),
        (f"/run?run={emoji}&tab=Log&log_text=تجربة", "log", RIGHT_TO_LEFT),
        (f"/run?run={emoji}&tab=Answers", "answer_0", f"{RIGHT_TO_LEFT} {seen}"),
    ):
        home.page.goto(f"{running.dashboard_url}{path}")
        expect(home.key(key)).to_contain_text(text)
        wide = home.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, path
        home.no_trace_of_an_error()
