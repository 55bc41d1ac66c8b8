"""A search through everything: numbers, notes, tags, models, data sets, stages."""

import re
from collections.abc import Iterable, Sequence

from sqlmodel import Session, col, or_, select

from backend.api import schemas as s
from backend.errors import LARGEST_INTEGER
from backend.services.sorting import has_text, newest_in_index
from backend.services.tags import known_tags, tags_of_pipelines, tags_of_runs
from backend.store.models import AddedCheckpoint, Checkpoint, Pipeline, PipelineTag, Run, RunTag
from memgen.contract.data_sets.registry import data_sets
from memgen.contract.presets import load_presets
from memgen.contract.status import RunStatus

MOST_WORDS = 6
MOST_NAMES = 4  # tags, models and data sets of a reply, each
_NUMBER = re.compile(r"(?:(run|pipeline|checkpoint)\s*|#)?([0-9]{1,18})", re.IGNORECASE)


def search(session: Session, text: str, *, limit: int) -> s.SearchOut:
    """What has all words of a text, in any of its fields.

    Args:
        session: a transaction.
        text: words, or a number, also as `run 12`.
        limit: most runs; of pipelines and checkpoints half as many.
    """
    words = text.split()[:MOST_WORDS]
    if not words:
        return s.SearchOut(items=[])
    numbered = _numbered(session, text.strip())
    runs = _runs(session, words, limit + 1)
    hits = [
        *numbered,
        *_names(session, words),
        *runs[:limit],
        *_pipelines(session, words, max(1, limit // 2)),
        *_checkpoints(session, words, max(1, limit // 2)),
    ]
    once = {(hit.kind, hit.number, hit.name if hit.number is None else ""): hit for hit in reversed(hits)}
    return s.SearchOut(items=list(reversed(once.values())), more=len(runs) > limit)


def _numbered(session: Session, text: str) -> list[s.SearchHit]:
    """The run, pipeline and checkpoint of a number."""
    match = _NUMBER.fullmatch(text)
    if match is None or int(match[2]) > LARGEST_INTEGER:
        return []
    kind, number = (match[1] or "").lower(), int(match[2])
    hits: list[s.SearchHit] = []
    if kind in {"", "run"} and (run := session.get(Run, number)) is not None:
        hits += _run_hits(session, [run])
    if kind in {"", "pipeline"} and (pipeline := session.get(Pipeline, number)) is not None:
        hits += _pipeline_hits(session, [pipeline])
    if kind in {"", "checkpoint"} and (checkpoint := session.get(Checkpoint, number)) is not None:
        hits.append(_checkpoint_hit(session, checkpoint))
    return hits


def _names(session: Session, words: Sequence[str]) -> list[s.SearchHit]:
    """Tags, models and data sets with these words in their names."""
    tags = [one.name for one in known_tags(session)]
    kinds: tuple[tuple[s.HitKind, list[str]], ...] = (
        ("tag", tags),
        ("model", list(load_presets())),
        ("data set", list(data_sets())),
    )
    return [
        s.SearchHit(kind=kind, name=name)
        for kind, names in kinds
        for name in [name for name in names if all(word.casefold() in name.casefold() for word in words)][:MOST_NAMES]
    ]


def _runs(session: Session, words: Sequence[str], limit: int) -> list[s.SearchHit]:
    # few words name all these: they are looked at once, and not run by run
    kinds = session.execute(select(Run.preset, Run.data, Run.stage, Run.setting).distinct()).all()
    query = select(Run.id)
    for word in words:
        named = {place: {kind[place] for kind in kinds if word.lower() in kind[place].lower()} for place in range(4)}
        columns = (Run.preset, Run.data, Run.stage, Run.setting)
        of_kinds = (col(column).in_(named[place]) for place, column in enumerate(columns) if named[place])
        tagged = select(RunTag.run_id).where(has_text(word, RunTag.name))
        query = query.where(or_(has_text(word, Run.note), *of_kinds, col(Run.id).in_(tagged)))
    newest = list(session.exec(query.order_by(newest_in_index(col(Run.id))).limit(limit)))
    return _run_hits(session, session.exec(select(Run).where(col(Run.id).in_(newest)).order_by(col(Run.id).desc())))


def _pipelines(session: Session, words: Sequence[str], limit: int) -> list[s.SearchHit]:
    query = select(Pipeline)
    for word in words:
        tagged = select(PipelineTag.pipeline_id).where(has_text(word, PipelineTag.name))
        in_fields = has_text(word, Pipeline.note, Pipeline.preset, Pipeline.data)
        query = query.where(or_(in_fields, col(Pipeline.id).in_(tagged)))
    return _pipeline_hits(session, session.exec(query.order_by(col(Pipeline.id).desc()).limit(limit)))


def _checkpoints(session: Session, words: Sequence[str], limit: int) -> list[s.SearchHit]:
    """Those from outside; that of a training is found by its run."""
    fields = (AddedCheckpoint.note, AddedCheckpoint.preset, AddedCheckpoint.data, AddedCheckpoint.name)
    query = select(Checkpoint).join(AddedCheckpoint, col(AddedCheckpoint.id) == col(Checkpoint.id))
    query = query.where(*(has_text(word, *fields) for word in words)).order_by(col(Checkpoint.id).desc()).limit(limit)
    return [_checkpoint_hit(session, one) for one in session.exec(query)]


def _run_hits(session: Session, runs: Iterable[Run]) -> list[s.SearchHit]:
    rows = list(runs)
    tags = tags_of_runs(session, [run.id for run in rows])
    return [
        s.SearchHit(
            kind="run",
            number=run.id,
            name=f"{run.stage}, {run.setting}" if run.setting else run.stage,
            preset=run.preset,
            data=run.data,
            note=run.note,
            tags=[tag.name for tag in tags.get(run.id, [])],
            status=RunStatus(run.status),
            archived=run.archived_at is not None,
        )
        for run in rows
    ]


def _pipeline_hits(session: Session, pipelines: Iterable[Pipeline]) -> list[s.SearchHit]:
    rows = list(pipelines)
    tags = tags_of_pipelines(session, [one.id for one in rows])
    return [
        s.SearchHit(
            kind="pipeline", number=one.id, preset=one.preset, data=one.data, note=one.note,
            tags=tags.get(one.id, []), archived=one.archived_at is not None,
        )
        for one in rows
    ]  # fmt: skip


def _checkpoint_hit(session: Session, checkpoint: Checkpoint) -> s.SearchHit:
    run = session.get(Run, checkpoint.run_id) if checkpoint.run_id is not None else None
    added = session.get(AddedCheckpoint, checkpoint.id)
    source = run or added
    return s.SearchHit(
        kind="checkpoint",
        number=checkpoint.id,
        name=run.stage if run is not None else added.name if added is not None else "",
        preset=source.preset if source is not None else "",
        data=source.data if source is not None else "",
        note=source.note if source is not None else "",
        from_outside=run is None,
        archived=run is not None and run.archived_at is not None,
    )
