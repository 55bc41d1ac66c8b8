"""What the things of a lineage say, in the reader's language. Pure functions, plain text."""

from collections.abc import Collection, Mapping

from backend.api.schemas import LineageNode, OutsideNode
from dashboard.lineage.layout import Base, Spot, Thing
from dashboard.parts.foreign_text import one_line
from dashboard.parts.language import mark, t
from dashboard.parts.text import accuracy_words
from memgen.contract.status import RUN_ENDED


def spot_lines(spot: Spot, notes: Mapping[int, str]) -> list[str]:
    """What stands beside a thing in the picture, line by line: what it is, how it stands, and its note.

    Args:
        spot: of the thing.
        notes: of all runs by their numbers; one that a whole pipeline has is said where it begins.
    """
    thing = spot.thing
    if isinstance(thing, LineageNode):
        begins = thing.parent_id is None or notes.get(thing.parent_id) != thing.note
        lines = [f"{thing.run_id} · {thing.title}", standing_words(thing), thing.note if begins else ""]
    elif isinstance(thing, OutsideNode):
        lines = [f"{thing.id} · {thing.name}", t("from outside"), thing.note]
    elif isinstance(thing, Base):
        lines = [thing.preset.rpartition("/")[-1], t("base model")]
    else:
        lines = [t("run {number}", number=thing.number), t("deleted") if thing.deleted else t("not shown")]
    return [one_line(line) for line in lines if line]


def standing_words(node: LineageNode) -> str:
    """`58.1 % of 1,319`, once it has been measured; else the status."""
    if node.status in RUN_ENDED and node.accuracy is not None:
        return accuracy_words(node.accuracy, node.num_questions) + node.scorer_mark
    return t(node.status.value)


def status_words(node: LineageNode) -> str:
    """`succeeded`; after several attempts `succeeded, 2 attempts: lost, succeeded`."""
    if len(node.attempts) < 2:
        return t(node.status.value)
    each = ", ".join(t(attempt.status.value) for attempt in sorted(node.attempts, key=lambda one: one.number))
    return t("{status}, {n} attempts: {each}", status=t(node.status.value), n=len(node.attempts), each=each)


def parent_words(node: LineageNode, outside: Collection[int] = ()) -> str:
    """`base model`, `run 3`, `run 3 (deleted)`, `4, from outside`."""
    if node.parent_id is None:
        return t("base model")
    if node.parent_id in outside:
        return t("{number}, from outside", number=node.parent_id)
    words = mark("run {number} (deleted)") if node.parent_deleted else mark("run {number}")
    return t(words, number=node.parent_id)


def matches(thing: Thing, words: Collection[str]) -> bool:
    """Whether a run, or a checkpoint from outside, has all words; a number is that of the thing, or stands in its note.

    Args:
        thing: to look at.
        words: in lower case.
    """
    if isinstance(thing, LineageNode):
        number, note = thing.run_id, thing.note
        told = [thing.title, thing.preset, thing.data, note, thing.content_hash or "", thing.status.value]
        told.append(t(thing.status.value))
    elif isinstance(thing, OutsideNode):
        number, note = thing.id, thing.note
        told = [thing.name, thing.preset, thing.data, note, thing.content_hash, t("from outside")]
    else:
        return False
    everything, in_note = " ".join(told).casefold(), note.casefold().split()
    return all(
        int(word) == number or word in in_note if word.isascii() and word.isdecimal() else word in everything
        for word in words
    )
