"""Sending files to the blobs of their hashes: small ones in one request, large ones in parts.

The bucket is told the CRC-32C that the hash pass found, and refuses whatever else arrives, so
nothing wrong gets a blob's name even where the sender dies. A blob is never overwritten: a mount
that reads it would lose it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple

from burst.errors import StorageError
from burst.storage import layout
from burst.storage.bulk_http import Answer
from burst.storage.bulk_line import Line
from burst.storage.bulk_objects import (
    CONTENT_KIND,
    MULTIPART,
    MULTIPART_TAIL,
    REFUSED_CONTENT,
    TAKEN,
    BulkObjects,
    Made,
    multipart,
    multipart_head,
)
from burst.storage.bulk_parts import MOST_COMPOSED, PARTED_BYTES, Part, cut, joined_crc32c
from burst.storage.bulk_tasks import Progress, all_of, seldom
from burst.storage.checksum import crc32c
from burst.storage.items import LocalBlob, Tell

SMALL_BYTES = 256 * 1024
"""Up to here a file is read at once: it is in memory for as long as its request takes."""
STREAMS = 4
"""Larger files, or parts of them, on their way at once; each has a chunk or two in memory."""
CHUNK_BYTES = 512 * 1024

_ROUNDS = 3
"""For parts that vanish, as somebody else who sends the same file has composed them."""
_ACCEPTED = TAKEN | REFUSED_CONTENT


class FileChangedError(Exception):
    """A file is not what was hashed."""


class _Piece(NamedTuple):
    """What goes to one object."""

    blob: LocalBlob
    part: Part
    name: str
    crc32c: int
    is_new: bool
    """Only where nothing has that name yet."""
    changed: threading.Event
    """Set when another piece shows that the file is not what was hashed."""


class Sender:
    """Sends files over one line."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._objects = BulkObjects(line)
        self._streams = asyncio.Semaphore(STREAMS)
        self._url = self._objects.upload_url()
        self._new_url = self._objects.upload_url(ifGenerationMatch=0)

    async def send(self, blob: LocalBlob, tell: Tell) -> bool:
        """Send one file; return whether it still was what was hashed.

        Args:
            blob: to send.
            tell: is called from the event loop.

        Raises:
            StorageError: the bucket does not take it.
        """
        name = layout.blob(blob.sha256)
        progress = Progress(name, blob.size, tell)
        part, changed = Part(0, blob.size), threading.Event()
        whole = _Piece(blob, part, name, blob.crc32c, is_new=True, changed=changed)
        try:
            if blob.size <= SMALL_BYTES:
                await self._send_small(whole)
            elif blob.size <= PARTED_BYTES:
                async with self._streams:
                    await self._send_stream(whole, progress)
            else:
                await self._send_parted(blob, progress)
        except (FileChangedError, OSError):
            # One that is gone, or may not be read any more, is not what was hashed either: who
            # hashes it again finds out.
            return False
        progress.finish()
        return True

    async def _send_small(self, piece: _Piece) -> None:
        content = _read(piece.blob)
        if len(content) != piece.blob.size or crc32c(content) != piece.crc32c:
            raise FileChangedError
        body = multipart(piece.name, piece.crc32c, CONTENT_KIND, content)
        await self._insert(
            piece, lambda url: self._line.exchange("POST", url, body, MULTIPART, _ACCEPTED)
        )

    async def _send_stream(self, piece: _Piece, progress: Progress) -> Made:
        """Send a file, or a part of one, as it is read."""
        tell = seldom(lambda count: progress.reach(piece.part.start, count))
        with piece.blob.path.open("rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size != piece.blob.size:
                raise FileChangedError

            body = _Body(file.fileno(), piece, tell)
            return await self._insert(
                piece,
                lambda url: self._line.post(url, MULTIPART, body.size, body.chunks, _ACCEPTED),
            )

    async def _insert(self, piece: _Piece, ask: Callable[[str], Awaitable[Answer]]) -> Made:
        """Make an object by what ``ask`` sends; see that it is what it should be."""
        url = self._new_url if piece.is_new else self._url

        async def once() -> Made | None:
            try:
                answer = await ask(url)
            except ConnectionError as error:
                if isinstance(error.__cause__, FileChangedError):
                    # By aiohttp, which takes what a body raises for trouble of its own.
                    raise error.__cause__ from None
                raise
            if answer.status in TAKEN:
                return None
            return await self._objects.prove(answer, piece.name, piece.part.length, piece.crc32c)

        what = f"can't send {piece.blob.path} to {piece.name}"
        for _ in range(_ROUNDS):
            made = await self._line.persist(once, what)
            made = made or await self._objects.existing(piece.name, piece.part.length, piece.crc32c)
            if made:
                return made
        raise StorageError(f"{what}: it comes and goes", hint="let nobody delete blobs meanwhile")

    async def _send_parted(self, blob: LocalBlob, progress: Progress) -> None:
        folder = layout.incoming(blob.sha256)
        try:
            await self._send_parts_and_join(blob, folder, progress)
        except FileChangedError:
            # Nobody will ever need them.
            with contextlib.suppress(StorageError):
                await self._clear_away(folder)
            raise
        with contextlib.suppress(StorageError):
            await self._clear_away(folder)

    async def _send_parts_and_join(self, blob: LocalBlob, folder: str, progress: Progress) -> None:
        name = layout.blob(blob.sha256)
        for _ in range(_ROUNDS):
            parts = await self._send_parts(blob, await self._objects.below(folder), progress)
            if joined_crc32c([(part.crc32c, part.size) for part in parts]) != blob.crc32c:
                raise FileChangedError
            if await self._join(blob, name, parts):
                return
        raise StorageError(
            f"{name} could not be joined from its parts", hint="the same command goes on with it"
        )

    async def _send_parts(
        self, blob: LocalBlob, there: dict[str, Made], progress: Progress
    ) -> list[Made]:
        """Have all parts of the file in the bucket.

        Raises:
            FileChangedError: no part is on its way any more. One whose request were only given up
                could still arrive, when all others have been cleared away.
        """
        changed = threading.Event()

        async def ensure(part: Part) -> Made | None:
            try:
                return await self._ensure_part(blob, part, there, progress, changed)
            except FileChangedError:
                changed.set()
                return None

        made = await all_of(ensure(part) for part in cut(blob.size))
        if changed.is_set():
            raise FileChangedError
        return [one for one in made if one]

    async def _ensure_part(
        self,
        blob: LocalBlob,
        part: Part,
        there: dict[str, Made],
        progress: Progress,
        changed: threading.Event,
    ) -> Made:
        """Have a part of the file in the bucket; one that is there already is not sent again."""
        async with self._streams:
            if changed.is_set():
                raise FileChangedError
            crc = await asyncio.to_thread(_part_crc32c, blob, part)
            name = layout.incoming(blob.sha256, part.name)
            found = there.get(name)
            if found and (found.size, found.crc32c) == (part.length, crc):
                progress.advance(part.length)
                return found
            piece = _Piece(blob, part, name, crc, is_new=False, changed=changed)
            return await self._send_stream(piece, progress)

    async def _join(self, blob: LocalBlob, name: str, sources: list[Made]) -> bool:
        """Compose a blob of its parts.

        Returns:
            False if a part has gone meanwhile, or is another one.
        """
        while len(sources) > MOST_COMPOSED:
            starts = range(0, len(sources), MOST_COMPOSED)
            joined = await all_of(
                self._objects.compose(
                    layout.incoming(blob.sha256, f"joined-{start:x}"),
                    sources[start : start + MOST_COMPOSED],
                    is_new=False,
                )
                for start in starts
            )
            sources = [group for group in joined if group]
            if len(sources) < len(starts):
                # Perhaps since somebody else has joined them, and cleared them away.
                return await self._objects.existing(name, blob.size, blob.crc32c) is not None
        if await self._objects.compose(name, sources, is_new=True):
            return True
        return await self._objects.existing(name, blob.size, blob.crc32c) is not None

    async def _clear_away(self, folder: str) -> None:
        """Delete parts; one that can't be is removed by a sweep some day."""
        left = await self._objects.below(folder)
        await all_of(self._objects.delete(name) for name in left)


class _Body:
    """The content of one request, read while it is sent, by a thread."""

    def __init__(self, file: int, piece: _Piece, tell: Callable[[int], None]) -> None:
        self._head = multipart_head(piece.name, piece.crc32c, CONTENT_KIND)
        self._file = file
        self._piece = piece
        self._tell = tell
        self.size = len(self._head) + piece.part.length + len(MULTIPART_TAIL)

    def chunks(self) -> Iterator[bytes]:
        """Yield it.

        Raises:
            FileChangedError: the file is not what it was; the request must not get to its end.
        """
        yield self._head
        part, crc, done = self._piece.part, 0, 0
        while done < part.length:
            if self._piece.changed.is_set():
                raise FileChangedError
            wanted = min(CHUNK_BYTES, part.length - done)
            try:
                chunk = os.pread(self._file, wanted, part.start + done)
            except OSError as error:
                raise FileChangedError from error
            crc = crc32c(chunk, crc)
            done += len(chunk)
            if not chunk or (done == part.length and crc != self._piece.crc32c):
                raise FileChangedError
            yield chunk
            self._tell(done)
        yield MULTIPART_TAIL


def _part_crc32c(blob: LocalBlob, part: Part) -> int:
    """Read a part for its checksum, which the bucket is told before the content.

    Raises:
        FileChangedError: the file is shorter by now.
    """
    crc, done = 0, 0
    with blob.path.open("rb", buffering=0) as file:
        while done < part.length:
            wanted = min(CHUNK_BYTES, part.length - done)
            chunk = os.pread(file.fileno(), wanted, part.start + done)
            if not chunk:
                raise FileChangedError
            crc = crc32c(chunk, crc)
            done += len(chunk)
    return crc


def _read(blob: LocalBlob) -> bytes:
    """Return a small file's content, and a byte more where it has grown.

    By pathlib it takes twice as long.
    """
    descriptor = os.open(blob.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, blob.size + 1)
    finally:
        os.close(descriptor)
