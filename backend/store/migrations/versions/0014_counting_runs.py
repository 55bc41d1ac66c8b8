"""An index by which the runs of a list are counted without reading their rows"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it; no row is rewritten."""
    op.create_index("ix_run_listed", "run", ["archived_at", "status", "stage"])
