"""Many files to a bucket, or from it, at the speed of the line.

When there is little to do this process does it; when there is much, a few processes do, as one
alone can't keep a fast line busy. Everything here blocks. `docs/decisions` says what was measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar, cast

from burst.config.machine import available_cores
from burst.errors import StorageError
from burst.storage import layout
from burst.storage.access import Access
from burst.storage.bulk_crew import Crew
from burst.storage.bulk_jobs import Item, Kind, action
from burst.storage.bulk_tasks import for_each
from burst.storage.items import LocalBlob, Stored, Tell, Wanted, tell_nobody

if TYPE_CHECKING:
    from burst.storage.bulk_desk import Desk
    from burst.storage.bulk_line import Line

MOST_PROCESSES = 4
START_SECONDS = 0.4
"""What it costs to have more than one process."""
FILE_SECONDS = 0.0005
BYTES_A_SECOND = 400_000_000
"""What one process does, measured over TLS; a slow line makes it less, and nobody waits for it
any longer because of that."""

QUESTIONS_AT_ONCE = 128
"""What is lacking is asked by one process, and each question is small."""

_DELETED_AT_ONCE = 1000

_LOOKED_AT = 2000
"""Files that are looked at to decide: the rest may be a long list that nobody has whole."""

_ready: dict[str, Crew] = {}
"""Of `ready_to_fetch`, by the bucket's URL."""

_Result = TypeVar("_Result")


def crew_for(access: Access, files: int, size: int) -> AbstractContextManager[Crew | None]:
    """Start the processes that so many files of so many bytes in all are worth, if any.

    Raises:
        StorageError: they can't be started.
    """
    count = processes_worth(files, size, available_cores())
    return Crew(access, "send", count) if count > 1 else contextlib.nullcontext()


@contextlib.contextmanager
def ready_to_fetch(access: Access) -> Iterator[None]:
    """Start the processes for a `fetch` of many files that may come, while they are being found."""
    count = min(MOST_PROCESSES, available_cores())
    with contextlib.ExitStack() as stack:
        if count > 1:
            with contextlib.suppress(StorageError):
                _ready[access.url] = stack.enter_context(Crew(access, "fetch", count))
        try:
            yield
        finally:
            _ready.pop(access.url, None)


def send(
    access: Access,
    blobs: Sequence[LocalBlob],
    tell: Tell = tell_nobody,
    crew: Crew | None = None,
) -> list[LocalBlob]:
    """Send files to the blobs of their hashes; see `Storage.put_blobs`.

    Args:
        access: to the bucket.
        blobs: what to send.
        tell: takes the news.
        crew: processes of `crew_for` that wait for work.

    Returns:
        Those that are not what was hashed.

    Raises:
        StorageError: the bucket does not take them; those that it took stay.
    """
    # Large ones first: nothing is left for one process to end with alone.
    ordered = sorted(blobs, key=lambda blob: -blob.size)
    if crew is not None:
        return cast("list[LocalBlob]", crew.carry(ordered, tell))
    return cast("list[LocalBlob]", _carry(access, "send", ordered, tell))


def fetch(access: Access, wanted: Iterable[Wanted], tell: Tell = tell_nobody) -> None:
    """Bring many objects to local paths; see `Storage.fetch_all`.

    Raises:
        BlobMissing: one is not there, or its content is not what it should be.
        StorageError: the bucket does not give one, or the disk does not take it.
    """
    _carry(access, "fetch", wanted, tell)


def lacking(desk: Desk, names: Iterable[str]) -> set[str]:
    """Return those names that the bucket has not; see `Storage.missing`.

    Raises:
        StorageError: it can't be asked.
    """
    from burst.storage.bulk_ask import Asker

    asked = set(names)
    in_parallel = functools.partial(for_each, at_once=QUESTIONS_AT_ONCE)
    return desk.do(lambda line: Asker(line, in_parallel).lacking(asked)) if asked else asked


def put(desk: Desk, content: bytes, name: str) -> None:
    """Write a small content to an object; see `Storage.put_bytes`.

    Raises:
        StorageError: the bucket does not take it.
    """
    from burst.storage.bulk_objects import BulkObjects

    kind = layout.content_type(name)
    desk.do(lambda line: BulkObjects(line).put(name, content, kind))


def scan(desk: Desk, prefix: str) -> Iterator[Stored]:
    """Yield every object whose name starts with ``prefix``.

    Raises:
        StorageError: it can't be listed.
    """
    from burst.storage.bulk_objects import BulkObjects

    def page(line: Line, token: str = "") -> Coroutine[Any, Any, tuple[list[Stored], str]]:
        return BulkObjects(line).page(prefix, token)

    found, token = desk.do(page)
    yield from found
    while token:
        found, token = desk.do(functools.partial(page, token=token))
        yield from found


def delete(desk: Desk, prefix: str) -> None:
    """Delete every object whose name starts with ``prefix``.

    Raises:
        StorageError: one can't be deleted.
    """
    from burst.storage.bulk_objects import BulkObjects

    names = (stored.name for stored in scan(desk, prefix))
    while some := list(itertools.islice(names, _DELETED_AT_ONCE)):
        desk.do(lambda line: for_each(BulkObjects(line).delete, some))


def processes_worth(files: int, size: int, cores: int) -> int:
    """Return how many processes are worth their start for so many files and bytes."""
    seconds = files * FILE_SECONDS + size / BYTES_A_SECOND
    return max(1, min(MOST_PROCESSES, cores, int(seconds / START_SECONDS)))


def _carry(access: Access, kind: Kind, items: Iterable[Item], tell: Tell) -> list[Item]:
    left = iter(items)
    first = list(itertools.islice(left, _LOOKED_AT))
    if not first:
        return []
    everything = itertools.chain(first, left)
    count = processes_worth(len(first), sum(item.size for item in first), available_cores())
    if count > 1:
        ready = _ready.pop(access.url, None) if kind == "fetch" else None
        with contextlib.nullcontext(ready) if ready else Crew(access, kind, count) as crew:
            return crew.carry(everything, tell)
    return _run(_carry_here(access, kind, everything, tell))


async def _carry_here(access: Access, kind: Kind, items: Iterable[Item], tell: Tell) -> list[Item]:
    from burst.storage.bulk_line import Line

    changed = []
    async with Line(access) as line:
        do = action(kind, line)

        async def carry(item: Item) -> None:
            if not await do(item, tell):
                changed.append(item)

        await for_each(carry, items)
    return changed


def _run(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    """Run it in an event loop of its own, in this thread."""
    with asyncio.Runner() as runner:
        return runner.run(coroutine)
