"""Tags: short words that runs and pipelines are found by. A run's group is one of its tags, marked as such.

Two tags are the same if they differ in upper case alone; the spelling that was there first stays.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, SQLColumnExpression, insert, literal, update
from sqlalchemy import delete as sql_delete
from sqlmodel import Session, col, func, select

from backend.errors import Conflict, ServiceError
from backend.services import pipelines, runs
from backend.store.models import Pipeline, PipelineTag, Run, RunTag
from backend.store.prepared import IDS, among
from memgen.contract.errors import BadInput

LONGEST = 40  # characters of a tag
MOST_OF_ONE = 20  # tags of a run or a pipeline
MOST = 1000  # different tags of a home
_TAGS_OF_RUNS = select(RunTag).where(col(RunTag.run_id).in_(IDS)).order_by(col(RunTag.key))
_TAGS_OF_PIPELINES = select(PipelineTag).where(col(PipelineTag.pipeline_id).in_(IDS)).order_by(col(PipelineTag.key))
_WORD = re.compile(rf"\w(?:[\w .:/()+=-]{{0,{LONGEST - 2}}}[\w)+=-])?")


@dataclass(frozen=True)
class Change:
    """What is done with the tags of many runs or pipelines; `checked` makes one."""

    add: Mapping[str, str]
    """Names by their keys."""
    remove: frozenset[str]
    """Keys."""
    group: str | None = None
    """Key of the tag that becomes the group, empty for none; None leaves the group as it is."""


Outcome = tuple[str, ServiceError | None]
"""Of one run or pipeline: what becomes of it in a few words, and why nothing does."""


def key_of(name: str) -> str:
    """What tells a tag from others."""
    return unicodedata.normalize("NFC", " ".join(name.split())).casefold()


def checked(add: Sequence[str], remove: Sequence[str], group: str | None = None) -> Change:
    """A change of tags, each of which can be one.

    Raises:
        BadInput: `bad_tag`, `nothing_to_change`.
    """
    added = {key_of(name): _word(name) for name in ([*add, group] if group else add)}
    removed = frozenset(map(key_of, remove)) - added.keys()
    if not added and not removed and group is None:
        raise BadInput(
            "nothing_to_change", "no tag was named", field="add", way_out="Name tags to add or to remove, or a group."
        )
    return Change(added, removed, None if group is None else key_of(group))


def at_creation(names: Sequence[str], group: str | None) -> Change | None:
    """The tags and the group that something new gets; None where none is named.

    Raises:
        BadInput: `bad_tag`, of the field `tags`.
    """
    if not names and not group:
        return None
    try:
        return checked(names, [], group or None)
    except BadInput as error:
        raise error.at("tags") from error


def tag_new_pipeline(session: Session, pipeline_id: int, change: Change) -> None:
    """Give tags to a pipeline that was just stored, and with the group to all runs that it submitted.

    Raises:
        Conflict: `too_many_tags`.
    """
    tag_pipelines(session, [pipeline_id], change, confirm=True)
    submitted = session.exec(select(Run.id).where(col(Run.pipeline_id) == pipeline_id)).all()
    tag_runs(session, submitted, change, confirm=True)


def tag_runs(session: Session, run_ids: Sequence[int], change: Change, *, confirm: bool) -> dict[int, Outcome]:
    """Change the tags of runs, ended or not.

    Args:
        session: a transaction.
        run_ids: of the runs.
        change: what is done.
        confirm: whether it is done; else it is only told what would be.

    Raises:
        Conflict: `too_many_tags`: the home would have too many.
    """
    return _tag(session, RunTag, run_ids, change, confirm=confirm)


def tag_pipelines(
    session: Session, pipeline_ids: Sequence[int], change: Change, *, confirm: bool
) -> dict[int, Outcome]:
    """Change the tags of pipelines, which have no group; as `tag_runs`."""
    return _tag(session, PipelineTag, pipeline_ids, change, confirm=confirm)


def tags_of_runs(session: Session, run_ids: Iterable[int]) -> dict[int, list[RunTag]]:
    """Tags of each of these runs that has any, by their names."""
    tags: dict[int, list[RunTag]] = {}
    for row in session.exec(_TAGS_OF_RUNS, params=among(run_ids)):
        tags.setdefault(row.run_id, []).append(row)
    return tags


def tags_of_pipelines(session: Session, pipeline_ids: Iterable[int]) -> dict[int, list[str]]:
    """Names of the tags of each of these pipelines that has any."""
    names: dict[int, list[str]] = {}
    for row in session.exec(_TAGS_OF_PIPELINES, params=among(pipeline_ids)):
        names.setdefault(row.pipeline_id, []).append(row.name)
    return names


def group_of(tags: Iterable[RunTag]) -> str | None:
    """Name of the group among the tags of a run."""
    return next((tag.name for tag in tags if tag.is_group), None)


def run_has(tag: str, *, as_group: bool = False) -> ColumnElement[bool]:
    """Whether a run has this tag, or this group."""
    tagged = select(RunTag.run_id).where(col(RunTag.key) == key_of(tag))
    return col(Run.id).in_(tagged.where(col(RunTag.is_group)) if as_group else tagged)


def pipeline_has(tag: str) -> ColumnElement[bool]:
    """Whether a pipeline has this tag."""
    return col(Pipeline.id).in_(select(PipelineTag.pipeline_id).where(col(PipelineTag.key) == key_of(tag)))


def group_column() -> SQLColumnExpression[str]:
    """The key of a run's group; null for those without one."""
    of_run = select(RunTag.key).where(col(RunTag.run_id) == col(Run.id), col(RunTag.is_group))
    return of_run.scalar_subquery()


@dataclass(frozen=True)
class Known:
    """A tag that is in use."""

    name: str
    num_runs: int
    num_group: int
    """Of the runs those whose group it is."""
    num_pipelines: int


def known_tags(session: Session) -> list[Known]:
    """Every tag in use, by its name."""
    of_runs = {
        key: (name, count, int(groups or 0))
        for key, name, count, groups in session.execute(
            select(RunTag.key, func.min(RunTag.name), func.count(), func.sum(col(RunTag.is_group))).group_by(RunTag.key)
        )
    }
    of_pipelines = {
        key: (name, count)
        for key, name, count in session.execute(
            select(PipelineTag.key, func.min(PipelineTag.name), func.count()).group_by(PipelineTag.key)
        )
    }
    return [
        Known(
            name=of_runs[key][0] if key in of_runs else of_pipelines[key][0],
            num_runs=of_runs[key][1] if key in of_runs else 0,
            num_group=of_runs[key][2] if key in of_runs else 0,
            num_pipelines=of_pipelines[key][1] if key in of_pipelines else 0,
        )
        for key in sorted(of_runs.keys() | of_pipelines.keys())
    ]


def _word(name: str) -> str:
    word = unicodedata.normalize("NFC", " ".join(name.split()))
    if _WORD.fullmatch(word) is None:
        raise BadInput(
            "bad_tag",
            "this can't be a tag",
            field="add",
            value=name,
            way_out=f"Up to {LONGEST} letters, digits, spaces and . : / ( ) + = - _, with a letter or a digit first.",
        )
    return word


def _spelled(session: Session, change: Change) -> dict[str, str]:
    """Names of the tags that are added, as the home spells them.

    Raises:
        Conflict: `too_many_tags`.
    """
    in_use = {key_of(one.name): one.name for one in known_tags(session)}
    if len(in_use.keys() | change.add.keys()) > max(MOST, len(in_use)):
        raise Conflict(
            "too_many_tags",
            f"{MOST} different tags are in use already",
            field="add",
            way_out="Use one of them, or take some away that nobody needs.",
        )
    return {**change.add, **{key: name for key, name in in_use.items() if key in change.add}}


_Tag = type[RunTag] | type[PipelineTag]


def _tag(session: Session, table: _Tag, numbers: Sequence[int], change: Change, *, confirm: bool) -> dict[int, Outcome]:
    names = _spelled(session, change)
    owner, get = (RunTag.run_id, runs.get) if table is RunTag else (PipelineTag.pipeline_id, pipelines.get)
    groups = col(RunTag.is_group) if table is RunTag else literal(False)
    present: dict[int, dict[str, bool]] = {number: {} for number in numbers}
    for number, key, is_group in session.execute(select(owner, table.key, groups).where(col(owner).in_(numbers))):
        present[number][key] = is_group
    outcomes: dict[int, Outcome] = {}
    for number in numbers:
        try:
            get(session, number)
            outcomes[number] = _outcome(present[number], change), None
        except ServiceError as error:
            outcomes[number] = "", error
            continue
        if not confirm:
            continue
        gone = (col(owner) == number, col(table.key).in_(change.remove))
        session.execute(sql_delete(table).where(*gone))
        owned = {"run_id" if table is RunTag else "pipeline_id": number}
        new = [owned | {"key": key, "name": names[key]} for key in change.add.keys() - present[number].keys()]
        if new:
            session.execute(insert(table), new)
        if change.group is not None and table is RunTag:
            of_run = update(RunTag).where(col(RunTag.run_id) == number)
            session.execute(of_run.values(is_group=col(RunTag.key) == change.group))
    return outcomes


def _outcome(present: Mapping[str, bool], change: Change) -> str:
    """What becomes of one that has these tags, the group marked.

    Raises:
        Conflict: `too_many_tags`.
    """
    after = (present.keys() - change.remove) | change.add.keys()
    if len(after) > MOST_OF_ONE:
        raise Conflict(
            "too_many_tags",
            f"it would have {len(after)} tags",
            field="add",
            value=len(after),
            way_out=f"A run or a pipeline has at most {MOST_OF_ONE}; take some away first.",
        )
    group = next((key for key, is_group in present.items() if is_group), "")
    regrouped = change.group is not None and change.group != group
    return "changes its tags" if after != present.keys() or regrouped else "has these tags already"
