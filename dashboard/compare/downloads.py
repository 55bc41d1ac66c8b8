"""Comparisons as files: the browser asks here, and the backend's file is handed on piece by piece."""

from urllib.parse import urlencode

import streamlit as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from backend.api.calls.compare import Format
from dashboard.parts import api
from dashboard.parts.downloads import streamed
from dashboard.parts.url_state import run_numbers

_RESULTS, _ANSWERS = "/download/compare/results", "/download/compare/answers"
FORMS: dict[Format, tuple[str, str]] = {
    "csv": ("CSV", "text/csv; charset=utf-8"), "jsonl": ("JSONL", "application/jsonl"),
}  # fmt: skip


def results_links(runs: list[int], base: int) -> None:
    """Links to the table of a comparison in each form."""
    _links("results", _RESULTS, {"runs": ",".join(map(str, runs)), "base": str(base)})


def answers_links(before: int, after: int, show: str) -> None:
    """Links to the answers of two evaluations in each form, those that the filter shows."""
    _links("answers", _ANSWERS, {"before": str(before), "after": str(after), "show": show})


def _links(key: str, path: str, query: dict[str, str]) -> None:
    with st.container(horizontal=True, key=f"download_{key}", gap="small"):
        for form, (word, _) in FORMS.items():
            st.link_button(word, f"{path}?{urlencode(query | {'format': form})}", icon=":material/download:")


def _results(request: Request) -> Response:
    given, form = request.query_params, _form(request)
    runs, base = run_numbers(given.get("runs", "")), run_numbers(given.get("base", ""))
    if not runs or form is None:
        return _unknown()
    return streamed(
        lambda: api.client().export_comparison(runs, base=base[0] if base else None, form=form),
        f"comparison-{'-'.join(map(str, runs))}.{form}", FORMS[form][1],
    )  # fmt: skip


def _answers(request: Request) -> Response:
    given, form = request.query_params, _form(request)
    pair = run_numbers(f"{given.get('before', '')},{given.get('after', '')}")
    if len(pair) != 2 or form is None:
        return _unknown()
    return streamed(
        lambda: api.client().export_answers(*pair, show=given.get("show", "all"), form=form),
        f"answers-{pair[0]}-{pair[1]}.{form}", FORMS[form][1],
    )  # fmt: skip


def _form(request: Request) -> Format | None:
    return next((form for form in FORMS if form == request.query_params.get("format")), None)


def _unknown() -> Response:
    return PlainTextResponse("There is no such file.", 404)


COMPARE_DOWNLOADS = [Route(_RESULTS, _results, methods=["GET"]), Route(_ANSWERS, _answers, methods=["GET"])]
