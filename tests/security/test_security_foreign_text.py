"""Foreign text: every page over replies in which every text is hostile, and the functions that make text inert."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from backend.api.client import Client
from backend.api.schemas import MetricSeries
from dashboard.parts import api
from dashboard.parts.charts import metric_chart, metric_frame
from dashboard.parts.foreign_text import escape_markdown, one_line, plain_frame, sentence, visible, visible_json
from dashboard.parts.text import readable_log
from memgen.contract.rundir import attempt_dir
from tests.backend.conftest import SLOT, answer_line
from tests.dashboard.conftest import application, portal, studio
from tests.dashboard.pages import open_page
from tests.dashboard.studio import QWEN, Studio, Wire, metric, progress

__all__ = ["application", "portal", "studio"]  # fixtures

HOSTILE = (
    " see https://evil.example/a_b www.evil.example x@evil.example :material/home: :smile: **b** [l](https://evil.example)"
    " ![p](https://evil.example/p) <b>evil</b> $x$ :red[evil] -> \u202egnp.\u2066 \u200bevil"
)
HIDDEN = re.compile("[\u200b\u202a-\u202e\u2066\u2067\u2069]")
# words that the pages look up, and what pydantic checks
NO_FREE_TEXT = {
    "status", "run_status", "stage", "setting", "step", "kind", "cause", "role", "device", "verdict", "next_cursor",
    "database", "broker", "type", "outcome", "from_status", "to_status", "placement_device", "id",
    "answer",
}  # fmt: skip
HOSTILE_KEYS = {"conditions", "environment", "files", "metrics", "latents", "config"}
# what Streamlit shows as it is; everything else is taken for markdown
PLAIN = {
    "options", "code_text", "spec", "alt", "data", "placeholder", "body", "raw_options", "query_string", "id",
    "element_id", "key", "user_key", "form_id", "default", "value", "url", "columns", "active_script_hash",
    "string_value", "raw_value", "raw_values",
}  # fmt: skip
MARKDOWN_OPTIONS = {"Radio", "ButtonGroup"}


class HostileWire(Wire):
    """A way to the backend on which all free texts of its replies get the hostile one, and lose it on the way back."""

    answer: httpx.Response | None = None
    """To every question, in place of the backend's own."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.answer is not None:
            return self.answer
        url, content = request.url, request.read()
        if "evil" in str(url) or b"evil" in content:
            url = url.copy_with(params=[(key, value.replace(HOSTILE, "")) for key, value in url.params.multi_items()])
            content = json.dumps(cleaned(json.loads(content))).encode() if content else b""
        headers = {name: value for name, value in request.headers.items() if name != "content-length"}
        reply = super().handle_request(httpx.Request(request.method, url, headers=headers, content=content))
        if "/schema/" in url.path:  # our own, not foreign
            return reply
        return httpx.Response(reply.status_code, json=poisoned(json.loads(reply.content)))


def cleaned(value: Any) -> Any:
    """What the backend had sent."""
    if isinstance(value, dict):
        return {key: cleaned(one) for key, one in value.items()}
    if isinstance(value, list):
        return [cleaned(one) for one in value]
    return value.replace(HOSTILE, "") if isinstance(value, str) else value


def poisoned(value: Any, name: str = "") -> Any:
    """The value with hostile texts in the place of all free ones."""
    if isinstance(value, dict):
        changed = {key: poisoned(one, key) for key, one in value.items()}
        if name == "metrics" or name == "latents":
            changed[f"x{HOSTILE}"] = 1
        elif name in HOSTILE_KEYS:
            changed[f"x{HOSTILE}"] = f"y{HOSTILE}"
        return changed
    if isinstance(value, list):
        return [poisoned(one, name) for one in value]
    if not isinstance(value, str) or name in NO_FREE_TEXT or re.match(r"\d{4}-\d\d-\d\dT", value):
        return value
    return value + HOSTILE


@pytest.fixture
def hostile(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    wire = HostileWire(studio.http)
    client = Client("http://127.0.0.1", studio.context.user_token, transport=wire)
    monkeypatch.setattr(api, "client", lambda: client)
    yield replace(studio, wire=wire, client=client)
    client.close()
    st.cache_data.clear()


def messages_of(app: AppTest) -> Iterator[Any]:
    """The protocol message of every element and container, in the page and the sidebar."""
    waiting: list[Any] = [app._tree]
    while waiting:
        node = waiting.pop()
        if getattr(node, "proto", None) is not None:
            yield node.proto
        waiting += list(getattr(node, "children", {}).values())


def texts_of(message: Any, place: str = "") -> Iterator[tuple[str, str | bytes]]:
    """Every text in a message, with the names that lead to it."""
    for field, value in message.ListFields():
        for one in (
            value if not hasattr(value, "ListFields") and not isinstance(value, str | bytes | int | float) else [value]
        ):
            if hasattr(one, "ListFields"):
                yield from texts_of(one, f"{place}/{message.DESCRIPTOR.name}.{field.name}")
            elif isinstance(one, str | bytes):
                yield f"{place}/{message.DESCRIPTOR.name}.{field.name}", one


def is_alive(markdown: str) -> bool:
    """Whether a part of the hostile text is a format, or what Streamlit looks for once backslashes are gone."""
    pieces = [re.sub(r"\\(.)", r"\1", piece) for piece in markdown.split(":color[]")]
    parted = not any(re.search(r"https?://|www\.|\w@\w|:material/home|:smile:| -> ", piece) for piece in pieces)
    return not parted or bool(re.search(r"(?<!\\)(\[l|\[p|<b>|<i>|\$x|\*\*b\*\*|:red\[evil)", markdown, re.IGNORECASE))


def check_page(app: AppTest) -> int:
    """Assert that no text of a page is alive; returns how many hostile ones there are."""
    assert not app.exception, app.exception
    number = 0
    for message in messages_of(app):
        for place, text in texts_of(message):
            if place.endswith((".id", ".user_key", ".element_id")):
                continue
            if isinstance(text, bytes):
                number += b"evil" in text
                assert not HIDDEN.search(text.decode("utf-8", "ignore")), place
                continue
            if "evil" not in text:
                continue
            number += 1
            owner, _, name = place.rpartition("/")[2].partition(".")
            if owner in {"TextInput"} and name in {"value", "default"}:
                continue  # what the user typed and sends again stays as it is
            assert not HIDDEN.search(text), place
            is_markdown = name not in PLAIN or owner in {"Markdown", "Alert", *MARKDOWN_OPTIONS}
            if is_markdown:
                assert not is_alive(text), (place, text)
    return number


def page_of_everything(studio: Studio) -> None:
    """A pipeline with a failed step, runs of other statuses, checkpoints, and evaluations that can be compared."""
    studio.submit_pipeline(include=["base_eval", "weaver_sft", "weaver_eval"], note="n")
    base = studio.held()
    base.send("answers", answer_line(0))
    studio.complete(base, result={"num_questions": 1, "accuracy": 1.0})
    weaver = studio.held()
    failure = {"code": "x", "message": "no memory", "field": "batch_size", "value": "64", "way_out": "Halve it."}
    weaver.say({"event": "warning", "code": "x", "message": "one"}, {"event": "warning", "code": "x", "message": "two"})
    weaver.say(*metric("train/loss", 1.0, 2.0))
    weaver.send("log", b"a line")
    environment = {"torch": "2"}
    weaver.finish(
        "failed", "error", failure=failure, traceback="Traceback", environment=environment, exit_code=1
    )  # fmt: skip
    studio.reconciler.round()
    trained = studio.trained(note="n")
    studio.trained(preset=QWEN)
    studio.evaluated(False, setting="weaver", checkpoint=str(trained), note="n")
    running = studio.claimed(note="n")
    running.say({"event": "phase", "name": "generate", "detail": "batch"}, progress(1, 3, "questions"))
    studio.announce()
    studio.submit(note="n")
    folder = attempt_dir(studio.home, weaver.run_id, 1, "weaver_sft").path
    folder.mkdir(parents=True)


PAGES = [
    ("", {}),
    ("pipelines", {}),
    ("pipeline", {"pipeline": "1"}),
    ("queue", {}),
    ("compare", {"runs": "1,6"}),
    ("lineage", {}),
    ("launch", {"what": "base_eval"}),
    ("launch", {"what": "weaver_eval"}),
    ("launch", {"what": "all"}),
    ("run", {"run": "7"}),
    ("run", {"run": "8"}),
    ("run", {"run": "3"}),
    ("run", {"run": "4", "tab": "Checkpoint"}),
    ("run", {"run": "6", "tab": "Answers"}),
    *(("run", {"run": "2", "tab": tab}) for tab in ("Metrics", "Log", "Config", "Environment")),
    *(("run", {"run": "2", "tab": tab}) for tab in ("History", "Attempts", "Files")),
]


@pytest.mark.parametrize(("page", "query"), PAGES, ids=lambda one: "-".join(one.values()) if one is dict else str(one))
def test_page_of_hostile_texts_shows_them_all_and_none_is_alive(
    hostile: Studio, page: str, query: dict[str, str]
) -> None:
    page_of_everything(hostile)
    assert check_page(open_page(page, **query)) > 0


@pytest.mark.parametrize("page", ["", "pipelines", "queue", "compare", "lineage", "launch"])
def test_refusal_of_the_backend_is_inert(hostile: Studio, page: str) -> None:
    problem = {
        "title": "No", "status": 409, "code": "x", "field": "f", "value": "v", "way_out": "w",
        "errors": [{"code": "x", "message": "m", "field": "f", "value": "v", "way_out": "w"}],
    }  # fmt: skip
    hostile.wire.answer = httpx.Response(409, json=poisoned(problem))
    assert check_page(open_page(page, run="1", runs="1,2")) > 0


def test_dialog_of_a_deletion_is_inert(hostile: Studio) -> None:
    page_of_everything(hostile)
    app = open_page("run", run="2")
    assert check_page(app.button(key="delete").click().run()) > 0


def test_workers_whose_names_run_together_are_all_shown(hostile: Studio) -> None:
    workers = (("a", "b_c"), ("a_b", "c"), ("b", "d"))
    for host, name in workers:
        hostile.announce(host, [SLOT | {"name": name}])
    assert check_page(open_page("queue")) >= len(workers)


def test_hostile_number_in_the_address_is_inert(hostile: Studio) -> None:
    for page, name in (("run", "run"), ("pipeline", "pipeline"), ("lineage", "run")):
        assert check_page(open_page(page, **{name: HOSTILE.strip()})) > 0


LIVE = re.compile(r"https?://|www\.|\w@\w|:material/|:\w+:|->")


@pytest.mark.parametrize(
    "text",
    [
        "https://evil.example", "HTTPS://EVIL.EXAMPLE", "http://[::1]/", "(https://evil.example)", "xhttps://evil.example",
        "www.evil.example", "WWW.evil.example", "a@evil.example", "a.b+c@evil.example", "mailto:a@evil.example",
        ":material/home:", ":material_home:", ":smile:", ":+1:", ":-1:", ":streamlit:", "x:smile:y", "::smile::",
        "->", "<-", "<->", "--", ">=", "<=", "~=", "https://a.b https://c.d", "https://a.b/https://c.d",
        "https://https://a.b", "www.www.a.b", "a@b@c.d",
    ],
)  # fmt: skip
def test_what_streamlit_looks_for_after_the_backslashes_are_gone_is_parted(text: str) -> None:
    for escaped in (escape_markdown(text), sentence(text)):
        pieces = [re.sub(r"\\(.)", r"\1", piece) for piece in escaped.split(":color[]")]
        assert len(pieces) > 1
        assert "".join(pieces) == text
        assert not any(LIVE.search(piece) for piece in pieces), pieces


HIDDEN_ONES = [
    0, 7, 0x1B, 0x7F, 0x85 + 1, 0xAD, 0x61C, 0x115F, 0x180E, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), 0x2060,
    0x2063, *range(0x2066, 0x206A), 0x3164, 0xFEFF, 0xFFA0, 0xFFF9, 0xD800, 0xDFFF, 0xE0001, 0xE0041,
]  # fmt: skip


@pytest.mark.parametrize("number", HIDDEN_ONES)
def test_hidden_character_stands_as_its_number_wherever_text_is_shown(number: int) -> None:
    text, seen = f"a{chr(number)}b", f"a⟨U+{number:04X}⟩b"
    assert visible(text) == one_line(text) == seen
    assert escape_markdown(text) == sentence(text) == seen.replace("+", "\\+")
    assert plain_frame([{"t": text}], ["t"])["t"].tolist() == [seen]
    assert chr(number) not in readable_log(text)
    shown = visible_json({"t": text})
    assert json.loads(shown) == {"t": text}
    assert chr(number) not in shown
    escape_markdown(text).encode()


def test_joiners_accents_and_lines_stay() -> None:
    for text in ("👩\u200d🔬", "می\u200cخواهم", "e\u0301", "❤\ufe0f", "a\n\tb"):
        assert visible(text) == text


def test_text_from_right_to_left_is_kept_apart_from_what_stands_beside_it() -> None:
    for text in ("שלום 5", "مرحبا", "x ٣"):
        assert one_line(text) == f"\u2068{text}\u2069"
        assert escape_markdown(text).startswith("\u2068")
    assert one_line("déjà vu") == "déjà vu"


def test_name_of_a_metric_is_inert_in_its_chart() -> None:
    series = MetricSeries(name=f"x{HOSTILE}", steps=[1], values=[1.0], times=[1.0])
    assert not HIDDEN.search(json.dumps(metric_chart(metric_frame(series), series.name).to_dict(), ensure_ascii=False))
