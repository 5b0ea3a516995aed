"""Small requests from any thread, over connections that stay open from one to the next.

Who asks waits for that answer only; what is asked may be many requests at the same time. An event
loop in a thread of its own does it, and begins with the first.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from burst.errors import StorageAway
from burst.storage.access import Access

if TYPE_CHECKING:
    from burst.storage.bulk_line import Line

_END_SECONDS = 5.0

_Result = TypeVar("_Result")

Work = Callable[["Line"], Coroutine[Any, Any, _Result]]


class Desk:
    """One bucket's."""

    def __init__(self, access: Access) -> None:
        """Ask nothing yet."""
        self._access = access
        self._lock = threading.Lock()
        self._clerk: tuple[int, _Clerk] | None = None

    def do(self, work: Work[_Result]) -> _Result:
        """Have ``work`` done, and return what it gives. Blocks.

        Raises:
            StorageError: whatever ``work`` raises.
            StorageAway: the program is ending.
        """
        return self._own_clerk().do(work)

    def _own_clerk(self) -> _Clerk:
        with self._lock:
            # Neither threads nor connections are there in a process that was forked from this one.
            if self._clerk is None or self._clerk[0] != os.getpid():
                clerk = _Clerk(self._access)
                weakref.finalize(self, clerk.end)
                self._clerk = (os.getpid(), clerk)
            return self._clerk[1]


class _Clerk:
    """The thread and its event loop."""

    def __init__(self, access: Access) -> None:
        from burst.storage.bulk_line import Line

        self._line = Line(access)
        self._loop = asyncio.new_event_loop()
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._is_leaving = False
        self._thread = threading.Thread(target=self._run, name="desk", daemon=True)
        self._thread.start()

    def do(self, work: Work[_Result]) -> _Result:
        with self._lock:
            if self._is_leaving:
                raise _ending()
            asked = asyncio.run_coroutine_threadsafe(work(self._line), self._loop)
        try:
            return asked.result()
        except concurrent.futures.CancelledError as error:
            raise _ending() from error
        except BaseException:
            # A Ctrl-C: nobody waits for it any more.
            asked.cancel()
            raise
        finally:
            # It holds an error, which holds this frame, which would hold it, and the desk.
            del asked

    def end(self) -> None:
        if self._pid == os.getpid() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
            if threading.current_thread() is not self._thread:
                self._thread.join(_END_SECONDS)

    def _run(self) -> None:
        loop = self._loop
        loop.run_forever()
        loop.run_until_complete(self._leave())
        loop.close()

    async def _leave(self) -> None:
        with self._lock:
            self._is_leaving = True
        # What was asked before that is begun now.
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._line.__aexit__()


def _ending() -> StorageAway:
    return StorageAway("the program is ending", hint="start it again")
