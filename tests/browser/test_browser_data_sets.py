"""Rows of one's own with the mouse: sent, mapped, refused with their numbers, registered, and worked on by a run."""

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from playwright.sync_api import Page, expect

from memgen.contract.answers import read_answers
from memgen.contract.status import RunStatus
from tests.browser.studio import Studio
from tests.conftest import TINY
from tests.running_stack import RunningStack

KOREAN = "\ufeff질문,정답,풀이\r\n" + "".join(f'"{n}의\r\n두 배는?",{2 * n},"{n}+{n}"\r\n' for n in range(20))


def send(studio: Studio, path: Path, name: str, *columns: tuple[str, str]) -> None:
    """Choose a file on the page of data sets, name the data set and its columns, and have the rows checked."""
    page = studio.page
    page.get_by_role("link", name="Data sets", exact=True).first.click()
    studio.settled()
    page.locator("input[type=file]").set_input_files(path)
    expect(studio.key("mapping_name")).to_be_visible()
    studio.type("mapping_name", name)
    for key, column in columns:
        studio.choose(f"mapping_{key}", column)
    studio.settled()
    studio.key("check_rows").get_by_role("button").click()


def check_again(studio: Studio) -> None:
    """Have the rows checked with what was changed."""
    studio.settled()
    studio.key("check_rows").get_by_role("button").click()


def register(studio: Studio) -> str:
    """Press the button; the name that the page says."""
    studio.settled()
    studio.key("register_data_set").get_by_role("button").click()
    done = studio.page.get_by_text(re.compile(r"Registered as [a-z]+-[0-9a-f]{10}"))
    expect(done).to_be_visible()
    match = re.search(r"Registered as (\S+?)\.", done.inner_text())
    assert match is not None
    return match[1]


def test_rows_of_csv_parquet_and_json_lines_become_data_sets_or_are_refused(
    stack: RunningStack, page: Page, tmp_path: Path
) -> None:
    studio = Studio(page, stack.dashboard_url)
    studio.log_in(stack.token)

    csv = tmp_path / "문제.csv"
    csv.write_bytes(KOREAN.encode())
    send(studio, csv, "korean", ("question", "질문"), ("answer", "정답"), ("rationale", "풀이"))
    report = studio.key("report")
    expect(report.get_by_test_id("stMetricValue").nth(1)).to_have_text("14")
    expect(report).to_contain_text("its gold answer scores 1")
    expect(report).to_contain_text("Question: 0의")
    expect(report).to_contain_text(r"0+0\boxed{0}")
    korean = register(studio)

    parquet = tmp_path / "sums.parquet"
    rows = [{"question": f"{n} + 1?", "options": [str(n), str(n + 1)], "answer": "B" if n else "Z"} for n in range(20)]
    pq.write_table(pa.Table.from_pylist(rows), parquet)
    send(studio, parquet, "sums")
    expect(report.get_by_test_id("stMetricValue").first).to_have_text("20")
    studio.press("mapping_kind", "choice")
    studio.pick("mapping_choices", "options")
    check_again(studio)
    expect(report).to_contain_text("sums.parquet, row 1, column answer")
    studio.unfold("mapping_details")
    studio.switch("mapping_leave_out")
    check_again(studio)
    expect(report).to_contain_text("1 row is left out.")
    expect(report).to_contain_text("(B) 2")
    register(studio)

    lines = tmp_path / "bad.jsonl"
    bad = [{"question": f"{n}?", "answer": n, "split": "train"} for n in range(6)]
    bad += [bad[1], bad[2] | {"split": "test"}, {"question": "empty?", "answer": "", "split": "test"}]
    bad += [{"question": "how many?", "answer": "{5", "split": "test"}]
    lines.write_text("\n".join(map(json.dumps, bad)))
    send(studio, lines, "bad")
    expect(report).to_contain_text("bad.jsonl, row 9, column answer: this is empty")
    expect(report).to_contain_text("bad.jsonl, row 2 (train) and bad.jsonl, row 7 (train)")
    expect(report).to_contain_text("bad.jsonl, row 8 (test) and bad.jsonl, row 3 (train)")
    expect(report).to_contain_text("Your own gold answer scores 0 on 1 row: bad.jsonl, row 10 (test)")
    expect(studio.key("register_data_set")).to_have_count(0)
    studio.unfold("mapping_details")
    studio.switch("mapping_leave_out")
    check_again(studio)
    expect(report).to_contain_text("3 rows are left out.")
    register(studio)
    studio.no_trace_of_an_error()

    page.get_by_role("link", name="Launch", exact=True).first.click()
    studio.choose("config_preset", TINY)
    studio.choose("config_data", f"korean ({korean[-10:]})")
    studio.type("config_num_questions", "4")
    studio.type("config_max_completion_length", "16")
    expect(studio.key("preflight")).to_contain_text("Fits on 1 of 1 slot")
    studio.submit("launch", re.compile(r"[?&]run=\d+"))
    run_id = int(re.search(r"run=(\d+)", page.url).group(1))  # type: ignore[union-attr]
    run = stack.run_ended(run_id)
    assert (run.status, run.data) == (RunStatus.SUCCEEDED, korean)
    answers, _ = read_answers(stack.home / str(run.output) / "answer.json")
    assert {one.id.partition(":")[0] for one in answers} == {korean}
