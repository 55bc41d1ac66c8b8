"""A home with few runs becomes one with many: each is copied with all that lists, charts and lineage know of it.

What came out of real reports stays as it is; numbers of runs move on, and each copy is made some minutes after the one
before. Answers are not copied, nor are files: copies of a checkpoint share its folder.
"""

from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session, SQLModel

SECONDS_APART = 600.0


@dataclass(frozen=True)
class Table:
    """What of a table moves on from copy to copy, by name of the column."""

    of_run: tuple[str, ...] = ()
    """Numbers of runs; a checkpoint has that of its training."""
    of_pipeline: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    counted: str = ""
    """A number that the database gives."""
    owner: str = "run_id"
    """Whose number says which rows were there before."""


TABLES = {
    "pipeline": Table(of_pipeline=("id",), times=("created_at",), owner="id"),
    "run": Table(
        of_run=("id", "parent_id", "fixes_id"),
        of_pipeline=("pipeline_id",),
        times=("created_at", "queued_at", "started_at", "ended_at"),
        owner="id",
    ),
    "attempt": Table(of_run=("run_id",), times=("created_at", "claimed_at", "ended_at"), counted="id"),
    "run_event": Table(of_run=("run_id",), times=("time",), counted="id"),
    "checkpoint": Table(of_run=("id", "run_id"), times=("created_at",)),
    "metric": Table(of_run=("run_id",)),
    "reported_metric": Table(of_run=("run_id",)),
    "alarm": Table(of_run=("run_id",)),
    "pipeline_step": Table(of_run=("run_id",), of_pipeline=("pipeline_id",)),
}


def copy_runs(session: Session, times: int) -> int:
    """Copy all runs and pipelines of a home so many times; returns how many runs there are then.

    Args:
        session: a transaction.
        times: of copying.
    """
    last = {
        name: session.execute(text(f"SELECT coalesce(max(id), 0) FROM {name}")).scalar_one()
        for name in ("run", "pipeline")
    }
    for name, table in TABLES.items():
        session.execute(
            text(_copying(name, table)), {"times": times, "runs": last["run"], "pipelines": last["pipeline"]}
        )
        if table.times:  # what was copied is the oldest
            earlier = ", ".join(f"{column} = {column} - :seconds" for column in table.times)
            session.execute(
                text(f"UPDATE {name} SET {earlier} WHERE {table.owner} <= :last"),
                {"seconds": (times + 1) * SECONDS_APART, "last": last["pipeline" if name == "pipeline" else "run"]},
            )
    return int(session.execute(text("SELECT count(*) FROM run")).scalar_one())


def _copying(name: str, table: Table) -> str:
    columns = [column.name for column in SQLModel.metadata.tables[name].columns if column.name != table.counted]
    values = {column: f'"{column}"' for column in columns}
    values |= {column: f'"{column}" + copy.n * :runs' for column in table.of_run}
    values |= {column: f'"{column}" + copy.n * :pipelines' for column in table.of_pipeline}
    values |= {column: f'"{column}" - (:times + 1 - copy.n) * {SECONDS_APART}' for column in table.times}
    if name == "run":
        parent = "json_set(config, '$.checkpoint', CAST(parent_id + copy.n * :runs AS TEXT))"
        values["config"] = f"CASE WHEN parent_id IS NULL THEN config ELSE {parent} END"
    into = ", ".join(f'"{column}"' for column in columns)
    return (
        "WITH RECURSIVE copy(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copy WHERE n < :times) "
        f"INSERT INTO {name} ({into}) SELECT {', '.join(values.values())} FROM copy CROSS JOIN {name} "
        f"WHERE {name}.{table.owner} IS NOT NULL"  # a checkpoint from outside has no run
    )
