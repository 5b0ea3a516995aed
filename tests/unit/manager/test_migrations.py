"""A database that an earlier burst wrote, with work under way, brought up to the present tables."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command as alembic
from alembic.config import Config
from manager_kit import SCENE, Manager, asynchronous

import burst.manager.database.migrate as migrate
from burst.domain.transitions import JobStatus
from burst.manager.database import statements
from burst.manager.database.tables import metadata
from burst.protocol.artist_messages import MakeVideo

NOW = "2029-12-31 23:00:00.000000"


def _upgrade(path: Path, version: str) -> None:
    engine = sa.create_engine(f"sqlite:///{path}")
    config = Config()
    config.set_main_option("script_location", str(migrate._FOLDER))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.upgrade(config, version)
    engine.dispose()


def _insert(connection: sqlite3.Connection, table: str, **values: Any) -> None:
    texts = [json.dumps(v) if isinstance(v, dict | list) else v for v in values.values()]
    marks = ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", texts)


def _job(connection: sqlite3.Connection, job_id: str, seq: int, status: str, frames: str) -> None:
    _insert(
        connection,
        "jobs",
        id=job_id,
        seq=seq,
        name="shot",
        status=status,
        status_reason="",
        priority=50,
        scene=SCENE.model_dump(),
        frames=frames,
        chunk=1,
        settings={"samples": 4, "resolution_x": None},
        requirements={"blender": [4, 2], "engine": "CYCLES"},
        retry_limit=3,
        fps=24.0,
        output="",
        work_key=job_id,
        created_at=NOW,
        started_at=NOW,
        ended_at=NOW if status == "completed" else None,
    )


def _write_old(path: Path) -> None:
    """Write what version 0001 had: a job that renders, one that is done, a worker at work."""
    connection = sqlite3.connect(path)
    _job(connection, "going", 1, "active", "1-3")
    _job(connection, "done", 2, "completed", "7")
    for job, task, status, failures in (("going", 0, "active", 1), ("done", 0, "completed", 0)):
        failed_on = ["old-worker"] if failures else []
        _insert(
            connection, "tasks", job_id=job, task_index=task, status=status, failures=failures,
            failed_on=failed_on,
        )  # fmt: skip
    for attempt, job, status in (("a1", "going", "active"), ("a2", "done", "completed")):
        _insert(
            connection, "attempts", id=attempt, job_id=job, task_index=0, worker="w", session="s",
            token_sha256="0", status=status, reason="", started_at=NOW, peak_memory_bytes=0,
        )  # fmt: skip
    _insert(
        connection, "frames", job_id="done", frame=7, status="published", attempt_id="a2",
        worker="w", files=[{"name": "shot_0007.png", "size": 1, "sha256": "0"}], replaces={},
        render_seconds=1.0, peak_memory_bytes=5, warnings=[], published_seq=1,
    )  # fmt: skip
    facts = {"name": "w", "pool": "local", "host": "h", "pid": 1, "threads": 2,
             "blender": {"version": [4, 2, 0], "kind": "binary", "engines": {}},
             "memory_bytes": 5}  # fmt: skip
    _insert(
        connection, "workers", name="w", session="s", draining=False, facts=facts, registered_at=NOW
    )
    _insert(connection, "counters", name="job", value=2)
    connection.commit()
    connection.close()


@pytest.fixture
def upgraded(tmp_path: Path) -> Iterator[Manager]:
    path = tmp_path / "burst.db"
    _upgrade(path, "0001")
    _write_old(path)
    manager = Manager(tmp_path)
    yield manager
    manager.close()


def test_an_old_database_is_read_with_all_its_jobs(upgraded: Manager) -> None:
    done, going = upgraded.view("done"), upgraded.view("going")
    assert (done.status, done.frames_published, done.commands) == (JobStatus.COMPLETED, 1, ())
    assert (going.status, going.tasks.queued, going.tasks.active) == (JobStatus.ACTIVE, 3, 0)
    assert (going.fail_fast, going.requirements.memory_bytes) == (False, 0)
    assert going.settings.samples == 4
    job = upgraded.farm.index.jobs["going"]
    assert (job.failures, job.given_up, job.outgrown) == ({0: 1}, False, {})


@asynchronous
async def test_what_was_under_way_is_handed_out_again(upgraded: Manager) -> None:
    assert upgraded.farm.index.workers == {}
    assert upgraded.farm.index.attempts == {}
    (row,) = await asyncio.to_thread(upgraded.database.read, statements.attempt_by_id("a1"))
    assert (row["status"], row["reason"]) == ("lost", "burst was upgraded")
    assert row["ended_at"] is not None
    worker = await upgraded.worker("w")
    for frames in ((1,), (2,), (3,)):
        task = await worker.take()
        assert task.frames == frames
        await worker.finish(task)
    assert upgraded.view("going").status is JobStatus.COMPLETED


@asynchronous
async def test_an_old_job_can_be_given_a_video(upgraded: Manager) -> None:
    view = await upgraded.queue.make_video("done", MakeVideo())
    assert (view.status, view.tasks.queued) == (JobStatus.ACTIVE, 1)
    upgraded.start()
    assert upgraded.view("done") == view


def test_upgraded_tables_are_those_of_a_new_database(tmp_path: Path) -> None:
    _upgrade(tmp_path / "old.db", "0001")
    _upgrade(tmp_path / "old.db", "head")
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    inspector = sa.inspect(engine)
    for table in metadata.sorted_tables:
        found = {column["name"]: column["nullable"] for column in inspector.get_columns(table.name)}
        assert found == {column.name: column.nullable for column in table.columns}, table.name
    engine.dispose()
