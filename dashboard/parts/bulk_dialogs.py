"""What is done with many runs or pipelines at once, after a look at what would happen.

A page asks with `ask` and draws `bulk_dialog`. Many are looked at and changed piece by piece, each piece with a key of
its own: if the backend is away in the middle, the same button goes on where that ended.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal
from uuid import uuid4

import streamlit as st

from backend.api.schemas import BulkOut, PipelinesOut
from backend.api.schemas.bulk import MOST_AT_ONCE
from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown, sentence
from dashboard.parts.language import mark, mark_plural, plural, t
from dashboard.parts.run_actions import LEFT_BEHIND, choose_stop_mode
from dashboard.parts.tag_choice import TagChange, choose_tags, forget_choice
from dashboard.parts.text import size
from memgen.contract.status import StopMode

What = Literal["stop", "delete", "tag", "archive", "take_out"]
ASKED, DONE, PREVIEW = "bulk_asked", "bulk_done", "bulk_preview"
MOST_NAMED = 30  # numbers of runs in a sentence
DELETED_AT_ONCE = 25  # files take longer than rows, and a request is waited for 10 s
_ALSO = {
    "stop": mark("Runs that wait for their checkpoints are skipped."),
    "delete": mark("Checkpoints go with them: nothing can start from there any more."),
}
Choice = StopMode | TagChange | None


@dataclass(frozen=True)
class Asked:
    """What is to be done, and with which."""

    what: What
    numbers: tuple[int, ...]
    of: Literal["run", "pipeline"] = "run"
    under_way: bool = False
    """Whether some of the runs may be in the middle of a step."""
    key: str = field(default_factory=lambda: uuid4().hex)
    """Begins the keys of the requests: one that is sent twice is done once."""

    def say(self, words: "Words", number: int) -> str:
        """What is said of so many runs or pipelines."""
        return plural(*(words.runs if self.of == "run" else words.pipelines), number)


@dataclass(frozen=True)
class Words:
    """A text about runs and the same about pipelines, each for one and for several."""

    runs: tuple[str, str]
    pipelines: tuple[str, str]


STOP = Words(
    mark_plural("Stop {n} run", "Stop {n} runs"),
    mark_plural("Stop {n} run", "Stop {n} runs"),
)
STOPPING = Words(
    mark_plural("Stopping {n} run.", "Stopping {n} runs."),
    mark_plural("Stopping {n} run.", "Stopping {n} runs."),
)
DELETE = Words(
    mark_plural("Delete {n} run for good", "Delete {n} runs for good"),
    mark_plural("Delete {n} run for good", "Delete {n} runs for good"),
)
DELETED = Words(
    mark_plural("{n} run deleted.", "{n} runs deleted."),
    mark_plural("{n} run deleted.", "{n} runs deleted."),
)
OF = Words(
    mark_plural("Of {n} run.", "Of {n} runs."),
    mark_plural("Of {n} pipeline.", "Of {n} pipelines."),
)
CHANGE = Words(
    mark_plural("Change {n} run", "Change {n} runs"),
    mark_plural("Change {n} pipeline", "Change {n} pipelines"),
)
CHANGED = Words(
    mark_plural("Tags of {n} run changed.", "Tags of {n} runs changed."),
    mark_plural("Tags of {n} pipeline changed.", "Tags of {n} pipelines changed."),
)
ARCHIVE = Words(
    mark_plural("Archive {n} run", "Archive {n} runs"),
    mark_plural("Archive {n} pipeline", "Archive {n} pipelines"),
)
ARCHIVED = Words(
    mark_plural("{n} run archived.", "{n} runs archived."),
    mark_plural("{n} pipeline archived.", "{n} pipelines archived."),
)
TAKE_OUT = Words(
    mark_plural("Take out {n} run", "Take out {n} runs"),
    mark_plural("Take out {n} pipeline", "Take out {n} pipelines"),
)
TAKEN_OUT = Words(
    mark_plural("{n} run taken out of the archive.", "{n} runs taken out of the archive."),
    mark_plural("{n} pipeline taken out of the archive.", "{n} pipelines taken out of the archive."),
)
STAY = Words(
    mark_plural("{n} run stays as it is", "{n} runs stay as they are"),
    mark_plural("{n} pipeline stays as it is", "{n} pipelines stay as they are"),
)
EACH = Words(
    mark_plural("{n} run", "Each of {n} runs"),
    mark_plural("{n} pipeline", "Each of {n} pipelines"),
)
NOTHING = {
    "run": mark("Nothing can be done with these runs."),
    "pipeline": mark("Nothing can be done with these pipelines."),
}
NUMBERED = {"run": mark("run {number}"), "pipeline": mark("pipeline {number}")}


@dataclass
class Told:
    """What the replies for all pieces say together."""

    outcomes: dict[str, list[int]] = field(default_factory=dict)
    refused: list[tuple[int, str]] = field(default_factory=list)
    also: list[str] = field(default_factory=list)
    size_bytes: int = 0
    left: list[str] = field(default_factory=list)

    @property
    def num_done(self) -> int:
        """With how many it was done, or would be."""
        return sum(map(len, self.outcomes.values()))

    def add(self, reply: BulkOut | PipelinesOut) -> None:
        """Take in the reply for a piece."""
        pairs = (
            [(item.run_id, item) for item in reply.items]
            if isinstance(reply, BulkOut)
            else [(item.pipeline_id, item) for item in reply.items]
        )
        for number, item in pairs:
            if item.problem is None:
                self.outcomes.setdefault(item.outcome, []).append(number)
            else:
                self.refused.append((number, item.problem.message))
        if isinstance(reply, BulkOut):
            self.also += [one for one in reply.also if one not in self.also]
            self.size_bytes += reply.size_bytes
            self.left += reply.left


def ask(asked: Asked) -> None:
    """Let the page open the dialog."""
    forget_choice()
    st.session_state.pop(PREVIEW, None)
    st.session_state[ASKED] = asked
    st.rerun(scope="app")


_FOR_ALL: tuple[tuple[What, str, str], ...] = (
    ("tag", mark("Tag all"), "sell"), ("archive", mark("Archive all"), "archive"),
    ("take_out", mark("Take all out of the archive"), "unarchive"), ("stop", mark("Stop all"), "stop"),
    ("delete", mark("Delete all"), "delete"),
)  # fmt: skip


def choose_all(total: int, shown: int, name: str) -> bool:
    """The box that chooses everything that matches, where that is more than the page shows.

    Args:
        total: how many match.
        shown: how many are on this page.
        name: of the filters; with others everything is no longer chosen.
    """
    return total > shown and st.checkbox(t("All {n} that match", n=f"{total:,}"), key=f"bulk_all_{name}")


def buttons_for_all(chosen: Callable[[What], Asked]) -> None:
    """The buttons for everything that matches: what that is, is asked when one is pressed."""
    for what, label, icon in _FOR_ALL:
        if st.button(t(label), key=f"bulk_{what}", icon=f":material/{icon}:"):
            with api.part_errors():
                ask(chosen(what))


def bulk_dialog() -> None:
    """On the page itself: the dialog that was asked for, until it is closed; what was done is said once."""
    if done := st.session_state.pop(DONE, None):
        st.toast(done, icon=":material/check:")
    asked: Asked | None = st.session_state.get(ASKED)
    if asked is not None:
        title, draw = _DIALOGS[asked.what]
        st.dialog(t(title), width="medium", on_dismiss=_forget)(draw)(asked)


def _forget() -> None:
    st.session_state.pop(ASKED, None)
    st.session_state.pop(PREVIEW, None)


def _stop_dialog(asked: Asked) -> None:
    mode = choose_stop_mode() if asked.under_way else StopMode.SAVE
    _confirm(asked, mode, STOP, STOPPING)


def _delete_dialog(asked: Asked) -> None:
    _confirm(asked, None, DELETE, DELETED)


def _tag_dialog(asked: Asked) -> None:
    with api.part_errors():
        change = choose_tags(with_group=asked.of == "run")
        if change is None:
            st.caption(asked.say(OF, len(asked.numbers)))
            return
        _confirm(asked, change, CHANGE, CHANGED)


def _archive_dialog(asked: Asked) -> None:
    st.write(
        t(
            "Lists, totals and offers leave out what is in the archive until it is asked for. Lineage, comparisons and "
            "checkpoints stay as they are, and it can be taken out again."
        )
    )
    _confirm(asked, None, ARCHIVE, ARCHIVED)


def _take_out_dialog(asked: Asked) -> None:
    _confirm(asked, None, TAKE_OUT, TAKEN_OUT)


_DIALOGS: dict[What, tuple[str, Callable[[Asked], None]]] = {
    "stop": (mark("Stop these runs?"), _stop_dialog), "delete": (mark("Delete these runs?"), _delete_dialog),
    "tag": (mark("Tags"), _tag_dialog), "archive": (mark("Put into the archive?"), _archive_dialog),
    "take_out": (mark("Take out of the archive?"), _take_out_dialog),
}  # fmt: skip


def _confirm(asked: Asked, choice: Choice, label: Words, done_words: Words) -> None:
    """What would happen, and the buttons that let it happen or not."""
    with api.part_errors():
        preview = _preview(asked, choice)
        _show(asked, preview)
        if asked.what == "delete" and preview.num_done:
            st.write(t("{size} of answers, checkpoints, metrics and logs go for good.", size=size(preview.size_bytes)))
        with st.container(horizontal=True):
            confirmed = st.button(
                asked.say(label, preview.num_done),
                key=f"confirm_bulk_{asked.what}",
                type="primary",
                disabled=not preview.num_done,
            )
            if st.button(t("Change nothing"), key=f"cancel_bulk_{asked.what}"):
                _forget()
                st.rerun()
        if confirmed:
            done = _in_pieces(asked, choice, confirm=True)
            if asked.what == "delete":
                st.session_state[LEFT_BEHIND] = done.left
            if asked.what == "tag":
                api.forget_tags()
            _forget()
            st.session_state[DONE] = asked.say(done_words, done.num_done)
            st.rerun()


def _preview(asked: Asked, choice: Choice) -> Told:
    """What would happen; of many it is asked once, as that takes a request for each piece."""
    if len(asked.numbers) <= MOST_AT_ONCE:
        return _in_pieces(asked, choice, confirm=False)
    kept: tuple[Choice, Told] | None = st.session_state.get(PREVIEW)
    if kept is None or kept[0] != choice:
        kept = choice, _in_pieces(asked, choice, confirm=False)
        st.session_state[PREVIEW] = kept
    return kept[1]


def _in_pieces(asked: Asked, choice: Choice, *, confirm: bool) -> Told:
    step = DELETED_AT_ONCE if confirm and asked.what == "delete" else MOST_AT_ONCE
    pieces = [asked.numbers[start : start + step] for start in range(0, len(asked.numbers), step)]
    bar = st.progress(0.0, text=_so_many(0, len(asked.numbers))) if len(pieces) > 1 else None
    told, seen = Told(), 0
    for place, piece in enumerate(pieces):
        key = f"{asked.key}-{hashlib.sha256(repr(choice).encode()).hexdigest()[:12]}-{place}" if confirm else None
        told.add(_send(asked, choice, piece, confirm=confirm, key=key))
        seen += len(piece)
        if bar is not None:
            bar.progress(seen / len(asked.numbers), text=_so_many(seen, len(asked.numbers)))
    if bar is not None:
        bar.empty()
        told.also = [t(_ALSO[asked.what])] if told.also else []  # each piece counts for itself
    return told


def _send(
    asked: Asked, choice: Choice, piece: Sequence[int], *, confirm: bool, key: str | None
) -> BulkOut | PipelinesOut:
    client, of_runs = api.client(), asked.of == "run"
    if asked.what == "stop":
        mode = choice if isinstance(choice, StopMode) else StopMode.SAVE
        return client.stop_runs(piece, mode, confirm=confirm, key=key)
    if asked.what == "delete":
        return client.delete_runs(piece, confirm=confirm, key=key)
    if isinstance(choice, TagChange):
        if of_runs:
            return client.tag_runs(
                piece, add=choice.add, remove=choice.remove, group=choice.group, confirm=confirm, key=key
            )
        return client.tag_pipelines(piece, add=choice.add, remove=choice.remove, confirm=confirm, key=key)
    move = client.archive_runs if of_runs else client.archive_pipelines
    return move(piece, archived=asked.what == "archive", confirm=confirm, key=key)


def _show(asked: Asked, preview: Told) -> None:
    """How many share an outcome and which they are; those that stay as they are, each with its reason."""
    lines = [
        f"- **{_each(asked, len(numbers))}** {escape_markdown(t(words))}: {_named(numbers)}"
        for words, numbers in preview.outcomes.items()
    ]
    lines += [f"- {sentence(one)}" for one in preview.also]
    st.markdown("\n".join(lines) or t(NOTHING[asked.of]))
    if preview.refused:
        refused = preview.refused[:MOST_AT_ONCE]
        title = asked.say(STAY, len(preview.refused))
        with st.expander(title, key="bulk_refused", expanded=not lines):
            more = len(preview.refused) - len(refused)
            reasons = [f"- {t(NUMBERED[asked.of], number=number)}: {sentence(message)}" for number, message in refused]
            st.markdown("\n".join(reasons + ([f"- {t('and {n} more', n=f'{more:,}')}"] if more else [])))


def _each(asked: Asked, number: int) -> str:
    return asked.say(EACH, number)


def _named(numbers: Sequence[int]) -> str:
    more = len(numbers) - MOST_NAMED
    named = ", ".join(map(str, numbers[:MOST_NAMED]))
    return t("{named} and {n} more", named=named, n=f"{more:,}") if more > 0 else named


def _so_many(done: int, of: int) -> str:
    return t("{n} of {total}", n=f"{done:,}", total=f"{of:,}")
