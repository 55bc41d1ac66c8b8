"""What machines say of themselves, by how much their clocks differ from ours, and which are to take nothing new"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and make the table; no row is rewritten: earlier workers said nothing of the kind."""
    for column in (
        sa.Column("versions", sa.JSON(), nullable=True),
        sa.Column("limits", sa.JSON(), nullable=True),
        sa.Column("clock_ahead", sa.Float(), nullable=False, server_default="0"),
    ):
        op.add_column("worker", column)
    op.add_column("attempt", sa.Column("clock_ahead", sa.Float(), nullable=False, server_default="0"))
    op.create_table(
        "drain",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("slot", sa.String(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", "slot"),
    )
