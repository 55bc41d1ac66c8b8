"""The report: what people and programs read, without the name of the user's folder."""

import json
from pathlib import Path

from memgen.doctor.finding import error, ok
from memgen.doctor.report import Report, as_json, page, report, without_users_folder

FINDINGS = [
    ok("disk", f"9.9 GB free at {Path.home()}/memgen/data"),
    error("Redis", "nobody answers " * 20, "Start it. " * 20),
]


def test_page_has_each_finding_with_its_way_out_in_lines_that_fit() -> None:
    text = page(report(FINDINGS, now=1_795_791_600.0))
    assert "doctor of 2026-11-27 15:00 UTC" in text
    assert "ok             disk             9.9 GB free at ~/memgen/data" in text
    assert "-> Start it." in text
    assert text.endswith("1 ok, 1 error")
    assert max(map(len, text.splitlines())) <= 118


def test_json_holds_all_of_it_and_can_be_read_back() -> None:
    text = as_json(report(FINDINGS, now=0.0, card={"card": {"launch": {"status": "no time"}}}))
    assert str(Path.home()) not in text
    assert json.loads(text)["exit_code"] == 1
    again = Report.model_validate_json(text)
    assert again.findings[1] == FINDINGS[1]
    assert again.card == {"card": {"launch": {"status": "no time"}}}


def test_users_folder_becomes_a_tilde_and_names_that_begin_like_it_stay() -> None:
    folder = Path("/home/ann")
    assert without_users_folder("/home/ann/data and /home/ann", folder) == "~/data and ~"
    assert without_users_folder("/home/anna/data /home/ann.old", folder) == "/home/anna/data /home/ann.old"
    assert without_users_folder("/data", Path("/")) == "/data"
