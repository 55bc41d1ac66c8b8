"""The page of data sets: rows are sent, mapped, checked, registered and deleted."""

import json

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from memgen.contract.data_sets import registry
from memgen.contract.data_sets.registry import BUILT_IN
from tests.dashboard.pages import open_page, said
from tests.dashboard.studio import Studio

KOREAN = (
    "\ufeff질문,정답,풀이\r\n" + "".join(f'"{n}의\r\n두 배는?",{2 * n},"{n}+{n}"\r\n' for n in range(20))
).encode()


def send(app: AppTest, name: str, data: bytes) -> None:
    app.file_uploader(key="rows_files_0").set_value([(name, data, "text/plain")]).run()
    assert not app.exception, app.exception


def press(app: AppTest, key: str) -> None:
    app.button(key=key).click().run()
    assert not app.exception, app.exception


def test_csv_with_korean_columns_is_mapped_checked_and_registered(studio: Studio) -> None:
    app = open_page("data_sets")
    send(app, "문제.csv", KOREAN)
    app.text_input(key="mapping_name").set_value("korean").run()
    for name, place in (("question", 0), ("answer", 1), ("rationale", 3)):
        app.selectbox(key=f"mapping_{name}").set_value(place).run()
    press(app, "check_rows")
    assert [metric.value for metric in app.metric] == ["20", "14", "2", "4"]
    assert "0의\n두 배는?" in said(app)
    press(app, "register_data_set")
    assert "Registered as **korean-" in app.success[0].value.replace("\\", "")
    assert app.file_uploader(key="rows_files_1").value == []
    (name,) = [one.name for one in studio.client.data_sets().items if one.registered]
    app.selectbox(key="delete_data_set").set_value(name).run()
    assert "0 runs have used it" in said(app)
    press(app, "delete_data_set_now")
    assert [one.name for one in studio.client.data_sets().items if one.registered] == []


def test_bad_row_duplicate_and_leak_are_shown_with_their_numbers_and_nothing_can_be_registered(studio: Studio) -> None:
    rows = [{"question": f"{n}?", "answer": n, "split": "train"} for n in range(5)]
    rows += [{"question": "1?", "answer": 1, "split": "train"}, {"question": "2?", "answer": 2, "split": "test"}]
    rows += [{"question": "3?", "answer": "", "split": "test"}]
    app = open_page("data_sets")
    send(app, "rows.jsonl", "\n".join(map(json.dumps, rows)).encode())
    app.text_input(key="mapping_name").set_value("rows").run()
    press(app, "check_rows")
    text = said(app)
    assert "rows.jsonl, row 8, column answer: this is empty" in text
    assert "rows.jsonl, row 2 (train) and rows.jsonl, row 6 (train)" in text
    assert "rows.jsonl, row 7 (test) and rows.jsonl, row 3 (train)" in text
    assert "Nothing can be registered" in text
    assert "register_data_set" not in {button.key for button in app.button}
    app.toggle(key="mapping_leave_out").set_value(True).run()
    press(app, "check_rows")
    assert "register_data_set" in {button.key for button in app.button}


def test_file_that_is_no_text_is_refused_on_the_page(studio: Studio) -> None:
    app = open_page("data_sets")
    send(app, "rows.csv", b"\x7fELF\0\0\0")
    assert "This file is no text" in said(app)


def test_rows_of_the_hub_are_chosen_among_those_that_the_operator_names(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMGEN_HUB_DATA_SETS", "lab/sums, lab/more")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    app = open_page("data_sets")
    app.segmented_control(key="rows_where").set_value("From the hub").run()
    assert app.selectbox(key="hub_repository").options == ["lab/sums", "lab/more"]
    app.text_input(key="hub_config").set_value("plain")
    app.text_input(key="hub_revision").set_value("no revision")
    app.selectbox(key="hub_repository").set_value("lab/more").run()
    assert [one.value for one in app.error] == ["A configuration or a revision can't be named so."]
    app.text_input(key="hub_revision").set_value("a1b2c3").run()
    assert not app.exception
    assert "could not be loaded from the hub" in said(app)  # which can't be reached here


def test_sizes_are_numbers_and_one_that_is_not_known_is_missing(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = BUILT_IN[0].model_copy(update={"name": "lost", "sizes": "nowhere_at_all:count"})
    monkeypatch.setattr(registry, "_installed", lambda: ({one.name: one for one in (*BUILT_IN, lost)}, ()))
    sizes = open_page("data_sets").dataframe[0].value.set_index("name")[["train", "validation", "test"]]
    assert all(map(pd.api.types.is_numeric_dtype, sizes.dtypes))
    assert sizes["test"]["gsm8k"] == 1319
    assert sizes.loc["lost"].isna().all()
