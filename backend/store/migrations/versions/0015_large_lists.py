"""What lists of many runs are filtered, counted and sorted by without reading their rows"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

LISTED = [
    "archived_at", "status", "stage", "ended_at", "started_at", "setting", "preset", "data", "priority", "accuracy",
    "num_questions", "note",
]  # fmt: skip


def upgrade() -> None:
    """Add columns and a table, fill them from what is there, and make the indexes that take the places of others."""
    for name in ("accuracy", "num_questions"):
        op.add_column("run", sa.Column(name, sa.Float(), nullable=True))
        of_run = f"json_extract(summary, '$.{name}')"
        newest = f"SELECT {of_run} FROM scoring WHERE run_id = run.id ORDER BY version DESC LIMIT 1"
        value = f"coalesce(({newest}), {of_run})"
        op.execute(f"UPDATE run SET {name} = {value} WHERE typeof({value}) IN ('integer', 'real')")
    op.create_table(
        "reported_metric",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("run_id", sa.Integer(), sa.ForeignKey("run.id"), nullable=False),
        sa.PrimaryKeyConstraint("name", "run_id"),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO reported_metric (name, run_id) SELECT DISTINCT name, run_id FROM metric")
    op.create_index("ix_reported_metric_run_id", "reported_metric", ["run_id"])
    for name in ("ix_run_listed", "ix_run_stage", "ix_run_status", "ix_run_parent_id"):
        op.drop_index(name, "run")
    op.create_index("ix_run_listed", "run", LISTED)
    op.create_index("ix_run_alike", "run", ["status", "stage", "preset", "data", "ended_at", "setting", "archived_at"])
    op.create_index("ix_run_children", "run", ["parent_id", "status", "stage", "accuracy"])
    op.create_index("ix_run_archived_at", "run", ["archived_at"])
    op.drop_index("ix_run_tag_key", "run_tag")
    op.create_index("ix_run_tag_used", "run_tag", ["key", "is_group", "name"])
