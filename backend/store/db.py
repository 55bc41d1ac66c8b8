"""The database: one writer connection, read-only connections beside it, migrations at start.

SQLite loses updates and answers "locked" with SQLAlchemy's defaults; what stands here was measured to lose none:
BEGIN IMMEDIATE on one pooled writer, WAL, full sync, and a reader engine that can't write.
"""

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, text
from sqlmodel import Session, SQLModel

from backend.store import models  # noqa: F401  its classes fill SQLModel.metadata
from memgen.contract.errors import BadInput

READERS = 16
"""Connections that read: one for each request that may be in work at once (backend.http.lanes), and some to spare."""
PATIENCE = 5.0  # seconds that a request waits for a connection before it is told to come again


class Database:
    """Access to the service's tables.

    Args:
        path: the SQLite file; made with its folder if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._url = URL.create("sqlite", database=str(path))  # a text would end at a `?` of the path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.commits = 0
        """How many transactions have been committed: while it stays, every reply that reads stays true."""
        self._in_use = threading.local()
        self._writer = self._engine(begin="BEGIN IMMEDIATE", pool_size=1, max_overflow=0, pool_timeout=PATIENCE)
        self._reader = self._engine(
            begin="BEGIN", query_only=True, pool_size=READERS, max_overflow=0, pool_timeout=PATIENCE
        )

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction that is committed when the block ends and undone when it raises.

        Raises:
            sqlalchemy.exc.TimeoutError: others kept the connection for longer than `PATIENCE`.
            RuntimeError: this thread holds a connection already.
        """
        with self._alone(), Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session
        self.commits += 1

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent view that can't write.

        Raises:
            sqlalchemy.exc.TimeoutError, RuntimeError: as `write`.
        """
        with self._alone(), Session(self._reader) as session:
            yield session

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Refuses a second connection to a thread that holds one: enough of them at once would wait for themselves."""
        if getattr(self._in_use, "held", False):
            raise RuntimeError("this thread holds a database connection already; use its session")
        self._in_use.held = True
        try:
            yield
        finally:
            self._in_use.held = False

    def migrate(self) -> None:
        """Bring the tables to the newest version.

        Foreign keys are off meanwhile: with them on, a table that alembic rebuilds takes its children along.

        Raises:
            BadInput: `database_damaged`, if rows point at nothing afterwards, or a table or column is missing.
        """
        engine = create_engine(self._url)
        config = _config()
        with engine.connect() as connection:
            connection.execute(text("PRAGMA foreign_keys=OFF"))
            connection.commit()
            config.attributes["connection"] = connection
            if MigrationContext.configure(connection).get_current_revision() != _newest_version():
                command.upgrade(config, "head")
            connection.commit()
            lacking = _lacking(connection)
            broken = "" if lacking else _pointing_at_nothing(connection)
        engine.dispose()
        if broken or lacking:
            raise BadInput(
                "database_damaged",
                f"the database has no {lacking}"
                if lacking
                else f"rows of its table {broken} point at rows that are gone",
                field="MEMGEN_HOME",
                value=self._path,
                way_out="Restore a backup of the database.",
            )

    def close(self) -> None:
        """Close all connections."""
        self._writer.dispose()
        self._reader.dispose()

    def _engine(self, *, begin: str, query_only: bool = False, **pool: Any) -> Engine:
        engine = create_engine(self._url, connect_args={"check_same_thread": False}, **pool)

        @event.listens_for(engine, "connect")
        def connect(connection: Any, _: object) -> None:
            connection.isolation_level = None  # transactions are begun below, not by the driver
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "foreign_keys=ON"):
                connection.execute(f"PRAGMA {pragma}")
            if query_only:
                connection.execute("PRAGMA query_only=ON")

        @event.listens_for(engine, "begin")
        def start(connection: Any) -> None:
            connection.exec_driver_sql(begin)

        return engine


@functools.cache
def _newest_version() -> str | None:
    """Of the tables, as the migrations name it."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


_OWNERS = """
    WITH RECURSIVE owner(id) AS (
        SELECT min("{column}") FROM {table}
        UNION ALL
        SELECT (SELECT min("{column}") FROM {table} WHERE "{column}" > owner.id) FROM owner WHERE owner.id IS NOT NULL
    )
    SELECT 1 FROM owner WHERE id IS NOT NULL AND id NOT IN (SELECT "{other_column}" FROM {other}) LIMIT 1
"""


def _pointing_at_nothing(connection: Connection) -> str:
    """The first table with rows that point at rows which are gone; empty if there is none.

    `PRAGMA foreign_key_check` looks at every row, of which there may be 10^7. Each column that points elsewhere begins
    an index here, so its values are found by seeks, each once.
    """
    for table in SQLModel.metadata.sorted_tables:
        for key in table.foreign_keys:
            names = {"table": table.name, "column": key.parent.name}
            names |= {"other": key.column.table.name, "other_column": key.column.name}
            if connection.execute(text(_OWNERS.format_map(names))).first() is not None:
                return table.name
    return ""


def _lacking(connection: Connection) -> str:
    """The first table or column that the models have and the database has not; empty if it has all."""
    inspector = inspect(connection)
    names = set(inspector.get_table_names())
    for table in SQLModel.metadata.sorted_tables:
        if table.name not in names:
            return f"table {table.name}"
        columns = {column["name"] for column in inspector.get_columns(table.name)}
        missing = [column.name for column in table.columns if column.name not in columns]
        if missing:
            return f"column {table.name}.{missing[0]}"
    return ""
