"""Where a launch is to run: asked where there is a site, kept with the run, and shown on the queue page."""

from pathlib import Path

import pytest

from backend.services.site_board import SiteBoard
from dashboard.launch.site_choice import SITE
from tests.dashboard.pages import open_page, said
from tests.dashboard.studio import Studio

FILE = """
[lab]
executor = "slurm"
folder = "/shared/jobs"
[[lab.sizes]]
name = "one"
memory_gib = 64
"""


@pytest.fixture
def site(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SiteBoard:
    """A site of the operator's, whose batch system nobody asks."""
    file = tmp_path / "sites.toml"
    file.write_text(FILE)
    board = SiteBoard(file, studio.home, studio.clock)
    monkeypatch.setattr(studio.context, "board", board)
    return board


def test_form_asks_nothing_where_there_is_no_site(studio: Studio) -> None:
    app = open_page("launch", what="base_eval")
    assert SITE not in {one.key for one in app.selectbox}


def test_run_goes_where_the_form_says_and_is_launched_again_there(studio: Studio, site: SiteBoard) -> None:
    app = open_page("launch", what="base_eval")
    choice = app.selectbox(key=SITE)
    assert choice.options == ["Workers of this service", "lab (Slurm)"]
    choice.set_value("lab").run()
    assert "Fits on 1 of 1 size of site lab" in said(app)
    assert "--site lab" in said(app)
    app.button(key="launch").click().run()
    assert studio.wire.sent("/runs")[0]["site"] == "lab"
    assert studio.run(1)["site"] == "lab"
    again = open_page("launch", **{"from": "1"})
    assert again.selectbox(key=SITE).value == "lab"


def test_pipeline_goes_where_the_form_says(studio: Studio, site: SiteBoard) -> None:
    app = open_page("launch", what="all")
    app.selectbox(key=SITE).set_value("lab").run()
    assert "--site lab" in said(app)
    app.button(key="run_all").click().run()
    assert studio.wire.sent("/pipelines")[0]["site"] == "lab"


def test_queue_page_shows_sites_what_they_have_and_their_trouble(studio: Studio, site: SiteBoard) -> None:
    studio.client.submit(studio.config, site="lab")
    text = said(open_page("queue"))
    assert "Site **lab**, Slurm" in text
    assert "0 of at most 50 jobs" in text
    assert "It is handed in at site lab within seconds." in text
    site.failed("lab", "`squeue` can't be started")
    studio.clock.pass_time(90)
    text = said(open_page("queue"))
    assert "gives trouble" in text
    assert "Site lab has not answered for 90 s: `squeue` can't be started." in text


def test_site_is_drained_and_used_again_by_its_button(studio: Studio, site: SiteBoard) -> None:
    app = open_page("queue")
    app.button(key="drain_site_lab").click().run()
    assert not app.exception
    assert studio.client.sites()[0].drained
    assert "drained" in said(app)
    app.button(key="drain_site_lab").click().run()
    assert not studio.client.sites()[0].drained
