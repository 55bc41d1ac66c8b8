"""Lists with mouse and keyboard: sorted by a header, ticked, opened by a number, stopped and deleted many at once."""

import csv
import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from dashboard.run.runs_table import COLUMNS
from tests.browser.populated import populated
from tests.browser.studio import Studio as Tab
from tests.dashboard.studio import SFT, Studio, metric, progress
from tests.running_stack import wait_until

HEADER, ROW = 18, 36  # pixels: the middle of a table's first line, the height of a line
TICK_COLUMN, FIRST_COLUMN = 32, 56  # pixels: how wide they are
MANY = 24


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Studio, str]]:
    """Runs 1 to 6: a base, a weaver, its evaluation, two failures, a training under way; then three that wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        with populated(tmp_path_factory.mktemp("lists") / "home") as (studio, url):
            studio.announce()
            studio.evaluated(*[True] * 3, *[False] * (MANY - 3), data="wordproblems")
            losses, epochs = metric("train/loss", 3.0, 2.5, 1.5), metric("train/epoch", 0.5, 1.0, 1.5)
            studio.trained(SFT, *losses, *epochs)
            studio.evaluated(
                *[True] * 20, *[False] * (MANY - 20), data="wordproblems", setting="weaver", checkpoint="2"
            )
            studio.failed()
            studio.failed()
            studio.claimed(**SFT).say(*metric("train/loss", 2.0, 1.0), progress(2, 8))
            studio.many(3)
            yield studio, url


def go(tab: Tab, name: str) -> None:
    """Open a page by its link, from Home if no other is open."""
    if not tab.page.url.startswith(tab.url):
        tab.page.goto(tab.url)
        tab.settled()
    tab.page.get_by_role("link", name=name, exact=True).first.click()
    expect(tab.page.get_by_role("heading", name=name)).to_be_visible()
    tab.settled()


def table(tab: Tab, key: str) -> Locator:
    found = tab.key(key).get_by_test_id("stDataFrame")
    expect(found).to_be_visible()
    tab.settled()
    return found


def tick(tab: Tab, key: str, *rows: int) -> None:
    """Tick rows by the box at their beginning."""
    for row in rows:
        table(tab, key).click(position={"x": TICK_COLUMN / 2, "y": HEADER + ROW * (row + 1)})
        tab.settled()


def header(name: str) -> dict[str, float]:
    """Where the header of a column of the list of runs is; the browser draws the table as a picture."""
    left = TICK_COLUMN + FIRST_COLUMN
    for column, settings in COLUMNS.items():
        if column == name:
            return {"x": left + settings["width"] / 3, "y": HEADER}
        left += settings["width"]
    raise KeyError(name)


def selected(tab: Tab, text: str) -> None:
    """See how many rows are ticked."""
    expect(tab.key("runs_bar")).to_contain_text(text)


def test_header_sorts_all_runs_and_arrow_keys_open_none(tab: Tab) -> None:
    go(tab, "Runs")
    chosen = tab.key("runs_order_column").get_by_role("combobox")
    for sort in ("-accuracy", "accuracy"):
        table(tab, "runs_table").click(position=header("accuracy"))  # type: ignore[arg-type]
        tab.page.wait_for_url(re.compile(rf"/runs\?sort={sort}$"))
        expect(chosen).to_have_value("Accuracy")
    table(tab, "runs_table").click(position={"x": 300, "y": HEADER + ROW})
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        tab.page.keyboard.press(key)
    tab.settled()
    expect(tab.page.get_by_role("heading", name="Runs")).to_be_visible()
    tab.page.reload()
    expect(chosen).to_have_value("Accuracy")
    tab.settled()
    table(tab, "runs_table").click(position={"x": TICK_COLUMN + FIRST_COLUMN / 2, "y": HEADER + ROW})
    tab.page.wait_for_url(re.compile(r"/run\?run=1(&|$)"))  # the base answered fewest rightly
    expect(tab.key("run_title")).to_contain_text("Run 1")
    tab.page.go_back()
    expect(chosen).to_have_value("Accuracy")
    tab.no_trace_of_an_error()


def test_ticked_runs_are_followed_while_the_list_moves_then_stopped_and_deleted(
    house: tuple[Studio, str], tab: Tab
) -> None:
    studio, _ = house
    go(tab, "Runs")
    newest = studio.get("/runs")["items"][0]["id"]
    tick(tab, "runs_table", 0, 1)
    selected(tab, "2 selected")
    studio.many(1)
    expect(tab.key("runs_pager")).to_contain_text(f"of {newest + 1}")  # the list has refreshed itself
    tab.key("bulk_stop").get_by_role("button").click()
    dialog = tab.page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Each of 2 runs leaves the queue: {newest}, {newest - 1}")
    dialog.get_by_role("button", name="Stop 2 runs").click()
    expect(dialog).to_have_count(0)
    wait_until(lambda: studio.run(newest)["status"] == "cancelled", 10, "the stop")
    assert studio.run(newest + 1)["status"] == "queued"
    expect(tab.key("bulk_delete").get_by_role("button")).to_be_enabled()
    selected(tab, "2 selected")
    tab.key("bulk_delete").get_by_role("button").click()
    expect(dialog).to_contain_text(f"Each of 2 runs goes with its files: {newest}, {newest - 1}")
    dialog.get_by_role("button", name="Change nothing").click()
    expect(dialog).to_have_count(0)
    tab.key("bulk_delete").get_by_role("button").click()
    dialog.get_by_role("button", name="Delete 2 runs for good").click()
    expect(tab.page.get_by_text("2 runs deleted.")).to_be_visible()
    assert {newest, newest - 1}.isdisjoint(run["id"] for run in studio.get("/runs")["items"])
    tab.no_trace_of_an_error()


def test_home_leads_to_what_failed_and_to_the_comparison_of_a_result(tab: Tab) -> None:
    tab.page.goto(tab.url)
    expect(tab.page.get_by_role("heading", name="Home")).to_be_visible()
    for text in ("Needs attention", "Last results", "Waiting", "Machines", "train/loss"):
        expect(tab.page.get_by_text(text, exact=True).first).to_be_visible()
    expect(tab.key("result_3")).to_contain_text("83.3 % of 24")
    tab.key("attention_5").get_by_role("link").click()
    expect(tab.key("run_title")).to_contain_text("Run 5")
    tab.page.go_back()
    tab.key("result_3").get_by_role("link", name="against run 1").click()
    expect(tab.key("verdicts")).to_contain_text("Better")
    tab.no_trace_of_an_error()


def test_checkpoint_that_is_ticked_leads_to_the_training_of_its_trigger(tab: Tab) -> None:
    go(tab, "Checkpoints")
    tick(tab, "checkpoints_table", 0)
    tab.key("next_trigger_grpo").get_by_role("button").click()
    tab.page.wait_for_url(re.compile(r"/launch\?.*what=trigger_grpo"))
    expect(tab.key("config_checkpoint").get_by_role("combobox")).to_have_value(re.compile(r"^2 · weaver_sft"))
    tab.no_trace_of_an_error()


def test_ticked_runs_are_drawn_together_grouped_and_kept_in_the_address(tab: Tab) -> None:
    tab.page.goto(f"{tab.url}/runs?sort=run")
    tick(tab, "runs_table", 1, 5)
    selected(tab, "2 selected")
    tab.key("bulk_curves").get_by_role("button").click()
    tab.page.wait_for_url(re.compile(r"/curves\?runs=2(,|%2C)6"))
    expect(tab.page.get_by_label("Curves of train/loss of runs 2, 6").last).to_be_visible()
    tab.choose("curves_group", "all settings but the seed")
    tab.page.wait_for_url(re.compile(r"group=config"))
    tab.press("curves_band", "one standard deviation")
    expect(tab.page.get_by_text("at least two of its runs")).to_be_visible()
    tab.page.wait_for_url(re.compile(r"band=deviation"))
    tab.page.reload()
    expect(tab.key("curves_group").get_by_role("combobox")).to_have_value("all settings but the seed")
    expect(tab.key("curves_band").get_by_role("radio", name="one standard deviation")).to_be_checked()
    tab.no_trace_of_an_error()


def test_metric_is_looked_at_over_epochs_in_a_range_and_another_run_is_added(tab: Tab) -> None:
    tab.page.goto(f"{tab.url}/run?run=2&tab=Metrics")
    tab.choose("metric", "train/loss")
    tab.press("over", "epoch")
    tab.press("smoothing", "much")
    tab.type("first_step", "2")
    tab.page.wait_for_url(re.compile(r"first_step=2"))
    tab.page.reload()
    expect(tab.key("over").get_by_role("radio", name="epoch")).to_be_checked()
    expect(tab.key("first_step").locator("input")).to_have_value("2")
    tab.settled()
    tab.page.get_by_role("link", name="Add a run").click()
    tab.page.wait_for_url(re.compile(r"/curves\?runs=2&metric=train"))
    expect(tab.key("curves_over").get_by_role("radio", name="epoch")).to_be_checked()
    tab.press("curves_over", "step")
    tab.pick("curves_runs", "run 6")
    tab.page.wait_for_url(re.compile(r"runs=2(,|%2C)6"))
    expect(tab.page.get_by_label("Curves of train/loss of runs 2, 6").last).to_be_visible()
    tab.no_trace_of_an_error()


def test_baseline_is_pinned_from_a_comparison_and_unpinned_on_home(tab: Tab) -> None:
    tab.page.goto(f"{tab.url}/compare?runs=1,3")
    expect(tab.key("verdicts")).to_contain_text("Better")
    tab.settled()
    tab.page.get_by_role("button", name="Pin run 1 as the baseline").click()
    expect(tab.key("pin")).to_contain_text("run 1 is the pinned baseline")
    go(tab, "Home")
    expect(tab.key("baseline")).to_contain_text("Pinned baseline: run 1, base")
    tab.key("unpin_baseline").get_by_role("button").click()
    expect(tab.key("baseline")).to_have_count(0)
    tab.page.goto(f"{tab.url}/compare?runs=1,3")
    tab.settled()
    tab.key("pin_baseline").get_by_role("button").click()
    tab.key("unpin_baseline").get_by_role("button").click()
    expect(tab.key("pin_baseline")).to_be_visible()
    tab.no_trace_of_an_error()


def test_tabs_of_a_comparison_stay_in_the_address_and_its_files_are_downloaded(tab: Tab) -> None:
    tab.page.goto(f"{tab.url}/compare?runs=1,3")
    tab.settled()
    with tab.page.expect_download() as table:
        tab.key("download_results").get_by_role("link", name="JSONL").click()
    rows = [json.loads(line) for line in table.value.path().read_text().splitlines()]
    assert [(row["run_id"], row["verdict"]) for row in rows] == [(1, None), (3, "better")]
    tab.tab("Answers")
    tab.page.wait_for_url(re.compile(r"tab=Answers"))
    tab.press("pairs", "Fixed")
    tab.page.wait_for_url(re.compile(r"pairs=fixed"))
    tab.page.reload()
    expect(tab.key("pairs").get_by_role("radio", name="Fixed")).to_be_checked()
    expect(tab.key("pair_3")).to_contain_text("fixed")
    tab.settled()
    with tab.page.expect_download() as answers:
        tab.key("download_answers").get_by_role("link", name="CSV").click()
    with answers.value.path().open(newline="") as file:
        kinds = [row["kind"] for row in csv.DictReader(file)]
    assert kinds == ["fixed"] * 17
    for name, text in (
        ("Insertions", "inserts no latents"),
        ("Settings that differ", "trainings that they descend from"),
    ):
        tab.tab(name)
        expect(tab.page.get_by_text(text)).to_be_visible()
    tab.tab("Curves")
    expect(tab.page.get_by_text("None of these runs has reported a metric yet")).to_be_visible()
    tab.no_trace_of_an_error()


def test_enter_in_the_picker_of_a_comparison_takes_the_first_match(tab: Tab) -> None:
    tab.page.goto(f"{tab.url}/compare")
    tab.settled()
    tab.key("compare_runs").get_by_role("combobox").click()
    tab.page.keyboard.type("run")
    first = tab.page.get_by_role("option").first
    expect(first).to_contain_text("run ")
    words = first.inner_text().split(" · ")[0]
    assert tab.page.get_by_role("option").count() > 1
    tab.page.keyboard.press("Enter")
    expect(tab.key("compare_runs")).to_contain_text(words)
    expect(tab.page).to_have_url(re.compile(rf"runs={words.removeprefix('run ')}($|&)"))
