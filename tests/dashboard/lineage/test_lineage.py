"""Lineage: families, graph and table as pure functions, and the page."""

from typing import Any

import pytest

from backend.api.schemas import LineageNode
from dashboard.lineage.families import families_of, newest_families
from dashboard.lineage.graph import lineage_dot, node_lines, quoted
from dashboard.lineage.table import lineage_frame
from tests.dashboard.pages import open_page, shown
from tests.dashboard.studio import Studio


def node(run_id: int, parent_id: int | None = None, **changes: Any) -> LineageNode:
    """A run of a lineage."""
    usual: dict[str, Any] = {
        "run_id": run_id, "parent_id": parent_id, "parent_deleted": False, "stage": "evaluate", "setting": "base",
        "preset": "Qwen/Qwen2.5", "data": "gsm8k", "note": "", "step": None, "pipeline_id": None,
        "status": "succeeded", "attempts": [{"number": 1, "status": "succeeded", "cause": "done"}],
        "accuracy": None, "num_questions": None, "content_hash": None,
    }  # fmt: skip
    return LineageNode.model_validate(usual | changes)


def numbers(nodes: Any) -> list[int]:
    """Numbers of runs."""
    return [one.run_id for one in nodes]


def test_families_come_newest_first_and_children_below_their_parents() -> None:
    nodes = [node(1), node(2), node(3, 2), node(4, 3), node(5, 2), node(6, 1)]
    assert [numbers(family.nodes) for family in families_of(nodes)] == [[1, 6], [2, 3, 4, 5]]


def test_children_of_a_deleted_run_are_one_family() -> None:
    nodes = [node(4, 3, parent_deleted=True), node(5), node(6, 3, parent_deleted=True)]
    assert [numbers(family.nodes) for family in families_of(nodes)] == [[4, 6], [5]]


def test_limit_takes_whole_families_and_at_least_one() -> None:
    families = families_of([node(1), node(2, 1), node(3, 1), node(4), node(5, 4)])
    assert [family.newest for family in newest_families(families, 1)] == [5]
    assert [family.newest for family in newest_families(families, 4)] == [5]
    assert [family.newest for family in newest_families(families, 5)] == [5, 3]


def test_two_hundred_runs_are_sorted_without_recursion() -> None:
    chain = [node(1), *(node(number, number - 1) for number in range(2, 1201))]
    assert len(families_of(chain)[0].nodes) == 1200


@pytest.mark.parametrize(
    ("text", "dot"),
    [
        ('say "x"', '"say \\"x\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("&lt;b&gt;", '"&amp;lt;b&amp;gt;"'),
        ("two\nlines\x00", '"two lines⟨U+0000⟩"'),
    ],
)
def test_foreign_text_can_not_leave_its_string(text: str, dot: str) -> None:
    assert quoted(text) == dot


def test_graph_goes_from_the_base_model_over_parents() -> None:
    dot = lineage_dot([node(2, stage="weaver_sft", setting=""), node(3, 2, setting="weaver")], marked=3)
    assert "base_0 -> run_2" in dot
    assert "run_2 -> run_3" in dot
    assert 'label="base model\\nQwen/Qwen2.5"' in dot
    assert 'URL="run?run=3"' in dot
    assert dot.count("penwidth=3") == 1


def test_deleted_parent_stands_as_such() -> None:
    dot = lineage_dot([node(3, 2, parent_deleted=True)])
    assert 'run_2 [label="run 2\\ndeleted"' in dot
    assert "base_0 -> run_2 [style=dashed]" in dot
    assert "run_2 -> run_3" in dot
    assert lineage_frame([node(3, 2, parent_deleted=True)])["from"].tolist() == ["run 2 (deleted)"]


def test_parent_that_is_only_not_shown_is_not_called_deleted() -> None:
    assert 'run_2 [label="run 2\\nnot shown"' in lineage_dot([node(3, 2)])
    assert lineage_frame([node(3, 2)])["from"].tolist() == ["run 2"]


def test_node_says_status_checkpoint_accuracy_and_attempts() -> None:
    attempts = [
        {"number": 2, "status": "running", "cause": None},
        {"number": 1, "status": "lost", "cause": "lost"},
    ]
    training = node(2, stage="weaver_sft", setting="", content_hash="0123456789abcdef")
    evaluation = node(3, 2, setting="weaver", status="running", accuracy=0.5815, num_questions=1319, attempts=attempts)
    assert node_lines(training) == ["run 2: weaver_sft", "succeeded", "checkpoint 0123456789abcdef"]
    assert node_lines(evaluation) == [
        "run 3: evaluate, weaver",
        "running, 2 attempts: lost, running",
        "58.1 % of 1,319",
    ]
    frame = lineage_frame([training, evaluation])
    assert frame["attempts"].tolist() == ["1", "2: lost, running"]
    assert frame["from"].tolist() == ["base model", "run 2"]


def test_note_is_said_where_it_begins_and_cut() -> None:
    dot = lineage_dot([node(2, note="a note " * 9), node(3, 2, note="a note " * 9), node(4, 2, note="another")])
    assert dot.count("a note a note a note a note…") == 1
    assert "another" in dot


def test_page_draws_the_family_of_a_run_and_links_it(studio: Studio) -> None:
    studio.evaluated(True)
    weaver = studio.trained(note='<b> "x"')
    studio.evaluated(True, setting="weaver", checkpoint=str(weaver))
    app = open_page("lineage", run="3")
    assert "Lineage of run 3" in shown(app)
    assert studio.wire.query("/lineage") == {"run": "3"}
    graph = app.get("graphviz_chart")[0].proto
    assert 'run_2 [label="run 2: weaver_sft\\nsucceeded\\n' in graph.spec
    assert '\\n<b> \\"x\\""' in graph.spec
    assert app.dataframe[0].value["run"].tolist() == [2, 3]


def test_many_runs_are_drawn_in_part_and_tabled_in_full(studio: Studio) -> None:
    studio.many(200)
    app = open_page("lineage")
    assert "newest 40 of 200 runs" in shown(app)
    assert len(app.dataframe[0].value) == 200
    assert "run_200 " in app.get("graphviz_chart")[0].proto.spec
    assert "run_100 " not in app.get("graphviz_chart")[0].proto.spec
    app.button(key="lineage_more").click().run()
    assert "newest 80 of 200 runs" in shown(app)


def test_lineage_without_runs_invites_to_launch(studio: Studio) -> None:
    assert "No runs yet" in shown(open_page("lineage"))


def test_address_that_is_no_number_is_said(studio: Studio) -> None:
    assert "not the number of a pipeline" in shown(open_page("lineage", pipeline="x"))


def test_what_was_ablated_stands_beside_the_stage_in_graph_and_table() -> None:
    ablated = node(2, 1, setting="weaver", ablation="static latents")
    assert node_lines(ablated)[0] == "run 2: evaluate, weaver (static latents)"
    assert list(lineage_frame([node(1), ablated])["stage"]) == ["evaluate, base", "evaluate, weaver (static latents)"]
