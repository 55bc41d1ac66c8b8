"""The search in the menu, and the keys."""

import re
from pathlib import Path

from streamlit.testing.v1 import AppTest

import dashboard
from dashboard.parts.shortcuts import SHORTCUTS
from tests.dashboard.pages import open_page, said
from tests.dashboard.run.test_bulk import shown_runs
from tests.dashboard.studio import Studio, links


def search(app: AppTest, text: str) -> AppTest:
    app.button(key="search").click().run()
    app.text_input(key="search_text").set_value(text).run()
    assert not app.exception
    return app


def test_run_is_found_by_its_number_and_by_a_word_of_its_note_and_linked(studio: Studio) -> None:
    run_id = studio.submit(note="for *the* paper")
    app = search(open_page(), "paper")
    label = next(label for label in links(app) if label.startswith("run"))
    assert label.replace("\\", "").startswith(f"run {run_id} · evaluate, base · for *the* paper")
    assert links(app)[label] == f"run={run_id}"
    assert f"run={run_id}" in links(search(open_page(), f"run {run_id}")).values()


def test_one_search_sends_one_request(studio: Studio) -> None:
    app = open_page()
    app.button(key="search").click().run()
    studio.wire.asked.clear()
    app.text_input(key="search_text").set_value("x").run()
    assert studio.wire.paths().count("GET /search") == 1
    assert len(studio.wire.paths()) <= 3


def test_checkpoint_is_linked_to_its_training_and_nothing_says_so(studio: Studio) -> None:
    training = studio.trained()
    assert f"run={training}&tab=Checkpoint" in links(search(open_page(), f"checkpoint {training}")).values()
    assert "Nothing has all of these words" in said(search(open_page(), "nowhere"))


def test_tag_opens_the_list_with_its_runs_whatever_was_filtered_before(studio: Studio) -> None:
    tagged, _ = studio.failed(), studio.submit()
    studio.user("POST", "/runs/tags", json={"runs": [tagged], "add": ["Paper"], "confirm": True})
    app = search(open_page("runs", status="queued"), "paper")
    app.button(key="search_hit_0").click().run()
    assert shown_runs(app) == [tagged]
    assert app.selectbox(key="tag").value == "Paper"


def test_each_key_stands_once_and_in_the_panel(studio: Studio) -> None:
    keys = [one.key for one in SHORTCUTS]
    assert len(set(keys)) == len(keys)
    app = open_page()
    app.button(key="shortcuts").click().run()
    assert all(f"`{one.key}` | {one.words}" in said(app) for one in SHORTCUTS)


def test_buttons_take_their_keys_from_the_table() -> None:
    room = Path(dashboard.__file__).parent
    written = [match for path in room.rglob("*.py") for match in re.findall(r"shortcut=([^,)\s]+)", path.read_text())]
    assert set(written) == {f"{name}.key" for name in ("LAUNCH", "NEXT", "PREVIOUS", "STOP")}
