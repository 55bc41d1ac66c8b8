"""The picture of a lineage as an option of ECharts, and what its things say."""

import pytest

from dashboard.lineage.graph import ROWS_IN_SIGHT, Look, lineage_option, picked, window
from dashboard.lineage.layout import spots_of
from dashboard.lineage.words import matches, spot_lines, standing_words, status_words
from tests.dashboard.lineage.nodes import node, outside


def test_points_are_in_the_order_of_the_spots_and_lines_lead_to_what_they_come_from() -> None:
    spots = spots_of([node(2, stage="weaver_sft", setting=""), node(3, 2, setting="weaver"), node(4, 2)])
    dots, lines = lineage_option(spots, Look())["series"]
    assert [one["value"] for one in dots["data"]] == [[0, 0], [1, 0], [2, 0], [2, 1]]
    assert dots["data"][0]["name"] == "Qwen2.5\nbase model"
    assert dots["data"][1]["name"] == "2 · weaver_sft\nsucceeded"
    assert [one["coords"] for one in lines["data"]] == [
        [[0, 0], [1, 0]],
        [[1, 0], [2, 0]],
        [[1, 0], [1.9, 0], [1.9, 1], [2, 1]],
    ]


def test_no_formatter_is_made_of_foreign_text() -> None:
    note = '<img src=x onerror="alert(1)"> {c} {@name} \u202e'
    option = lineage_option(spots_of([node(2, note=note)], [outside(8, name=note, note=note)]), Look())
    assert option["tooltip"]["formatter"] == "{b}"  # which ECharts escapes
    dots = option["series"][0]
    assert dots["label"]["formatter"] == "{b}"
    assert not any("formatter" in one.get("label", {}) or "tooltip" in one for one in dots["data"])
    assert "\u202e" not in "".join(one["name"] for one in dots["data"])


def test_click_means_the_thing_at_its_place() -> None:
    spots = spots_of([node(2), node(3, 2)], [outside(8)])
    group = {"series_index": 0, "data_indices": [2]}
    assert picked(spots, [group]) == 3
    assert picked(spots, [group | {"data_indices": [0]}]) is None  # a base model
    assert picked(spots, [group | {"data_indices": [99]}]) is None  # of a picture before
    assert picked(spots, []) is None


def test_rows_in_sight_are_around_what_was_chosen() -> None:
    spots = spots_of([node(number) for number in range(1, 101)])  # the newest on top
    assert window(spots, Look()) == (-0.3, ROWS_IN_SIGHT - 0.3)
    first, last = window(spots, Look(centre=50))
    row = next(spot.row for spot in spots if spot.number == 50)
    assert first < row < last
    assert last - first == ROWS_IN_SIGHT
    bottom = window(spots, Look(centre=1))[1]
    assert bottom == max(spot.row for spot in spots) + 0.9
    assert window(spots, Look(rows=1000)) == (-0.3, bottom)


def test_what_a_search_has_not_found_is_faint() -> None:
    dots = lineage_option(spots_of([node(2), node(3, 2)]), Look(found=frozenset({3})))["series"][0]["data"]
    assert ["opacity" in one["itemStyle"] for one in dots] == [True, True, False]


def test_narrow_picture_shows_the_first_columns() -> None:
    media = lineage_option(spots_of([node(1), node(2, 1), node(3, 2)]), Look())["media"]
    widths = [one["query"]["maxWidth"] for one in media]
    assert widths == sorted(widths, reverse=True)  # of those that apply the last one counts
    shown = [one["option"]["dataZoom"][2] for one in media]
    assert [round(one["endValue"] - one["startValue"]) for one in shown] == [2, 1]
    assert all(0 < one["startValue"] < 1 for one in shown)  # the base models are left of what is seen


def test_node_says_what_it_is_how_it_stands_and_its_note_where_that_begins() -> None:
    training = node(2, stage="weaver_sft", setting="", note="sweep")
    evaluation = node(3, 2, setting="weaver", accuracy=0.5815, num_questions=1319, note="sweep")
    spots = spots_of([training, evaluation, node(4, 2, note="another")])
    notes = {2: "sweep", 3: "sweep", 4: "another"}
    assert [spot_lines(spot, notes) for spot in spots[1:]] == [
        ["2 · weaver_sft", "succeeded", "sweep"],
        ["3 · evaluate, weaver", "58.1 % of 1,319"],
        ["4 · evaluate, base", "succeeded", "another"],
    ]


def test_what_goes_on_says_its_status_and_no_accuracy_yet() -> None:
    assert standing_words(node(3, status="running", accuracy=0.5, num_questions=12)) == "running"


def test_what_was_ablated_stands_beside_the_stage() -> None:
    spots = spots_of([node(2, setting="weaver", ablation="static latents")])
    assert spot_lines(spots[1], {})[0] == "2 · evaluate, weaver (static latents)"


def test_several_attempts_are_said() -> None:
    attempts = [{"number": 2, "status": "running", "cause": None}, {"number": 1, "status": "lost", "cause": "lost"}]
    assert status_words(node(3, status="running", attempts=attempts)) == "running, 2 attempts: lost, running"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("12", True), ("2", False), ("7", True), ("weaver", True), ("weaver sweep", True), ("weaver other", False),
        ("0123ab", True), ("succeeded", True), ("qwen2.5", True), ("", True),
    ],
)  # fmt: skip
def test_search_wants_all_words_and_numbers_whole(text: str, found: bool) -> None:
    run = node(12, stage="weaver_sft", setting="", note="Sweep 7", content_hash="0123abcdef")
    assert matches(run, text.casefold().split()) == found


def test_checkpoint_from_outside_is_found_by_its_name() -> None:
    assert matches(outside(8, name="Lab folder"), ["lab"])
    assert not matches(spots_of([node(1)])[0].thing, ["qwen2.5"])  # a base model leads nowhere
