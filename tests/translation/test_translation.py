"""Every text of the dashboard is marked and translated, and the catalogues hold nothing else."""

import ast
from dataclasses import replace
from string import Formatter

import pytest
from babel.messages.catalog import Catalog, Message

from dashboard.parts.catalogue import LOCALE, catalogue
from memgen.contract.stages import STAGES
from tests.translation import texts_of_records
from tests.translation.catalogues import OTHERS, stored, updated, wanted, wanted_of_backend
from tests.translation.texts_of_backend import COMPOSING, message_of
from tests.translation.texts_of_code import DASHBOARD, unmarked

UPDATE = "python -m tests.translation brings the catalogue up to date; its new texts are then to be translated"


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_is_translated(language: str) -> None:
    assert untranslated(stored(language)) == []


@pytest.mark.parametrize("language", OTHERS)
def test_the_catalogue_has_the_texts_of_code_and_records_and_no_others(language: str) -> None:
    there, asked = ({message.id for message in one} for one in (stored(language), wanted()))
    assert sorted(map(str, asked - there)) == [], UPDATE
    assert sorted(map(str, there - asked)) == [], UPDATE


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_has_the_placeholders_of_its_text(language: str) -> None:
    assert [message.id for message in stored(language) if misplaced(message)] == []


@pytest.mark.parametrize("language", OTHERS)
def test_the_dashboard_reads_the_catalogue_as_gettext_tools_do(language: str) -> None:
    read = catalogue(language)
    for message in stored(language):
        if message.id:
            text = read.ngettext(*message.id, 2) if message.pluralizable else read.gettext(message.id)
            assert text == texts(message)[0]


@pytest.mark.parametrize("language", OTHERS)
def test_an_update_of_a_catalogue_that_is_up_to_date_changes_nothing(language: str) -> None:
    assert updated(language) == (LOCALE / f"{language}.po").read_bytes()


@pytest.mark.parametrize("language", OTHERS)
def test_why_a_run_waits_and_what_rang_an_alarm_is_translated(language: str) -> None:
    there = {message.id for message in stored(f"{language}.backend") if message.id and message.string}
    asked = [one for one in wanted_of_backend() if {place for place, _ in one.locations} & {*COMPOSING}]
    assert [one.id for one in asked if one.id not in there] == [], UPDATE


@pytest.mark.parametrize("language", OTHERS)
def test_no_translated_sentence_of_the_backend_is_gone_from_its_code(language: str) -> None:
    code = {message.id for message in wanted_of_backend()}
    there = [message for message in stored(f"{language}.backend") if message.id]
    assert [message.id for message in there if message.string and message.id not in code] == [], UPDATE
    assert [message.id for message in there if message.string and misplaced(message)] == []


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("'it can not be used by anybody'", "it can not be used by anybody"),
        ("f'run {run.id} is {run.status} already'", "run {0} is {1} already"),
        ("'above {value:.2f} for {count} steps of a run'", "above {0} for {1} steps of a run"),
        ("f'{one}: {other}'", ""),  # would fit anything
        ("message", ""),
    ],
)
def test_message_of_a_sentence_is_what_is_always_the_same(code: str, message: str) -> None:
    assert message_of(ast.parse(code, mode="eval").body) == message


def test_no_code_of_the_dashboard_shows_an_unmarked_text() -> None:
    found = {path.as_posix(): unmarked(path.read_text()) for path in sorted(DASHBOARD.rglob("*.py"))}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "line",
    [
        'st.button("Launch a run", key="launch")',
        'st.caption(f"{number} runs")',
        'st.button(t("Stop"), help="Ends it")',
        'column.metric("Disk free", size)',
        'st.info("Nothing yet." if live else t("Nothing."))',
        'st.tabs(["Log", t("History")])',
        'alt.X("step:Q", title="questions answered")',
        'st.column_config.TextColumn("Model", width=90)',
        'st.column_config.TextColumn(mark("Model"), help="Of the run")',
        'st.markdown("**Together**" + more)',
    ],
)
def test_an_unmarked_text_is_found(line: str) -> None:
    assert unmarked(line) != []


@pytest.mark.parametrize(
    "line",
    [
        'st.button(t("Launch a run"), key="launch", icon=":material/list:")',
        'st.markdown(f":material/undo: {t(words)}")',
        'st.markdown(f"**{escape_markdown(name)}**")',
        'st.page_link("app_pages/run.py", label=t("Run {number}", number=3))',
        'st.column_config.TextColumn(mark("Model"), width=90)',
        'alt.X("step:Q", title=t("step"))',
        'alt.Axis(format=".0%")',
    ],
)
def test_a_marked_text_and_markup_are_not_complained_of(line: str) -> None:
    assert unmarked(line) == []


def test_a_text_of_a_new_stage_is_found_untranslated(monkeypatch: pytest.MonkeyPatch) -> None:
    form = replace(STAGES[0].launch.forms[0], label="Toy", about="Does something new.")
    stage = replace(STAGES[0], launch=replace(STAGES[0].launch, forms=(form,)))
    monkeypatch.setattr(texts_of_records, "STAGES", (*STAGES, stage))
    catalog = stored("ko")
    catalog.update(wanted(), no_fuzzy_matching=True)
    assert sorted(untranslated(catalog)) == ["Does something new.", "Toy"]


def test_a_placeholder_that_differs_is_found() -> None:
    catalog = Catalog(locale="ko")
    assert not misplaced(catalog.add("run {number}", "실행 {number}"))
    assert misplaced(catalog.add("run {name}", "실행 {number}"))
    assert misplaced(catalog.add(("{n} run", "{n} runs"), ("실행",)))


def untranslated(catalog: Catalog) -> list[str]:
    """Texts without a translation, those of several by the last."""
    return [originals(message)[-1] for message in catalog if message.id and not all(texts(message))]


def misplaced(message: Message) -> bool:
    """Whether a translation has other placeholders than its text."""
    if not message.id:
        return False
    return any(placeholders(text) != placeholders(originals(message)[-1]) for text in texts(message))


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def originals(message: Message) -> list[str]:
    return list(message.id) if message.pluralizable else [message.id]


def texts(message: Message) -> list[str]:
    return list(message.string) if message.pluralizable else [message.string]
