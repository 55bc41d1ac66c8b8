"""Tags and groups, the archive, and views of lists kept under a name"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables and add the columns; no row is rewritten."""
    op.create_table(
        "run_tag",
        sa.Column("run_id", sa.Integer(), sa.ForeignKey("run.id"), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("is_group", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "key"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_run_tag_key", "run_tag", ["key"])
    op.create_table(
        "pipeline_tag",
        sa.Column("pipeline_id", sa.Integer(), sa.ForeignKey("pipeline.id"), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("pipeline_id", "key"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_pipeline_tag_key", "pipeline_tag", ["key"])
    op.add_column("run", sa.Column("archived_at", sa.Float(), nullable=True))
    op.add_column("pipeline", sa.Column("archived_at", sa.Float(), nullable=True))
    op.create_table(
        "saved_view",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("page", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("query", sa.String(), nullable=False),
        sa.Column("saved_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("page", "key"),
    )
