"""Alarms on the run's page and on Home: folded to a count, with cause and remedy inside."""

from memgen.contract.alarms import find_rule
from tests.dashboard.pages import open_page, popovers, said
from tests.dashboard.studio import SFT, Studio

ALARM = {
    "event": "alarm",
    "code": "all_truncated",
    "step": 7,
    "fact": "Every completion was *cut*.",
}


def test_alarms_of_a_run_are_folded_to_a_count_with_cause_and_remedy(studio: Studio) -> None:
    held = studio.claimed(**SFT)
    assert not any("alarm" in label for label in popovers(open_page("run", run="1")))
    held.say(ALARM, ALARM | {"code": "slow"})
    app = open_page("run", run="1")
    assert ":red[2 alarms]" in popovers(app)
    rule = find_rule("all_truncated")
    assert rule is not None
    text = said(app)
    assert "**All completions are cut** (step 7). Every completion was *cut*." in text
    assert rule.cause in text
    assert rule.remedy in text


def test_home_names_what_a_run_under_way_suffers_from(studio: Studio) -> None:
    studio.claimed(**SFT).say(ALARM, {"event": "warning", "code": "c", "message": "a word of warning"})
    text = said(open_page())
    assert "All completions are cut. Every completion was *cut*." in text
    assert ":red-badge[:material/notifications_active: alarm]" in text
