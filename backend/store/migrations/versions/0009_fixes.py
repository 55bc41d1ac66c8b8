"""Runs that mend a failed one"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; no row is rewritten."""
    op.add_column("run", sa.Column("fixes_id", sa.Integer(), nullable=True))
    op.create_index("ix_run_fixes_id", "run", ["fixes_id"])
