"""The database: its migrations, its two connections, what it refuses."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import UniqueConstraint, create_engine, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlmodel import SQLModel, select

import backend
from backend.store.db import Database
from backend.store.models import Answer, Attempt, Metric, ReportedMetric, Run, Switch
from memgen.contract.errors import BadInput
from tests.backend.conftest import Backend


def dump(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    lines = list(connection.iterdump())
    connection.close()
    return lines


def test_migrations_make_exactly_the_tables_of_the_models(tmp_path: Path) -> None:
    path = tmp_path / "memgen.db"
    Database(path).migrate()
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, SQLModel.metadata) == []
    engine.dispose()


def test_any_path_will_do(tmp_path: Path) -> None:
    path = tmp_path / "why? 100%25 #1" / "memgen.db"
    database = Database(path)
    database.migrate()
    database.close()
    assert [one.name for one in tmp_path.iterdir()] == ["why? 100%25 #1"]
    assert "memgen.db" in {one.name for one in path.parent.iterdir()}


def test_populated_database_survives_another_migration(backend: Backend) -> None:
    attempt = backend.started()
    attempt.answer(0)
    attempt.say({"event": "metric", "name": "m", "step": 1, "value": 1.0})
    attempt.finish()
    before = dump(backend.context.settings.database)
    backend.context.database.migrate()
    assert dump(backend.context.settings.database) == before
    assert any(line.startswith('INSERT INTO "answer"') for line in before)
    second = Database(backend.context.settings.database)
    second.migrate()
    second.close()
    assert dump(backend.context.settings.database) == before


def test_rows_that_point_at_nothing_stop_the_start(tmp_path: Path) -> None:
    path = tmp_path / "memgen.db"
    database = Database(path)
    database.migrate()
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO metric VALUES (99, 'm', 1, 1, 1.0, 1.0)")
    connection.commit()
    connection.close()
    with pytest.raises(BadInput) as caught:
        database.migrate()
    assert caught.value.code == "database_damaged"
    database.close()


def test_every_column_that_points_elsewhere_begins_an_index() -> None:
    for table in SQLModel.metadata.sorted_tables:
        keys = [table.primary_key, *(one for one in table.constraints if isinstance(one, UniqueConstraint))]
        beginnings = {next(iter(one.columns)).name for one in (*keys, *table.indexes)}
        assert {key.parent.name for key in table.foreign_keys} <= beginnings, table.name


def test_each_connection_has_its_pragmas(backend: Backend) -> None:
    database = backend.context.database
    for transaction, query_only in ((database.write, 0), (database.read, 1)):
        with transaction() as session:
            for name, value in (
                ("foreign_keys", 1),
                ("journal_mode", "wal"),
                ("synchronous", 2),
                ("query_only", query_only),
            ):
                assert session.execute(text(f"PRAGMA {name}")).scalar() == value, name


def test_foreign_keys_are_kept(backend: Backend) -> None:
    with pytest.raises(IntegrityError), backend.context.database.write() as session:
        session.add(Attempt(run_id=99, number=1, created_at=0.0))
    backend.submit()
    with pytest.raises(IntegrityError), backend.context.database.write() as session:
        session.execute(text("DELETE FROM run"))
    assert backend.run(1)["status"] == "queued"


def test_reader_cannot_write(backend: Backend) -> None:
    with pytest.raises(OperationalError, match="readonly"), backend.context.database.read() as session:
        session.add(Switch(name="x", value="y"))
        session.flush()


def test_block_that_raises_leaves_nothing_behind(backend: Backend) -> None:
    with pytest.raises(ZeroDivisionError), backend.context.database.write() as session:
        session.add(Switch(name="x", value="y"))
        session.flush()
        raise ZeroDivisionError
    with backend.context.database.read() as session:
        assert session.get(Switch, "x") is None


def test_reader_sees_one_state_while_a_writer_commits(backend: Backend) -> None:
    backend.submit()
    with backend.context.database.read() as session:
        assert session.get_one(Run, 1).status == "queued"
        backend.stop(1)
        session.expire_all()
        assert session.get_one(Run, 1).status == "queued"
    assert backend.run(1)["status"] == "cancelled"


def test_new_database_in_an_old_home_counts_on_behind_the_folders(start: Callable[..., Backend], home: Path) -> None:
    (home / "runs" / "41").mkdir(parents=True)
    (home / "evaluate" / "gsm8k" / "some-model" / "43").mkdir(parents=True)
    backend = start()
    assert [backend.submit(), backend.submit()] == [44, 45]
    assert start().submit() == 46


def test_restored_database_counts_on_behind_the_folders_of_runs_that_it_does_not_know(
    start: Callable[..., Backend], home: Path
) -> None:
    start().submit()
    (home / "train" / "gsm8k" / "some-model" / "7").mkdir(parents=True)
    (home / "runs" / "20261124200000000000000").mkdir(parents=True)  # no id of ours, and none that SQLite could hold
    assert start().submit() == 8


def test_rows_of_the_first_version_come_through_the_second_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "memgen.db"
    config = Config()
    config.set_main_option("script_location", str(Path(backend.__file__).parent / "store" / "migrations"))
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for statement in (
            "INSERT INTO run (id, stage, setting, preset, data, note, config, config_hash, status, priority,"
            " retries_left, created_at, queued_at, summary, environment)"
            " VALUES (7, 'evaluate', 'base', 'p', 'gsm8k', 'n', '{}', 'h',"
            " 'succeeded', 0, 2, 1.0, 1.0, '{\"accuracy\": 0.5, \"num_questions\": \"x\"}', '{}')",
            "INSERT INTO metric VALUES (7, 'eval/accuracy', 1, 1, 0.5, 2.0)",
            "INSERT INTO answer VALUES (7, 1, 0, 'q', 1, 0, 1, '{}')",
        ):
            connection.execute(text(statement))
        connection.commit()
    engine.dispose()
    database = Database(path)
    database.migrate()
    with database.read() as session:
        run = session.get_one(Run, 7)
        assert (run.note, run.parent_id, run.pipeline_id, run.step) == ("n", None, None, None)
        assert len(session.exec(select(Metric)).all()) == len(session.exec(select(Answer)).all()) == 1
        assert (run.accuracy, run.num_questions) == (0.5, None)
        assert [(one.name, one.run_id) for one in session.exec(select(ReportedMetric))] == [("eval/accuracy", 7)]
    database.close()


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("DROP TABLE answer_score", "table answer_score"),
        ("ALTER TABLE run DROP COLUMN traceback", "column run.traceback"),
    ],
)
def test_database_that_lacks_something_is_refused_by_its_name(home: Path, statement: str, named: str) -> None:
    path = home / "backend" / "memgen.db"
    database = Database(path)
    database.migrate()
    database.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)
    with pytest.raises(BadInput, match=f"the database has no {named}"):
        Database(path).migrate()
