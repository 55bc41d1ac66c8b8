"""Runs that go to a site, and what its batch system was asked for"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and make the table; no row is rewritten: earlier runs are for the workers of this service."""
    op.add_column("run", sa.Column("site", sa.String(), nullable=True))
    op.create_table(
        "job",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), sa.ForeignKey("run.id"), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("size", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=True),
        sa.Column("phase", sa.String(), nullable=False),
        sa.Column("words", sa.String(), nullable=False),
        sa.Column("ticket_hash", sa.String(), nullable=True),
        sa.Column("ticket_until", sa.Float(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("tried_at", sa.Float(), nullable=False),
        sa.Column("not_before", sa.Float(), nullable=False),
        sa.Column("missing_since", sa.Float(), nullable=True),
        sa.Column("left_at", sa.Float(), nullable=True),
        sa.Column("closed_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_job_run_id", "job", ["run_id"])
    op.create_index("ix_job_open", "job", ["site", "closed_at"])
