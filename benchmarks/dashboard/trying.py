"""Try on the demo's model, as somebody at a browser sees it: what is said while it loads, and when an answer begins."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from backend.api.schemas import TryStatus
from backend.launcher import redis_server
from benchmarks.dashboard.house import House, open_house
from benchmarks.dashboard.plan import GOAL_FIRST_TOKEN
from benchmarks.dashboard.visitor import Visitor
from memgen.contract.data_sets.registry import SHIPPED
from memgen.data import load_questions

LONGEST_ANSWER = 96  # tokens, as in the demo
COLUMNS = 4  # the base, and what the shipped checkpoint is good for
LOADED_SECONDS, ANSWERED_SECONDS, ENDED_SECONDS = 900.0, 600.0, 120.0  # the first time the model is fetched
LOOK_SECONDS = 0.05
READY = "Ready: its columns are loaded."
_BEGUN = re.compile(r"^([1-9][\d,]* tokens? so far|Answer: .*)$")
_ANSWERED = re.compile(r"^Answer: ")


def first_tokens(home: Path, visitor: Visitor) -> dict[str, Any]:
    """Open a session of the shipped checkpoint, and ask it twice.

    Args:
        home: of a service of its own, whose model is kept there.
        visitor: whose browser is used.

    Returns:
        `loading`: sentences with the seconds after which each was read; `loaded_seconds`; `first_token_seconds` of each
        question, from the click to what is seen; `trainer_seconds` of the same by the trainer's clock, from the
        beginning of the answer; `limit_seconds` of the second question.
    """
    with open_house(home) as house, _worker(house), _sessions_ended(house):
        with house.user() as user:
            checkpoint = user.shipped_checkpoints().trigger
        address = f"/try_out?checkpoint={checkpoint}"
        with visitor.at(house).opened(address, ".st-key-open_session button") as (page, _, _):
            page.get_by_label("Longest answer", exact=True).fill(str(LONGEST_ANSWER))
            page.get_by_label("Longest answer", exact=True).press("Enter")
            page.locator(".st-key-open_session button").click()
            loading = list(_said_until_ready(page))
            first, second = load_questions(SHIPPED, "test", limit=2)
            seconds = [_asked(page, 1, first.question, COLUMNS), _asked(page, 2, second.question, 1)]
        with house.user() as user:
            asked = user.try_session(user.try_sessions().items[0].id).asked
    return {
        "loading": loading,
        "loaded_seconds": loading[-1]["seconds"],
        "first_token_seconds": seconds,
        "trainer_seconds": [one.answers[0].first_token_seconds for one in asked],
        "limit_seconds": GOAL_FIRST_TOKEN,
    }


def _said_until_ready(page: Page) -> Iterator[dict[str, Any]]:
    """What the page says of the session, whenever it is something new, until it takes questions."""
    sentence = page.locator(".st-key-try_head [data-testid=stCaptionContainer]").first
    began, before = time.monotonic(), ""
    while time.monotonic() - began < LOADED_SECONDS:
        says = sentence.inner_text()
        if says != before:
            before = says
            yield {"seconds": time.monotonic() - began, "says": says}
        if says == READY:
            return
        page.wait_for_timeout(1000 * LOOK_SECONDS)
    raise TimeoutError(f"the columns are not loaded: {before}")


def _asked(page: Page, number: int, question: str, columns: int) -> float:
    """Ask, and wait until so many columns have answered; seconds until the first token could be seen."""
    page.get_by_label("Question", exact=True).fill(question)
    began = time.monotonic()
    page.locator(".st-key-ask_question button").click()
    asked = page.locator(f".st-key-asked_{number}")
    asked.get_by_text(_BEGUN).first.wait_for()
    seconds = time.monotonic() - began
    asked.get_by_text(_ANSWERED).nth(columns - 1).wait_for(timeout=1000 * ANSWERED_SECONDS)
    return seconds


@contextmanager
def _worker(house: House) -> Iterator[None]:
    """A worker with the processor as its slot."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MEMGEN_")}
    environment |= {
        "MEMGEN_HOME": str(house.home),
        "MEMGEN_BACKEND_URL": house.url,
        "MEMGEN_WORKER_TOKEN": house.context.worker_token,
        "REDIS_URL": f"unix://{redis_server.socket_path(house.home)}",
    }
    process = subprocess.Popen([sys.executable, "-m", "worker", "--slots", "cpu"], env=environment)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def _sessions_ended(house: House) -> Iterator[None]:
    """Sessions of the block end with it: their trainers would outlive the worker."""
    try:
        yield
    finally:
        deadline = time.monotonic() + ENDED_SECONDS
        with house.user() as user:
            for one in user.try_sessions().items:
                user.close_try(one.id)
            while any(one.status is not TryStatus.ENDED for one in user.try_sessions().items):
                if time.monotonic() > deadline:
                    raise TimeoutError("a session does not end")
                time.sleep(LOOK_SECONDS)
