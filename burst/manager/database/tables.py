"""The tables. ``docs/contributing/state.md`` says what each row means and when it appears.

A frame task and an attempt have a row from the first claim on, a command task from its submission
on, a frame from its commit on; what was never touched is arithmetic over the job's row. The
result of a command task is a row among the frames, numbered from `RESULT_MIN` on.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa


class Instant(sa.TypeDecorator[datetime]):
    """An aware UTC datetime, also where the database knows no time zones."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Refuse naive times, write the rest as UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(value)
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Read back an aware time."""
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("seq", sa.Integer, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("status_reason", sa.Text, nullable=False, default=""),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("scene", sa.JSON, nullable=False),
    sa.Column("frames", sa.Text, nullable=False),
    sa.Column("chunk", sa.Integer, nullable=False),
    sa.Column("settings", sa.JSON, nullable=False),
    sa.Column("requirements", sa.JSON, nullable=False),
    sa.Column("retry_limit", sa.Integer, nullable=False),
    sa.Column("commands", sa.JSON, nullable=False, default=list),
    sa.Column("fail_fast", sa.Boolean, nullable=False, default=False),
    sa.Column("given_up", sa.Boolean, nullable=False, default=False),
    sa.Column("fps", sa.Float, nullable=False),
    sa.Column("output", sa.Text, nullable=False),
    sa.Column("work_key", sa.Text, nullable=False, index=True),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("started_at", Instant),
    sa.Column("ended_at", Instant),
)

tasks = sa.Table(
    "tasks",
    metadata,
    sa.Column("job_id", sa.ForeignKey(jobs.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("task_index", sa.Integer, primary_key=True),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False, default=0),
    sa.Column("failed_on", sa.JSON, nullable=False, default=list),
    sa.Column("outgrown_bytes", sa.BigInteger, nullable=False, default=0),
)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("job_id", sa.ForeignKey(jobs.c.id, ondelete="CASCADE"), nullable=False),
    sa.Column("task_index", sa.Integer, nullable=False),
    sa.Column("worker", sa.Text, nullable=False),
    sa.Column("session", sa.Text, nullable=False),
    sa.Column("token_sha256", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False, default=""),
    sa.Column("started_at", Instant, nullable=False),
    sa.Column("ended_at", Instant),
    sa.Column("peak_memory_bytes", sa.BigInteger, nullable=False, default=0),
    sa.Index(None, "job_id", "task_index"),
    sa.Index(None, "status"),
)

frames = sa.Table(
    "frames",
    metadata,
    sa.Column("job_id", sa.ForeignKey(jobs.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("frame", sa.Integer, primary_key=True),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("attempt_id", sa.Text, nullable=False),
    sa.Column("worker", sa.Text, nullable=False),
    sa.Column("files", sa.JSON, nullable=False),
    sa.Column("replaces", sa.JSON, nullable=False, default=dict),
    sa.Column("render_seconds", sa.Float, nullable=False),
    sa.Column("peak_memory_bytes", sa.BigInteger, nullable=False),
    sa.Column("warnings", sa.JSON, nullable=False, default=list),
    sa.Column("published_seq", sa.Integer),
    sa.Index(None, "job_id", "published_seq"),
)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("session", sa.Text, nullable=False),
    sa.Column("draining", sa.Boolean, nullable=False, default=False),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("registered_at", Instant, nullable=False),
)

worker_starts = sa.Table(
    "worker_starts",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("pool", sa.Text, nullable=False),
    sa.Column("threads", sa.Integer, nullable=False),
    sa.Column("started_at", Instant, nullable=False),
)

pool_choices = sa.Table(
    "pool_choices",
    metadata,
    sa.Column("pool", sa.Text, primary_key=True),
    sa.Column("minimum", sa.Integer),
    sa.Column("maximum", sa.Integer),
    sa.Column("scale", sa.Integer),
)

counters = sa.Table(
    "counters",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Integer, nullable=False),
)
