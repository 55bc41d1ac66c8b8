"""Sentences of backend and trainers in the reader's language."""

import time

import pytest

from dashboard.parts.foreign_text import sentence
from dashboard.parts.language import KEY
from dashboard.parts.told import LONGEST, in_language, told
from tests.dashboard.pages import open_page, said
from tests.dashboard.studio import Studio


@pytest.mark.parametrize(
    ("english", "korean"),
    [
        ("The queue is paused.", "대기열이 일시 정지되어 있습니다."),
        ("Slot cpu of lab is busy with run 7.", "lab의 슬롯 cpu이(가) 실행 7을(를) 처리하고 있습니다."),
        ("2 runs stand before it.", "앞에 실행 2개가 있습니다."),
        ("The loss was exactly 0 in the last 3 steps.", "최근 3 스텝에서 손실이 정확히 0이었습니다."),
        # begun and ended as errors are shown
        ("Every example is longer than the config allows", "모든 예제가 설정이 허용하는 것보다 깁니다"),
        # a status in it is translated, too
        ("Weaver SFT (run 2), whose checkpoint it needs, is running.",
         "Weaver SFT (run 2)의 체크포인트가 필요한데, 현재 상태는 실행 중입니다."),
        # several sentences
        ("No worker is alive. Start one with `make up`.", "동작 중인 워커가 없습니다. `make up`으로 시작하십시오."),
        ("The queue is paused. Something that nobody has translated.",
         "대기열이 일시 정지되어 있습니다. Something that nobody has translated."),
        ("Something that nobody has translated.", "Something that nobody has translated."),
        ("running", "실행 중"),
    ],
)  # fmt: skip
def test_sentence_is_told_in_korean(english: str, korean: str) -> None:
    assert in_language("ko", english) == korean


def test_english_stays_as_it_came() -> None:
    assert told("The queue is paused.") == "The queue is paused."


def test_hostile_text_costs_no_time_and_stays_text() -> None:
    began = time.perf_counter()
    for text in ("Slot " + " of " * 900, "Slot a of " * 390 + "is busy with run"):
        in_language("ko", text)
    assert time.perf_counter() - began < 2
    assert in_language("ko", "Slot **b** of <i> is busy with run 7.").startswith("<i>의 슬롯 **b**")
    assert "\\*\\*b" in sentence("Slot **b** of <i> is busy with run 7.")
    assert len(told("x" * (LONGEST + 1))) == LONGEST + 1


def test_page_of_a_waiting_run_says_why_in_korean(studio: Studio) -> None:
    studio.submit()
    app = open_page("run", run="1")
    app.session_state[KEY] = "ko"
    app.run()
    assert "동작 중인 워커가 없습니다" in said(app)
