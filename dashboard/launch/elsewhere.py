"""The same launch from a shell or a program: as words of the command line, for curl, and in Python.

Only what differs from the defaults is named. The token is in none of them.
"""

import json
import shlex
from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard.launch.labels import NO_LABELS, Labels
from dashboard.parts.language import mark, t
from memgen.contract.config import parse_config
from memgen.contract.errors import BadInput
from memgen.contract.pipeline import OPTIONAL, STEPS, USUAL, PipelineSpec

ALWAYS = ("stage", "setting", "preset", "data", "checkpoint")
TOKEN_PLACE = mark(
    "The token is not part of it: `MEMGEN_TOKEN` stands for it. `memgen-studio token` prints it; it lies in "
    "`MEMGEN_HOME/backend/token`."
)


def show_elsewhere(
    url: str,
    settings: Mapping[str, Any] | PipelineSpec,
    note: str,
    fixes: int | None = None,
    labels: Labels = NO_LABELS,
    site: str | None = None,
) -> None:
    """The three texts, each with the button that copies it."""
    if isinstance(settings, PipelineSpec):
        body = _body_of(settings)
        texts = (
            pipeline_words(settings, labels),
            curl_text(url, "/pipelines", body | labels.named),
            pipeline_python(url, body, labels),
        )
    else:
        try:
            more = {"fixes": fixes, "site": site}
            body = {"config": short_config(settings), "note": note} | {name: v for name, v in more.items() if v}
            body |= labels.named
        except BadInput:
            st.caption(t("The settings can't be launched yet."))
            return
        command = run_words(body["config"], note, fixes, labels, site)
        texts = command, curl_text(url, "/runs", body), run_python(url, body)
    tabs = st.tabs([t("Command line"), "curl", "Python"])
    for tab, text, language in zip(tabs, texts, ("bash", "bash", "python"), strict=True):
        tab.code(text, language=language, wrap_lines=True)
    st.caption(t(TOKEN_PLACE))


def short_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a config that say what it is, and those that differ from their defaults.

    Raises:
        InvalidConfig: it can't be launched.
    """
    parsed = parse_config(config)
    whole, usual = (
        parsed.model_dump(mode="json"),
        {name: one.default for name, one in type(parsed).model_fields.items()},
    )
    short = {name: whole[name] for name in whole if name in ALWAYS and whole[name] is not None}
    while missing := {name: value for name, value in whole.items() if value != usual[name] and name not in short}:
        short |= missing
        usual = parse_config(short).model_dump(mode="json")  # a value may bring other defaults with it
    return {name: short[name] for name in whole if name in short}


def run_words(
    config: Mapping[str, Any],
    note: str,
    fixes: int | None = None,
    labels: Labels = NO_LABELS,
    site: str | None = None,
) -> str:
    """`memgen-studio launch --set stage=... ...`, a line for each field."""
    words = [f"--set {shlex.quote(f'{name}={_word(value)}')}" for name, value in config.items()]
    return _lines("memgen-studio launch", [*words, *_more_words(note, fixes, labels, site)])


def pipeline_words(spec: PipelineSpec, labels: Labels = NO_LABELS) -> str:
    """`memgen-studio pipeline run --set shared.preset=... ...`, a line for each field."""
    parts: list[tuple[str, Mapping[str, Any]]] = [("shared", spec.shared), ("evaluations", spec.evaluations)]
    words = [
        f"--set {shlex.quote(f'{where}.{name}={_word(value)}')}"
        for where, fields in (*parts, *spec.steps.items())
        for name, value in fields.items()
    ]
    words += [f"--reuse {name}={run_id}" for name, run_id in spec.reuse.items()]
    run = {*spec.to_run, *spec.reuse}
    words += [f"--add {name}" for name in spec.to_run if name in OPTIONAL]
    words += [f"--leave-out {name}" for name in STEPS if name in USUAL and name not in run]
    return _lines("memgen-studio pipeline run", [*words, *_more_words(spec.note, spec.fixes, labels, spec.site)])


def curl_text(url: str, path: str, body: Mapping[str, Any]) -> str:
    """The request that the button sends."""
    return _lines(
        f"curl -sS {shlex.quote(f'{url}/api/v1{path}')}",
        [
            '-H "Authorization: Bearer $MEMGEN_TOKEN"',
            "-H 'Content-Type: application/json'",
            f"-d {shlex.quote(json.dumps(body, ensure_ascii=False))}",
        ],
    )


def run_python(url: str, body: Mapping[str, Any]) -> str:
    """The same with the typed client."""
    config = _literal(body["config"])
    more = ", ".join(f"{name}={value!r}" for name, value in body.items() if name != "config")
    return f"{_client_lines(url)}config = {config}\nrun = client.submit(config, {more})\nprint(run.id)"


def pipeline_python(url: str, body: Mapping[str, Any], labels: Labels = NO_LABELS) -> str:
    """The same with the typed client."""
    spec = _literal(body)
    more = "".join(f", {name}={value!r}" for name, value in labels.named.items())
    return (
        f"{_client_lines(url)}from memgen.contract.pipeline import PipelineSpec\n\nspec = {spec}\n"
        f"pipeline = client.submit_pipeline(PipelineSpec(**spec){more})\nprint(pipeline.id)"
    )


def _client_lines(url: str) -> str:
    return (
        f"import os\n\nfrom backend.api.client import Client\n\nclient = Client({url!r}, os.environ['MEMGEN_TOKEN'])\n"
    )


def _literal(fields: Mapping[str, Any]) -> str:
    """A dict in Python, a line for each key."""
    return "".join(["{\n", *(f"    {name!r}: {value!r},\n" for name, value in fields.items()), "}"])


def _body_of(spec: PipelineSpec) -> dict[str, Any]:
    return {name: value for name, value in spec.model_dump(mode="json").items() if value}


def _lines(command: str, words: list[str]) -> str:
    return " \\\n  ".join([command, *words])


def _more_words(note: str, fixes: int | None, labels: Labels, site: str | None) -> list[str]:
    words = [] if fixes is None else [f"--fixes {fixes}"]
    words += [f"--tag {shlex.quote(tag)}" for tag in labels.tags]
    words += [f"--group {shlex.quote(labels.group)}"] if labels.group else []
    words += [] if site is None else [f"--site {shlex.quote(site)}"]
    return [*words, f"--note {shlex.quote(note)}"] if note else words


def _word(value: Any) -> str:
    """A value as `--set` takes it: empty for none, text as it stands, all others as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
