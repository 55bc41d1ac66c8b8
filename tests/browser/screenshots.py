"""`python -m tests.browser.screenshots`: takes the pictures of docs/guide.md and guide.ko.md, into docs/images/guide.

Backend, dashboard and browser are real; the runs are those of a made-up lab, reported over HTTP as workers report them.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, ViewportSize

from backend.api.client import Client
from benchmarks.dashboard.house import House, open_house
from benchmarks.dashboard.lab import Lab, Report, curves, rollouts
from benchmarks.dashboard.visitor import PATIENCE_MS, Wire, chromium, drawn
from memgen.contract.problem import Problem

PICTURES = Path(__file__).parents[2] / "docs" / "images" / "guide"
FOLDERS = {"en": PICTURES, "ko": PICTURES / "ko"}
"""By language."""
LOCALES = {"en": "en-GB", "ko": "ko-KR"}
SIZE: ViewportSize = {"width": 1280, "height": 860}
QUESTIONS = 200
STEPS = 60
# nothing is still to be drawn, or being drawn anew
_STILL = "() => !document.querySelector('[data-stale=true], [data-testid=stSkeleton]')"
TICK = {"x": 16.0, "y": 18 + 3 * 36.0}  # the box of a table's third row, in pixels: the weaver


@dataclass(frozen=True)
class Picture:
    """One picture of the guide."""

    path: str
    """Of the page; `{name}` stands for the number of a run."""
    shows: str
    """CSS selector of what must be there."""
    first: Callable[[Page], None] = lambda _page: None
    """What is done before the picture is taken."""
    height: int = 860
    """Of the window, in pixels."""
    part: str = ""
    """CSS selector of what is taken; the whole window without one."""


def _unfold(key: str) -> Callable[[Page], None]:
    def unfold(page: Page) -> None:
        page.locator(f".st-key-{key} summary").click()

    return unfold


def _tick(page: Page) -> None:
    table: Locator = page.locator(".st-key-checkpoints_table [data-testid=stDataFrame]")
    table.click(position={"x": TICK["x"], "y": TICK["y"]})
    page.locator(".st-key-next_trigger_grpo").wait_for()


PICTURES_OF_PAGES = {
    "empty": Picture("/", ".st-key-no_runs", height=560),
    "home": Picture("/", "[class*=st-key-running_]", height=980),
    "launch": Picture("/launch?what=weaver_sft", ".st-key-preflight [data-testid=stMetricValue]"),
    "run-all": Picture("/launch?what=all", ".st-key-preflight table"),
    "elsewhere": Picture("/launch?what=base_eval", ".st-key-elsewhere", _unfold("elsewhere"), part=".st-key-elsewhere"),
    "queue": Picture("/queue", "[class*=st-key-queued_]", height=640),
    "metrics": Picture("/run?run={live}&tab=Metrics", "[data-testid=stVegaLiteChart] :is(canvas, svg)"),
    "rollouts": Picture("/run?run={live}&tab=Rollouts", ".st-key-rollout_group", height=1000),
    "failed": Picture("/run?run={failed}", ".st-key-failure", height=640),
    "answers": Picture("/run?run={woven}&tab=Answers", "[class*=st-key-answer_]", height=1000),
    "checkpoints": Picture("/checkpoints", ".st-key-checkpoints_table canvas", _tick, height=560),
    "compare": Picture(
        "/compare?runs={base},{woven},{asked},{ltpo},{lora}", "[data-testid=stVegaLiteChart] :is(canvas, svg)"
    ),
    "lineage": Picture("/lineage", "[data-testid=stEChartsChart] svg"),
}
FIRST = "empty"  # taken before anything has run


def main() -> int:
    """Take all pictures, or those that are named."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.screenshots", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PICTURES_OF_PAGES)}; all if none")
    parser.add_argument("--language", choices=FOLDERS, help="one alone")
    arguments = parser.parse_args()
    names = arguments.names or list(PICTURES_OF_PAGES)
    if unknown := set(names) - PICTURES_OF_PAGES.keys():
        parser.error(f"there is no picture {min(unknown)}")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    languages = [arguments.language] if arguments.language else list(FOLDERS)
    with tempfile.TemporaryDirectory() as folder, open_house(Path(folder) / "home") as house, chromium() as browser:
        tabs = [_log_in(browser, house, language) for language in languages]
        with house.user() as user, house.worker() as worker:
            if FIRST in names:
                for tab in tabs:
                    _take(tab, house, FIRST, {})
            numbers = fill(house, user, worker)
            for tab in tabs:
                for name in names:
                    if name != FIRST:
                        _take(tab, house, name, numbers)
    return 0


@dataclass(frozen=True)
class Tab:
    """A logged-in tab of somebody who reads a language."""

    page: Page
    wire: Wire
    folder: Path
    """Where its pictures go."""


def _log_in(browser: Browser, house: House, language: str) -> Tab:
    FOLDERS[language].mkdir(parents=True, exist_ok=True)
    context = browser.new_context(
        viewport=SIZE, color_scheme="light", timezone_id="UTC", locale=LOCALES[language]
    )  # fmt: skip
    context.set_default_timeout(PATIENCE_MS)
    page, wire = context.new_page(), Wire()
    page.on("websocket", wire.listen)
    page.goto(house.dashboard_url)
    page.locator("#token").fill(house.token)
    page.locator("button[type=submit]").click()
    page.locator("h1").first.wait_for()
    return Tab(page, wire, FOLDERS[language])


def fill(house: House, user: Client, worker: Client) -> dict[str, int]:
    """What a lab has: a base, a weaver, a trigger, LTPO, a plain LoRA; one fails, one runs, two wait."""
    lab = Lab(house.home, user, worker)
    numbers = {"base": lab.evaluate(QUESTIONS, 0.18, "before anything was trained")}
    weaver = lab.train("weaver_sft", STEPS, "learning rate 1e-3", learning_rate=1e-3)
    numbers["woven"] = lab.evaluate(QUESTIONS, 0.86, setting="weaver", checkpoint=str(weaver))
    trigger = lab.train("trigger_grpo", STEPS, checkpoint=str(weaver))
    numbers["asked"] = lab.evaluate(QUESTIONS, 0.88, setting="weaver+trigger", checkpoint=str(trigger))
    numbers["ltpo"] = lab.evaluate(
        QUESTIONS, 0.885, stage="ltpo_evaluate", setting="weaver+trigger+ltpo", checkpoint=str(trigger)
    )
    lora = lab.train("lora_sft", STEPS, "the control: a plain LoRA")
    numbers["lora"] = lab.evaluate(QUESTIONS, 0.93, "the control: a plain LoRA", setting="lora", checkpoint=str(lora))
    too_long = Problem(
        code="nothing_fits", message="every example is longer than the config allows", field="max_prompt_length",
        value="64", way_out="Raise max_prompt_length.",
    )  # fmt: skip
    numbers["failed"] = lab.fail(too_long, "prompts cut", stage="weaver_sft", num_questions=None, max_prompt_length=64)
    numbers["live"] = _training(lab, str(weaver)).run_id
    for seed in (1, 2):
        user.submit(
            {
                "stage": "weaver_sft",
                "preset": "HuggingFaceTB/SmolLM2-135M-Instruct",
                "data": "wordproblems",
                "seed": seed,
            },
            note=f"seed {seed}",
        )
    return numbers


def _training(lab: Lab, weaver: str) -> Report:
    """A training from rewards that is half done."""
    live = lab.begin("from rewards", stage="weaver_grpo", num_questions=None, checkpoint=weaver)
    live.say({"event": "phase", "name": "train"}, *curves("weaver_grpo", range(1, STEPS // 2 + 1), STEPS))
    live.send("rollouts", b"".join(rollouts(step) for step in range(1, STEPS // 2 + 1)))
    live.send("log", "".join(f"step {step} of {STEPS}\n" for step in range(1, STEPS // 2 + 1)).encode())
    return live


def _take(tab: Tab, house: House, name: str, numbers: dict[str, int]) -> None:
    page, picture = tab.page, PICTURES_OF_PAGES[name]
    page.set_viewport_size({"width": SIZE["width"], "height": picture.height})
    page.goto(house.dashboard_url + picture.path.format_map(numbers))
    page.locator(picture.shows).first.wait_for()
    drawn(page, tab.wire)
    picture.first(page)
    page.mouse.move(SIZE["width"] - 5, picture.height - 5)
    page.wait_for_timeout(1500)  # charts and dialogs move into their places
    page.wait_for_function(_STILL)
    path = tab.folder / f"{name}.png"
    if picture.part:
        page.locator(picture.part).screenshot(path=path, animations="disabled")
    else:
        page.screenshot(path=path, animations="disabled")
    print(f"{name}.png", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
