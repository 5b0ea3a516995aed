"""Bringing many objects to local files, each proven by its SHA-256 while it arrives.

A file is written beside its place and renamed when it is proven. A download that is cut goes on
where it was, as long as the object is still the same one.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets

from burst.errors import BlobMissing, storage_error
from burst.storage import layout
from burst.storage.bulk_channels import GENERATION_HEADER, THREAD_BYTES, Head
from burst.storage.bulk_http import RefusedError
from burst.storage.bulk_line import STREAMS, Line
from burst.storage.bulk_tasks import Progress, seldom
from burst.storage.items import Tell, Wanted

CHUNK_BYTES = 256 * 1024

_PARTIAL, _NOTHING_LEFT = 206, 416
_TRIES = 2
"""Of a file whose content came out wrong: it may have been damaged on its way."""


class Fetcher:
    """Brings files over one line."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._streams = asyncio.Semaphore(STREAMS)

    async def fetch(self, wanted: Wanted, tell: Tell) -> bool:
        """Bring one file; return True.

        Args:
            wanted: what, and where to.
            tell: is called from the event loop.

        Raises:
            BlobMissing: it is not there, or its content is not what it should be.
            StorageError: the bucket does not give it, or the disk does not take it.
        """
        progress = Progress(wanted.name, wanted.size, tell)
        if wanted.size < THREAD_BYTES:
            await self._fetch(wanted, progress)
        else:
            async with self._streams:
                await self._fetch(wanted, progress)
        progress.finish()
        return True

    async def _fetch(self, wanted: Wanted, progress: Progress) -> None:
        target = wanted.target
        part = target.with_name(f".{secrets.token_hex(8)}.part")
        what = f"can't bring {wanted.name} to {target}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb", buffering=0) as sink:
                arrival = _Arrival(wanted, sink.fileno(), progress)
                for _ in range(_TRIES):
                    await self._bring(arrival, what)
                    if arrival.is_proven:
                        break
                else:
                    raise BlobMissing(f"{wanted.name} is damaged in the storage")
            part.replace(target)
        except OSError as error:
            raise storage_error(error, what) from error
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)

    async def _bring(self, arrival: _Arrival, what: str) -> None:
        name = layout.checked(arrival.wanted.name)
        path = self._line.object_path(name)
        arrival.begin("")
        arrival.furthest = 0

        async def once() -> None:
            if not arrival.generation:
                # Something on the way took the header away: nobody knows of which object that was.
                arrival.begin("")
            options = {"generation": arrival.generation} if arrival.count else {}
            headers = {"Range": f"bytes={arrival.count}-"} if arrival.count else {}
            url = self._line.url(path, alt="media", **options)
            try:
                is_threads = arrival.wanted.size >= THREAD_BYTES and not self._line.by_proxy
                await (self._receive if is_threads else self._read)(url, headers, arrival)
            except RefusedError as error:
                if error.status == _NOTHING_LEFT:
                    return
                if error.is_absent_object and arrival.count:
                    # Replaced by another one meanwhile, perhaps.
                    arrival.begin("")
                    raise RefusedError(503, f"{name} has changed meanwhile") from error
                if error.is_absent_object:
                    raise BlobMissing(f"{name} is not in the storage") from error
                raise

        await self._line.persist(once, what, lambda: arrival.furthest)

    async def _read(self, url: str, headers: dict[str, str], arrival: _Arrival) -> None:
        """Take what comes, here."""
        async with self._line.open("GET", url, None, headers) as response:
            generation = response.headers.get(GENERATION_HEADER, "")
            arrival.start(Head(response.status, generation))
            while chunk := await response.content.read(CHUNK_BYTES):
                # Not in a thread: to go there and back takes longer than this.
                if not arrival.take(memoryview(chunk)):
                    break

    async def _receive(self, url: str, headers: dict[str, str], arrival: _Arrival) -> None:
        """Have a thread take what comes."""
        tell = seldom(arrival.tell)

        def take(chunk: memoryview) -> bool:
            wants_more = arrival.take(chunk)
            tell(arrival.count)
            return wants_more

        await self._line.receive(url, headers, arrival.start, take)


class _Arrival:
    """What has come of a file."""

    def __init__(self, wanted: Wanted, sink: int, progress: Progress) -> None:
        self.wanted = wanted
        self.generation = ""
        """Of the object that it comes from."""
        self.count = 0
        """Bytes."""
        self.furthest = 0
        """Bytes that one of the tries got to."""
        self._sink = sink
        self._progress = progress
        self._hash = hashlib.sha256()

    @property
    def is_proven(self) -> bool:
        """Whether it is all that was wanted, and nothing else."""
        return self.count == self.wanted.size and self._hash.hexdigest() == self.wanted.sha256

    def begin(self, generation: str) -> None:
        """Start from the first byte."""
        if self.count:
            # Only then: ext4 writes a file out, at once, that was ever cut to nothing.
            os.ftruncate(self._sink, 0)
        self.generation, self.count = generation, 0
        self._hash = hashlib.sha256()

    def start(self, head: Head) -> None:
        """Go on, or begin anew, as an answer says."""
        if head.status != _PARTIAL:
            self.begin(head.generation)

    def take(self, chunk: memoryview) -> bool:
        """Take what came; False is that there is more than there should be."""
        # The hash first: the content is near the processor still.
        self._hash.update(chunk)
        rest = chunk
        while rest:
            written = os.pwrite(self._sink, rest, self.count)
            self.count, rest = self.count + written, rest[written:]
        self.furthest = max(self.furthest, self.count)
        return self.count <= self.wanted.size

    def tell(self, count: int) -> None:
        """Tell that so many bytes have come."""
        self._progress.reach(0, count)
