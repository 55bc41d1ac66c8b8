"""Tags, the archive, saved views, and what is done with all runs that match."""

import httpx
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.parts import bulk_dialogs
from tests.dashboard.pages import button_keys, open_page, said
from tests.dashboard.run.test_bulk import ask, shown_runs, tick
from tests.dashboard.studio import Studio


def tag(studio: Studio, runs: list[int], **more: object) -> None:
    reply = studio.user("POST", "/runs/tags", json={"runs": runs, "confirm": True, **more})
    assert reply.status_code == 200, reply.text


def everything(app: AppTest) -> AppTest:
    """Choose all that match, beyond this page."""
    box = next(one for one in app.checkbox if str(one.key).startswith("bulk_all"))
    return box.check().run()


def test_ticked_runs_get_tags_and_a_group_after_a_look(studio: Studio) -> None:
    runs = [studio.failed() for _ in range(3)]
    tag(studio, runs[2:], add=["lr sweep"])
    app = ask(tick(open_page("runs"), *runs[:2]), "tag")
    assert "confirm_bulk_tag" not in button_keys(app)
    app.multiselect(key="tags_add").set_value(["Paper"]).run()
    app.selectbox(key="tags_group").set_value("lr sweep").run()
    assert f"**Each of 2 runs** changes its tags: {runs[1]}, {runs[0]}" in said(app)
    assert studio.run(runs[0])["tags"] == []
    app.button(key="confirm_bulk_tag").click().run()
    assert not app.exception
    assert (studio.run(runs[0])["tags"], studio.run(runs[0])["group"]) == (["lr sweep", "Paper"], "lr sweep")
    frame = app.dataframe[0].value
    assert (frame["group"].tolist(), frame["tags"].tolist()) == (
        ["", "lr sweep", "lr sweep"], ["lr sweep", "Paper", "Paper"],
    )  # fmt: skip


def test_list_is_filtered_by_tag_from_the_address_and_the_box(studio: Studio) -> None:
    first, second = studio.failed(), studio.failed()
    tag(studio, [first], add=["a"])
    app = open_page("runs", tag="a")
    assert shown_runs(app) == [first]
    app.selectbox(key="tag").set_value(None).run()
    assert shown_runs(app) == [second, first]
    assert "No run matches these filters." in said(open_page("runs", tag="gone"))


def test_archived_runs_leave_the_list_and_come_back(studio: Studio) -> None:
    kept, gone = studio.failed(), studio.failed()
    app = ask(tick(open_page("runs"), gone), "archive")
    app.button(key="confirm_bulk_archive").click().run()
    assert shown_runs(app) == [kept]
    app.selectbox(key="archived").set_value("only").run()
    assert (shown_runs(app), list(app.dataframe[0].value["status"][0])) == ([gone], ["failed", "archived"])
    ask(tick(app, gone), "take_out").button(key="confirm_bulk_take_out").click().run()
    assert studio.get("/runs", archived="only")["items"] == []


def test_all_that_match_are_stopped_piece_by_piece_after_one_look(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.many(120)
    monkeypatch.setattr(bulk_dialogs, "MOST_AT_ONCE", 50)
    app = ask(everything(open_page("runs")), "stop")
    assert "**Each of 120 runs** leaves the queue" in said(app)
    studio.wire.asked.clear()
    app.run()
    assert "POST /runs/stop" not in studio.wire.paths()  # what would happen is not asked again
    app.button(key="confirm_bulk_stop").click().run()
    assert not app.exception
    assert studio.wire.paths().count("POST /runs/stop") == 3
    assert studio.get("/runs", status="cancelled")["total"] == 120


def test_backend_that_is_away_in_the_middle_leaves_whole_pieces_and_the_button_goes_on(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.many(120)
    studio.user("POST", "/runs/stop", json={"runs": list(range(1, 121)), "confirm": True})
    asked = bulk_dialogs.Asked("archive", tuple(range(1, 121)))
    monkeypatch.setattr(bulk_dialogs, "MOST_AT_ONCE", 50)
    send = studio.wire.handle_request
    sent: list[httpx.Request] = []

    def breaking(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        studio.wire.down = len(sent) == 2
        return send(request)

    monkeypatch.setattr(studio.wire, "handle_request", breaking)
    app = AppTest.from_function(_archive_them)
    app.session_state["asked"] = asked
    app.run(timeout=30)
    assert "does not answer" in said(app)
    assert studio.get("/runs", archived="only")["total"] == 50
    app.run(timeout=30)
    assert studio.get("/runs", archived="only")["total"] == 120
    assert "120 done" in said(app)
    history = [one for one in studio.history(1) if one["kind"] == "archive"]
    assert len(history) == 1


def _archive_them() -> None:
    import streamlit as st

    from dashboard.parts import api
    from dashboard.parts.bulk_dialogs import _in_pieces

    with api.part_errors():
        st.write(f"{_in_pieces(st.session_state['asked'], None, confirm=True).num_done} done")


def test_view_is_kept_opened_renamed_and_deleted(studio: Studio) -> None:
    failed = studio.failed()
    waiting = studio.submit()
    app = open_page("runs", status="failed", sort="-accuracy")
    app.session_state["views"] = True
    app.run()
    app.text_input(key="view_name").set_value("Broken")
    app.button(key="save_view_button").click().run()
    view = studio.get("/saved-views", page="runs")["items"][0]
    assert (view["name"], view["query"]) == ("Broken", "sort=-accuracy&status=failed")
    other = open_page("runs")
    assert shown_runs(other) == [waiting, failed]
    other.session_state["views"] = True
    other.run()
    other.button(key=f"view_{view['id']}").click().run()
    assert not other.exception
    assert shown_runs(other) == [failed]
    assert other.selectbox(key="runs_order_column").value == "accuracy"


def test_tags_of_one_run_are_edited_on_its_page(studio: Studio) -> None:
    run_id = studio.failed()
    tag(studio, [run_id], add=["old"])
    app = open_page("run", run=str(run_id))
    app.session_state["tags"] = True
    app.run()
    app.multiselect(key=f"tags_of_{run_id}").set_value(["New"]).run()
    app.selectbox(key=f"group_of_{run_id}").set_value("New").run()
    app.button(key="save_tags").click().run()
    assert not app.exception
    assert (studio.run(run_id)["tags"], studio.run(run_id)["group"]) == (["New"], "New")


def test_run_is_put_into_the_archive_and_taken_out_on_its_page(studio: Studio) -> None:
    run_id = studio.failed()
    app = open_page("run", run=str(run_id))
    app.button(key="archive").click().run()
    assert studio.run(run_id)["archived"]
    app.button(key="archive").click().run()
    assert not studio.run(run_id)["archived"]
    assert not app.exception


def test_curves_take_the_runs_of_a_tag(studio: Studio) -> None:
    runs = [studio.trained() for _ in range(2)]
    tag(studio, runs, group="sweep")
    app = open_page("curves")
    app.selectbox(key="curves_tag").set_value("sweep").run()
    assert app.multiselect(key="curves_runs").value == runs
