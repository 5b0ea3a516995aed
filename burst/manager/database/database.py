"""The database: one writer that puts the changes of many requests into one commit.

A request decides on the in-memory index, hands its statements to `Database.commit`, and
is answered when they are on disk. The writer thread takes whatever has gathered while the
last commit was under way, so a hundred requests cost about as many disk flushes as one.

A commit that fails takes with it every request that had decided on the same memory: all
that was handed in before `Database.renew` is called fails too, and the caller builds its
memory anew from what is on disk.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError

from burst.errors import DatabaseUnavailable, StateError
from burst.manager.database.migrate import upgrade
from burst.manager.database.statements import ForEach, Row, Select, Statement

GROUP_MAX = 256
"""Most requests in one commit: bounds how long the first of them waits."""


@dataclass(slots=True, eq=False)
class _Group:
    """The statements of one request, all or none."""

    statements: Sequence[Statement]
    epoch: int
    done: asyncio.Future[None]
    loop: asyncio.AbstractEventLoop


class Database:
    """The manager's tables, open for one manager."""

    def __init__(self, url: str) -> None:
        """Open the database at a SQLAlchemy ``url`` and bring its tables up to date.

        Raises:
            StateError: it can't be opened, is damaged, or is of a later version.
        """
        self._engine = sa.create_engine(url)
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _set_up_sqlite)
            sa.event.listen(self._engine, "begin", _begin_sqlite)
        try:
            with self._engine.begin() as connection:
                upgrade(connection)
        except DatabaseError as error:
            raise StateError(
                f"can't open the database {url}: {error.orig}",
                hint="see whether its disk is full, and whether its folder may be written",
            ) from error
        self._epoch = 0
        self.commits = 0
        self.requests = 0
        self._under_way = 0
        self._queue: queue.SimpleQueue[_Group | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="database-writer", daemon=True)
        self._writer.start()

    @classmethod
    def at(cls, path: Path) -> Database:
        """Open the SQLite file at ``path``."""
        return cls(f"sqlite:///{path}")

    async def commit(self, statements: Sequence[Statement]) -> None:
        """Return when all ``statements`` are on disk.

        Raises:
            DatabaseUnavailable: none of them is; the index must be built anew.
        """
        loop = asyncio.get_running_loop()
        group = _Group(statements, self._epoch, loop.create_future(), loop)
        self.requests += 1
        self._under_way += 1
        self._queue.put(group)
        try:
            await asyncio.shield(group.done)
        finally:
            self._under_way -= 1

    async def settle(self) -> None:
        """Return when everything that was handed in is on disk.

        Raises:
            DatabaseUnavailable: some of it is not.
        """
        if self._under_way:
            await self.commit([])

    def read(self, select: Select) -> list[Row]:
        """Return the rows of ``select`` as they are on disk. Blocks.

        Raises:
            DatabaseUnavailable: they can't be read.
        """
        try:
            with self._engine.connect() as connection:
                return [dict(row) for row in connection.execute(select).mappings()]
        except DatabaseError as error:
            raise DatabaseUnavailable(f"the database can't be read: {error.orig}") from error

    def renew(self) -> None:
        """Accept commits again after one has failed."""
        self._epoch += 1

    def close(self) -> None:
        """Finish what was handed in, and close."""
        self._queue.put(None)
        self._writer.join()
        self._engine.dispose()

    def _write(self) -> None:
        failed_epoch = -1
        closing = False
        while not closing:
            groups: list[_Group] = []
            group = self._queue.get()
            while group is not None:
                groups.append(group)
                if len(groups) == GROUP_MAX or self._queue.empty():
                    break
                group = self._queue.get()
            closing = group is None
            current = [g for g in groups if g.epoch > failed_epoch]
            error = self._run(current) if current else None
            if error is not None:
                failed_epoch = current[-1].epoch
            for g in groups:
                _answer(g, error if g in current else DatabaseUnavailable())

    def _run(self, groups: Sequence[_Group]) -> DatabaseUnavailable | None:
        try:
            with self._engine.begin() as connection:
                for group in groups:
                    for statement in group.statements:
                        if isinstance(statement, ForEach):
                            connection.execute(statement.statement, list(statement.rows))
                        else:
                            connection.execute(statement)
        except Exception as error:  # noqa: BLE001 - the edge of the writer's thread
            # Also a value that the driver can't write: whoever waits must be answered, and a
            # writer that died would leave every later request without an answer.
            reason = getattr(error, "orig", error)
            return DatabaseUnavailable(
                f"the manager could not write its database: {reason}",
                hint="free some disk space where the state directory is; nothing was lost",
            )
        self.commits += 1
        return None


def _answer(group: _Group, error: DatabaseUnavailable | None) -> None:
    def settle() -> None:
        if group.done.cancelled():
            return
        if error is None:
            group.done.set_result(None)
        else:
            group.done.set_exception(error)

    group.loop.call_soon_threadsafe(settle)


def _set_up_sqlite(connection: Any, record: Any) -> None:
    # Python's sqlite3 would begin transactions by itself, but not before a CREATE TABLE:
    # a migration that is killed half-way must leave nothing.
    connection.isolation_level = None
    cursor = connection.cursor()
    # WAL lets readers read while the writer commits; FULL flushes at every commit, so what
    # was acknowledged survives a power cut.
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA busy_timeout=10000")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN")
