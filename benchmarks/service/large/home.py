"""A home of 10^5 runs: what workers of a lab report of a few, copied until there are enough.

Copies differ in what lists are filtered and sorted by: model, accuracy, note, tags, groups, archive. Each has a folder
with one small file and a public path, as the start of the backend, a backup and a deletion look at these.
"""

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from sqlalchemy import create_engine, event
from sqlmodel import Session

from backend.store.db import Database
from benchmarks.dashboard.copies import copy_runs
from benchmarks.dashboard.home import QUESTIONS, family
from benchmarks.dashboard.lab import Lab
from benchmarks.service.large.plan import LargeScale, Numbers
from benchmarks.service.ours import Ours
from memgen.contract.demo import small_spec
from memgen.contract.presets import DEMO_PRESET, load_presets, short_name
from memgen.contract.rundir import attempt_dir, write_json

MODELS = [DEMO_PRESET, *(name for name in load_presets() if name != DEMO_PRESET)][:5]
"""That runs are of; the first is that of the family which is copied."""
ARCHIVED, GROUP = 10, 40  # every so many families is in the archive; families of a group
FASTER = ("journal_mode=OFF", "synchronous=OFF", "cache_size=-500000")  # of the connection that fills, alone
FIGURES = ("accuracy", "num_questions")  # beside the summary, for lists to be sorted by
MARKER = "filled.json"


def filled(ours: Ours, scale: LargeScale, tell: Callable[[str], None]) -> tuple[Numbers, float]:
    """Fill the home of a backend that does not run, or take the one that an earlier call has filled alike.

    Returns:
        What is in it, and the seconds that it took.

    Raises:
        FileExistsError: it has been filled with another number of runs.
    """
    marker = ours.home / MARKER
    if marker.exists():
        before = json.loads(marker.read_text(encoding="utf-8"))
        if before["scale"] != [scale.runs, scale.points, scale.queued]:
            raise FileExistsError(f"{ours.home} is of another size; remove it, or name another MEMGEN_HOME")
        return Numbers(**before["numbers"]), before["seconds"]
    shutil.rmtree(ours.home, ignore_errors=True)
    began = time.perf_counter()
    tell(f"filling {ours.home}")
    Database(ours.settings.database).migrate()
    ours.serve()
    try:
        reported = _reported(ours)
    finally:
        ours.stop()
    numbers = _multiplied(ours.settings.database, scale, reported)
    tell("making folders")
    _make_folders(ours.settings.database, ours.home)
    seconds = time.perf_counter() - began
    write_json(
        marker, {"scale": [scale.runs, scale.points, scale.queued], "numbers": asdict(numbers), "seconds": seconds}
    )
    return numbers, seconds


def _reported(ours: Ours) -> Mapping[str, int]:
    """A family of runs and a stopped pipeline, as users and workers would make them."""
    with ours.client() as user, ours.worker() as worker:
        numbers = family(Lab(ours.home, user, worker), QUESTIONS)
        user.stop_pipeline(user.submit_pipeline(small_spec()).id)
        return numbers


def _multiplied(path: Path, scale: LargeScale, reported: Mapping[str, int]) -> Numbers:
    """Copy all until there are enough, and make the copies differ."""
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def connect(connection: sqlite3.Connection, _: object) -> None:
        for pragma in FASTER:
            connection.execute(f"PRAGMA {pragma}")

    with Session(engine) as session:
        ask = session.connection().exec_driver_sql
        size = int(ask("SELECT count(*) FROM run").scalar_one())
        families = max(2, round(scale.runs / size))
        points = int(ask("SELECT count(*) FROM metric").scalar_one())
        more = scale.points // families - points
        ask(
            "INSERT INTO metric (run_id, name, step, attempt, value, time) "
            "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < ?) "
            "SELECT ?, 'train/other', n, 1, 1.0 / n, n FROM s WHERE n <= ?",
            (more, reported["largest"], more),
        )
        ask("INSERT INTO reported_metric (name, run_id) VALUES ('train/other', ?)", (reported["largest"],))
        runs = copy_runs(session, families - 1)
        _tell_apart(ask, size)
        _queue(ask, scale.queued + scale.workers)
        ask("UPDATE run SET " + ", ".join(f"{name} = json_extract(summary, '$.{name}')" for name in FIGURES))
        groups = int(ask("SELECT count(DISTINCT key) FROM run_tag WHERE is_group").scalar_one())
        session.commit()
    engine.dispose()
    return Numbers(
        runs=runs, base=reported["base"], weaver=reported["largest"], woven=reported["weaver"], pipelines=families,
        groups=groups, model=MODELS[1],
    )  # fmt: skip


def _tell_apart(ask: Callable[..., object], size: int) -> None:
    """Models, notes, accuracies, tags, groups and archive; the first family stays as it was reported."""
    of = f"((id - 1) / {size})"
    ask("UPDATE run SET priority = 0")
    ask(
        "UPDATE run SET note = note || ', number ' || id, output = replace(output, '/' || "
        f"((id - 1) % {size} + 1) || '/', '/' || id || '/'), summary = CASE WHEN "
        "json_extract(summary, '$.accuracy') IS NULL THEN summary ELSE "
        "json_set(summary, '$.accuracy', ((id * 7919) % 1001) / 1001.0) END WHERE id > ?",
        (size,),
    )
    for place, name in enumerate(MODELS):
        first, short = f"/{short_name(MODELS[0])}/", f"/{short_name(name)}/"
        ask(
            "UPDATE run SET preset = ?, config = json_set(config, '$.preset', ?), output = replace(output, ?, ?) "
            f"WHERE {of} % {len(MODELS)} = ?",
            (name, name, first, short, place),
        )
        ask(f"UPDATE pipeline SET preset = ? WHERE (id - 1) % {len(MODELS)} = ?", (name, place))
    ask("UPDATE pipeline SET note = note || ', number ' || id WHERE id > 1")
    # a base evaluation of every second pipeline has succeeded
    ask(
        "UPDATE run SET status = 'succeeded', cause = NULL, environment = '{}', summary = json_object('accuracy', "
        f"((id * 7919) % 1001) / 1001.0, 'num_questions', 24) WHERE step = 'base_eval' AND {of} % 2 = 1"
    )
    ask(
        "UPDATE attempt SET status = 'succeeded', cause = NULL WHERE run_id IN "
        "(SELECT id FROM run WHERE step = 'base_eval' AND status = 'succeeded')"
    )
    ask(
        f"UPDATE run SET archived_at = 1.0 WHERE {of} % {ARCHIVED} = {ARCHIVED - 1} "
        "AND status NOT IN ('queued', 'running')"
    )
    ask(f"UPDATE pipeline SET archived_at = 1.0 WHERE (id - 1) % {ARCHIVED} = {ARCHIVED - 1}")
    tag = "INSERT INTO run_tag (run_id, key, name, is_group) SELECT id,"
    ask(f"{tag} 'sweep', 'sweep', 0 FROM run WHERE {of} % 4 = 0")
    group = f"'group ' || ({of} / {GROUP})"
    ask(f"{tag} {group}, {group}, 1 FROM run WHERE {of} % 4 = 1")


def _queue(ask: Callable[..., object], number: int) -> None:
    """Let the newest evaluations of a base wait."""
    ask(
        "UPDATE run SET status = 'queued', cause = NULL, started_at = NULL, ended_at = NULL, summary = '{}', "
        "environment = '{}', output = NULL, archived_at = NULL WHERE id IN (SELECT id FROM run WHERE setting = 'base' "
        "AND pipeline_id IS NULL AND status = 'succeeded' ORDER BY id DESC LIMIT ?)",
        (number,),
    )
    ask(
        "UPDATE attempt SET status = 'queued', cause = NULL, token_hash = NULL, host = NULL, slot = NULL, "
        "boot_id = NULL, pid = NULL, claimed_at = NULL, ended_at = NULL, log_offset = 0, events_offset = 0, "
        "answers_offset = 0, num_answers = 0, num_right = 0, phase = '', progress_done = NULL "
        "WHERE run_id IN (SELECT id FROM run WHERE status = 'queued')"
    )
    for table in ("metric", "reported_metric"):
        ask(f"DELETE FROM {table} WHERE run_id IN (SELECT id FROM run WHERE status = 'queued')")


def _make_folders(path: Path, home: Path) -> None:
    """A folder of each run that has begun, with one small file, and its public path."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT id, stage, output FROM run WHERE status != 'queued'").fetchall()
    for number, stage, output in rows:
        folder = attempt_dir(home, number, 1, stage)
        if not folder.path.exists():
            folder.path.mkdir(parents=True)
            (folder.path / "result.json").write_bytes(b'{"accuracy": 0.5}\n')
        if output is not None and not os.path.lexists(place := home / output):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(os.path.relpath(folder.path, place.parent))
