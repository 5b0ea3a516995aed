"""Tasks with commands, jobs that are given up, and what workers say they can do."""

from __future__ import annotations

from datetime import UTC, datetime

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
    outgrown = sa.Column("outgrown_bytes", sa.BigInteger(), nullable=False, server_default="0")
    op.add_column("tasks", outgrown)
    # Facts of workers have another form now: those that are still there register anew, and
    # what they held is handed out again.
    attempts = sa.table(
        "attempts",
        sa.column("status", sa.Text()),
        sa.column("reason", sa.Text()),
        sa.column("ended_at", sa.DateTime(timezone=True)),
    )
    op.execute(
        sa.update(attempts)
        .where(attempts.c.status == "active")
        .values(status="lost", reason="burst was upgraded", ended_at=datetime.now(UTC))
    )
    op.execute(sa.text("UPDATE tasks SET status = 'queued' WHERE status = 'active'"))
    op.execute(sa.text("DELETE FROM workers"))
