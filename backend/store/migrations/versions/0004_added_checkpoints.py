"""Checkpoints with an id of their own, and those that came from outside"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Number checkpoints by themselves; each that is there keeps the number of its run."""
    op.create_table(
        "numbered_checkpoint",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("manifest", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("run_id"),
    )
    op.execute(
        "INSERT INTO numbered_checkpoint SELECT run_id, run_id, folder, content_hash, size_bytes, manifest, created_at "
        "FROM checkpoint"
    )
    op.drop_table("checkpoint")
    op.rename_table("numbered_checkpoint", "checkpoint")
    op.create_table(
        "added_checkpoint",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("preset", sa.String(), nullable=False),
        sa.Column("revision", sa.String(), nullable=True),
        sa.Column("data", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["checkpoint.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
