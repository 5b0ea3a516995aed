"""Tasks with commands, jobs that are given up, and what workers say they can do."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this version."""
    op.add_column("jobs", sa.Column("commands", sa.JSON(), nullable=False, server_default="[]"))
    for name in ("fail_fast", "given_up"):
        op.add_column(
            "jobs", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false())
        )
    # Their facts have another form now; workers that are still there register anew.
    op.execute(sa.text("DELETE FROM workers"))
