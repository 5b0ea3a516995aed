"""The one writer: groups, failures, epochs; and the farm that starts over after one.

PostgreSQL is left out: there is none yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from manager_kit import Manager, asynchronous

from burst.errors import DatabaseUnavailable, StateError, StateVersionError
from burst.manager.changes import Changes
from burst.manager.database import statements
from burst.manager.database.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.at(tmp_path / "burst.db")
    yield opened
    opened.close()


def _values(database: Database) -> dict[str, int]:
    return {row["name"]: row["value"] for row in database.read(statements.all_counters())}


@asynchronous
async def test_many_requests_share_few_commits(database: Database) -> None:
    before = database.commits
    changes = [[statements.put_counter(f"c{i}", i)] for i in range(200)]
    await asyncio.gather(*(database.commit(change) for change in changes))
    assert _values(database) == {f"c{i}": i for i in range(200)}
    assert database.requests == 200
    # The first may go alone; what gathers meanwhile goes together.
    assert database.commits - before < 100


BAD: list[Any] = [
    pytest.param(sa.text("INSERT INTO counters VALUES ('x', NULL)"), id="constraint"),
    pytest.param(sa.text("NONSENSE"), id="syntax"),
    pytest.param(statements.put_counter("x", 2**70), id="driver"),
    pytest.param(statements.put_counter("x", object()), id="type"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("bad", BAD)
def test_one_statement_that_fails_fails_all_that_was_decided_with_it(
    database: Database, bad: Any
) -> None:
    @asynchronous
    async def play() -> None:
        await database.commit([statements.put_counter("kept", 1)])
        good = database.commit([statements.put_counter("good", 1)])
        wrong = database.commit([statements.put_counter("half", 1), bad])
        later = database.commit([statements.put_counter("later", 1)])
        outcomes = await asyncio.gather(good, wrong, later, return_exceptions=True)
        assert isinstance(outcomes[1], DatabaseUnavailable)
        assert isinstance(outcomes[2], DatabaseUnavailable)
        assert "half" not in _values(database)
        assert "later" not in _values(database)
        with pytest.raises(DatabaseUnavailable):
            await database.commit([statements.put_counter("before renewal", 1)])
        database.renew()
        await database.commit([statements.put_counter("after", 1)])
        assert {"kept", "after"} <= _values(database).keys()
        assert "before renewal" not in _values(database)

    play()


@asynchronous
async def test_what_was_acknowledged_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    first = Database.at(tmp_path / "burst.db")
    await first.commit([statements.put_counter("job", 7)])
    first.close()
    second = Database.at(tmp_path / "burst.db")
    assert _values(second) == {"job": 7}
    second.close()


def test_what_is_no_database_is_a_state_error(tmp_path: Path) -> None:
    (tmp_path / "burst.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StateError, match="can't open the database"):
        Database.at(tmp_path / "burst.db")


@asynchronous
async def test_a_database_of_a_later_burst_is_refused(tmp_path: Path) -> None:
    database = Database.at(tmp_path / "burst.db")
    await database.commit([sa.text("UPDATE alembic_version SET version_num = '9999'")])
    database.close()
    with pytest.raises(StateVersionError, match="later burst"):
        Database.at(tmp_path / "burst.db")


@asynchronous
async def test_many_tasks_are_written_in_few_statements(manager: Manager) -> None:
    job = await manager.submit("1-2500")
    await manager.queue.act(job.id, "cancel")
    await manager.queue.requeue(job.id, "1")
    rows = manager.database.read(statements.tasks_of_job(job.id))
    assert len(rows) == 2500
    assert [row["task_index"] for row in rows if row["status"] == "queued"] == [0]


@asynchronous
async def test_after_a_failed_commit_the_memory_is_what_is_on_disk(manager: Manager) -> None:
    job = await manager.submit("1-5")
    worker = await manager.worker()
    await worker.take()
    index = manager.farm.index
    index.jobs[job.id].priority = 99  # a decision whose commit will fail
    changes = Changes()
    changes.write(sa.text("NONSENSE"))
    with pytest.raises(DatabaseUnavailable):
        await manager.farm.save(changes)
    assert manager.farm.index is not index
    assert manager.view(job.id).priority == 50
    assert manager.view(job.id).tasks.active == 1
    assert (await worker.take()).frames == (2,)


@asynchronous
async def test_requests_that_fail_together_start_over_once(manager: Manager) -> None:
    job = await manager.submit("1-5")
    broken, fine = Changes(), Changes()
    broken.write(sa.text("NONSENSE"))
    fine.write(statements.change_job(job.id, priority=77))
    saves = [manager.farm.save(broken), manager.farm.save(fine)]
    outcomes = await asyncio.gather(*saves, return_exceptions=True)
    assert all(isinstance(outcome, DatabaseUnavailable) for outcome in outcomes)
    index = manager.farm.index
    await manager.queue.set_priority(job.id, 60)
    assert manager.farm.index is index
    assert manager.view(job.id).priority == 60


@asynchronous
async def test_a_failed_commit_says_why_and_what_to_do(manager: Manager) -> None:
    changes = Changes()
    changes.write(sa.text("INSERT INTO jobs (id) VALUES ('half')"))
    with pytest.raises(DatabaseUnavailable) as caught:
        await manager.farm.save(changes)
    assert "could not write its database" in caught.value.message
    assert caught.value.hint
