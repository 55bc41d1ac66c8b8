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
from dashboard.parts.run_actions import LEFT_BEHIND, choose_stop_mode
from dashboard.parts.tag_choice import TagChange, choose_tags, forget_choice
from dashboard.parts.text import size
from memgen.contract.status import StopMode

What = Literal["stop", "delete", "tag", "archive", "take_out"]
ASKED, DONE, PREVIEW = "bulk_asked", "bulk_done", "bulk_preview"
MOST_NAMED = 30  # numbers of runs in a sentence
DELETED_AT_ONCE = 25  # files take longer than rows, and a request is waited for 10 s
_ALSO = {
    "stop": "Runs that wait for their checkpoints are skipped.",
    "delete": "Checkpoints go with them: nothing can start from there any more.",
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

    def count(self, number: int) -> str:
        """`1 run`, `12 pipelines`."""
        return f"{number:,} {self.of}{'' if number == 1 else 's'}"


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


def bulk_dialog() -> None:
    """On the page itself: the dialog that was asked for, until it is closed; what was done is said once."""
    if done := st.session_state.pop(DONE, None):
        st.toast(done, icon=":material/check:")
    asked: Asked | None = st.session_state.get(ASKED)
    if asked is not None:
        _DIALOGS[asked.what](asked)


def _forget() -> None:
    st.session_state.pop(ASKED, None)
    st.session_state.pop(PREVIEW, None)


@st.dialog("Stop these runs?", width="medium", on_dismiss=_forget)
def _stop_dialog(asked: Asked) -> None:
    mode = choose_stop_mode() if asked.under_way else StopMode.SAVE
    _confirm(asked, mode, lambda number: f"Stop {asked.count(number)}", "Stopping {}.")


@st.dialog("Delete these runs?", width="medium", on_dismiss=_forget)
def _delete_dialog(asked: Asked) -> None:
    _confirm(asked, None, lambda number: f"Delete {asked.count(number)} for good", "{} deleted.")


@st.dialog("Tags", width="medium", on_dismiss=_forget)
def _tag_dialog(asked: Asked) -> None:
    with api.part_errors():
        change = choose_tags(with_group=asked.of == "run")
        if change is None:
            st.caption(f"Of {asked.count(len(asked.numbers))}.")
            return
        _confirm(asked, change, lambda number: f"Change {asked.count(number)}", "Tags of {} changed.")


@st.dialog("Put into the archive?", width="medium", on_dismiss=_forget)
def _archive_dialog(asked: Asked) -> None:
    st.write(
        "Lists, totals and offers leave out what is in the archive until it is asked for. Lineage, comparisons and "
        "checkpoints stay as they are, and it can be taken out again."
    )
    _confirm(asked, None, lambda number: f"Archive {asked.count(number)}", "{} archived.")


@st.dialog("Take out of the archive?", width="medium", on_dismiss=_forget)
def _take_out_dialog(asked: Asked) -> None:
    _confirm(asked, None, lambda number: f"Take out {asked.count(number)}", "{} taken out of the archive.")


_DIALOGS: dict[What, Callable[[Asked], None]] = {
    "stop": _stop_dialog, "delete": _delete_dialog, "tag": _tag_dialog, "archive": _archive_dialog,
    "take_out": _take_out_dialog,
}  # fmt: skip


def _confirm(asked: Asked, choice: Choice, label: Callable[[int], str], words: str) -> None:
    """What would happen, and the buttons that let it happen or not."""
    with api.part_errors():
        preview = _preview(asked, choice)
        _show(asked, preview)
        if asked.what == "delete" and preview.num_done:
            st.write(f"{size(preview.size_bytes)} of answers, checkpoints, metrics and logs go for good.")
        with st.container(horizontal=True):
            confirmed = st.button(
                label(preview.num_done), key=f"confirm_bulk_{asked.what}", type="primary", disabled=not preview.num_done
            )
            if st.button("Change nothing", key=f"cancel_bulk_{asked.what}"):
                _forget()
                st.rerun()
        if confirmed:
            done = _in_pieces(asked, choice, confirm=True)
            if asked.what == "delete":
                st.session_state[LEFT_BEHIND] = done.left
            if asked.what == "tag":
                api.forget_tags()
            _forget()
            st.session_state[DONE] = words.format(asked.count(done.num_done))
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
    bar = st.progress(0.0, text=f"0 of {len(asked.numbers):,}") if len(pieces) > 1 else None
    told, seen = Told(), 0
    for place, piece in enumerate(pieces):
        key = f"{asked.key}-{hashlib.sha256(repr(choice).encode()).hexdigest()[:12]}-{place}" if confirm else None
        told.add(_send(asked, choice, piece, confirm=confirm, key=key))
        seen += len(piece)
        if bar is not None:
            bar.progress(seen / len(asked.numbers), text=f"{seen:,} of {len(asked.numbers):,}")
    if bar is not None:
        bar.empty()
        told.also = [_ALSO[asked.what]] if told.also else []  # each piece counts for itself
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
        f"- **{_each(asked, len(numbers))}** {escape_markdown(words)}: {_named(numbers)}"
        for words, numbers in preview.outcomes.items()
    ]
    lines += [f"- {sentence(one)}" for one in preview.also]
    st.markdown("\n".join(lines) or f"Nothing can be done with these {asked.of}s.")
    if preview.refused:
        refused = preview.refused[:MOST_AT_ONCE]
        title = f"{asked.count(len(preview.refused))} stay as they are"
        with st.expander(title, key="bulk_refused", expanded=not lines):
            more = len(preview.refused) - len(refused)
            reasons = [f"- {asked.of} {number}: {sentence(message)}" for number, message in refused]
            st.markdown("\n".join(reasons + ([f"- and {more:,} more"] if more else [])))


def _each(asked: Asked, number: int) -> str:
    return asked.count(1) if number == 1 else f"Each of {asked.count(number)}"


def _named(numbers: Sequence[int]) -> str:
    more = len(numbers) - MOST_NAMED
    return ", ".join(map(str, numbers[:MOST_NAMED])) + (f" and {more:,} more" if more > 0 else "")
