"""Pipelines, checkpoints, and what a run starts from"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; columns are added in place, so that no table is rebuilt."""
    for name, kind in (("parent_id", sa.Integer()), ("pipeline_id", sa.Integer()), ("step", sa.String())):
        op.add_column("run", sa.Column(name, kind, nullable=True))
    op.add_column("attempt", sa.Column("checkpoint_step", sa.Integer(), nullable=True))
    op.create_index("ix_run_parent_id", "run", ["parent_id"], unique=False)
    op.create_index("ix_run_pipeline_id", "run", ["pipeline_id"], unique=False)
    op.create_table(
        "checkpoint",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("manifest", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"]),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.create_table(
        "pipeline",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("preset", sa.String(), nullable=False),
        sa.Column("data", sa.String(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "pipeline_step",
        sa.Column("pipeline_id", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("reused", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["pipeline_id"], ["pipeline.id"]),
        sa.PrimaryKeyConstraint("pipeline_id", "step"),
    )
    op.create_index("ix_pipeline_step_run_id", "pipeline_step", ["run_id"], unique=False)
