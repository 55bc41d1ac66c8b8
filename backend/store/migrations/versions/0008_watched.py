"""Whether an attempt's numbers were looked at for alarms"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Mark the attempts that are there: what earlier versions ran was watched by nobody."""
    op.add_column("attempt", sa.Column("watched", sa.Boolean(), nullable=False, server_default="0"))
