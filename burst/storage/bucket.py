"""A Google Cloud Storage bucket as storage, laid out as the directory is.

An object appears whole or not at all, so nothing is written beside and renamed. Here is what
goes one file at a time, and everything that may not be done over another's work: those requests
name the generation that they may replace. Which of them burst relies on is in
docs/reference/storage.md.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from burst.errors import StorageConflict, StorageError, storage_error
from burst.storage import layout
from burst.storage.access import Access, open_access
from burst.storage.bulk_desk import Desk
from burst.storage.checksum import crc32c
from burst.storage.items import LocalBlob, Stored, Tell, Wanted, tell_nobody
from burst.storage.objects import (
    ABSENT,
    AbsentError,
    ChangedError,
    DamagedError,
    Objects,
)

if TYPE_CHECKING:
    from burst.storage.bulk_crew import Crew

SHA256 = "burst-sha256"
"""Metadata: the hash of the object's content."""
WRITTEN_BY = "burst-written-by"
"""Metadata: what tells the object of one `create` from another's."""
PUBLISHED_FROM = "burst-published-from"
"""Metadata: the upload that a published file was, and so its attempt."""

_READ_BYTES = 1024 * 1024
_TRIES = 3
"""Of a transfer whose content came out damaged, or changed under it."""
_DEAD_AFTER_SECONDS = 24 * 3600.0
"""What lies under ``incoming/`` for longer belongs to nobody any more."""


class BucketStorage:
    """The `Storage` seam over one bucket."""

    def __init__(self, access: Access) -> None:
        """Use a bucket; nothing is asked of it yet."""
        self._access = access
        self._objects = Objects(access)
        self._desk = Desk(access)
        self._crew: Crew | None = None
        """Processes that wait for files to send; see `expecting`."""

    @property
    def url(self) -> str:
        """``gs://`` and the bucket's name."""
        return self._access.url

    def missing(self, names: Iterable[str]) -> set[str]:
        """Return those names that are not there."""
        from burst.storage import bulk

        return bulk.lacking(self._desk, (layout.checked(name) for name in names))

    def put_file(self, source: Path, name: str, sha256: str | None = None) -> None:
        """Send a file to ``name``; the bucket compares what arrives with what was hashed."""
        if not self._put_proven(source, layout.checked(name), sha256):
            raise StorageError(f"{source} changed while it was stored as {name}")

    def put_blobs(self, blobs: Sequence[LocalBlob], tell: Tell = tell_nobody) -> list[LocalBlob]:
        """Send files to the blobs of their hashes; see `bulk`."""
        from burst.storage import bulk

        return bulk.send(self._access, blobs, tell, self._crew)

    @contextlib.contextmanager
    def expecting(self, files: int, size: int) -> Iterator[None]:
        """Start the processes that will send."""
        from burst.storage import bulk

        with bulk.crew_for(self._access, files, size) as crew:
            self._crew = crew
            try:
                yield
            finally:
                self._crew = None

    def put_bytes(self, content: bytes, name: str) -> None:
        """Write ``content`` to ``name``."""
        from burst.storage import bulk

        bulk.put(self._desk, content, layout.checked(name))

    def create(self, content: bytes, name: str) -> bool:
        """Write ``content`` to ``name``, unless something has that name already."""
        mine = {WRITTEN_BY: secrets.token_hex(16)}
        try:
            self._upload_bytes(content, layout.checked(name), ABSENT, mine)
        except ChangedError:
            # Perhaps it is there because of us, and the answer to that was lost.
            found = self._objects.look(name, f"can't look at {name}")
            return found is not None and found.metadata.get(WRITTEN_BY) == mine[WRITTEN_BY]
        return True

    def get_bytes(self, name: str) -> bytes:
        """Return the content of ``name``."""
        sink = io.BytesIO()
        self._download(layout.checked(name), sink, f"can't read {name}")
        return sink.getvalue()

    def fetch(self, name: str, target: Path) -> None:
        """Bring ``name`` to a local path, by way of a hidden file beside it."""
        what = f"can't bring {name} to {target}"
        with _fetched_beside(target, what) as part, part.open("wb") as sink:
            self._download(layout.checked(name), sink, what)

    def fetch_all(self, wanted: Iterable[Wanted], tell: Tell = tell_nobody) -> None:
        """Bring many files to local paths, each by way of a hidden file beside it."""
        from burst.storage import bulk

        bulk.fetch(self._access, wanted, tell)

    def list(self, prefix: str) -> Iterator[str]:
        """Yield every name that starts with ``prefix``."""
        for stored in self.scan(prefix):
            yield stored.name

    def scan(self, prefix: str) -> Iterator[Stored]:
        """Yield every object whose name starts with ``prefix``; its identity is its generation."""
        for stored in self._scan(prefix):
            # What consoles show as an empty folder is an object, too.
            if not stored.name.endswith("/"):
                yield stored

    def remove(self, stored: Stored) -> bool:
        """Delete that generation of an object."""
        name = layout.checked(stored.name)
        try:
            self._objects.delete(name, f"can't delete {name}", int(stored.identity))
        except AbsentError:
            return False
        return True

    def delete(self, prefix: str) -> None:
        """Delete every name that starts with ``prefix``."""
        from burst.storage import bulk

        bulk.delete(self._desk, layout.checked(prefix))

    def identity(self, name: str) -> str | None:
        """Return the generation of ``name``, or None if it is not there."""
        found = self._objects.look(layout.checked(name), f"can't look at {name}")
        return None if found is None else str(found.generation)

    def publish(self, source: str, target: str, sha256: str, replaces: str | None = None) -> None:
        """Copy the upload to its final name if that is free, or holds what may be replaced."""
        upload, final = layout.checked(source), layout.checked(target)
        try:
            self._copy_where_it_may(upload, final, sha256, replaces)
        except AbsentError as error:
            if not self._is_ours(final, sha256):
                raise StorageConflict(f"the upload for {target} is gone") from error
        self._drop(upload)

    def sweep(self) -> None:
        """Remove what lies under ``incoming/`` for more than a day: no upload takes so long."""
        for stored in self.scan("incoming/"):
            if stored.changed < time.time() - _DEAD_AFTER_SECONDS:
                self.remove(stored)

    def blob_path(self, sha256: str) -> Path | None:
        """Return None: a blob must be fetched."""
        return None

    def read_path(self, name: str) -> Path | None:
        """Return None: everything must be fetched."""
        return None

    def _scan(self, prefix: str) -> Iterator[Stored]:
        from burst.storage import bulk

        return bulk.scan(self._desk, layout.checked(prefix))

    def _copy_where_it_may(
        self, upload: str, final: str, sha256: str, replaces: str | None
    ) -> None:
        """Copy an upload, unless it is there already.

        Raises:
            AbsentError: the upload is gone.
            StorageConflict: something else is there.
        """
        metadata = {SHA256: sha256, PUBLISHED_FROM: upload}
        may_be_replaced = [int(replaces)] if replaces is not None and replaces.isdecimal() else []
        for generation in (*may_be_replaced, ABSENT, ABSENT):
            try:
                self._objects.copy(upload, final, f"can't publish {final}", generation, metadata)
            except ChangedError:
                found = self._objects.look(final, f"can't look at {final}")
                if found is None:
                    continue  # it has gone meanwhile: the name is free
                if found.metadata.get(SHA256) == sha256:
                    return  # it is there because of us, and the answer to that was lost
                break
            else:
                return
        raise StorageConflict(f"{final} is taken by another file")

    def _is_ours(self, final: str, sha256: str) -> bool:
        """Say whether a name has that content, by what was noted when it was published."""
        found = self._objects.look(final, f"can't look at {final}")
        return found is not None and found.metadata.get(SHA256) == sha256

    def _drop(self, name: str) -> None:
        with contextlib.suppress(AbsentError):
            self._objects.delete(name, f"can't delete {name}")

    def _put_proven(self, source: Path, name: str, sha256: str | None) -> bool:
        """Send a file; False, and no such object, if it has not that hash, or keeps changing."""
        what, seen = f"can't store {name}", set()
        for _ in range(_TRIES):
            with _local_errors(what), source.open("rb") as file:
                size, checksum, digest = _sums(file)
                if sha256 is not None and digest != sha256:
                    return False
                seen.add(digest)
                with contextlib.suppress(DamagedError):
                    metadata = {SHA256: digest}
                    self._objects.upload(name, file, (size, checksum), what, metadata=metadata)
                    return True
        if len(seen) > 1:
            return False
        raise _damaged(what)

    def _upload_bytes(
        self,
        content: bytes,
        name: str,
        generation: int,
        metadata: dict[str, str],
    ) -> None:
        what, expected = f"can't store {name}", (len(content), crc32c(content))
        _until_whole(
            lambda: self._objects.upload(
                name,
                io.BytesIO(content),
                expected,
                what,
                generation=generation,
                metadata=metadata,
            ),
            what,
        )

    def _download(self, name: str, sink: BinaryIO, what: str) -> None:
        def attempt() -> None:
            sink.seek(0)
            sink.truncate()
            self._objects.download(name, sink, what)

        try:
            _until_whole(attempt, what)
        except AbsentError as error:
            raise StorageError(f"{what}: there is no {name} in {self.url}") from error


def open_bucket(url: str) -> BucketStorage:
    """Open a bucket as storage.

    Raises:
        ConfigError: the URL is not that of a bucket.
    """
    return BucketStorage(open_access(url))


def _sums(file: BinaryIO) -> tuple[int, int, str]:
    """Return size, CRC-32C and SHA-256 of an open file."""
    size, checksum, digest = 0, 0, hashlib.sha256()
    while chunk := file.read(_READ_BYTES):
        size += len(chunk)
        checksum = crc32c(chunk, checksum)
        digest.update(chunk)
    return size, checksum, digest.hexdigest()


def _until_whole(attempt: Callable[[], object], what: str) -> None:
    for _ in range(_TRIES):
        with contextlib.suppress(DamagedError):
            attempt()
            return
    raise _damaged(what)


def _damaged(what: str) -> StorageError:
    return StorageError(
        f"{what}: it arrives damaged again and again",
        hint="look at the network and at this machine's memory: something changes what is sent",
    )


@contextlib.contextmanager
def _fetched_beside(target: Path, what: str) -> Iterator[Path]:
    """Give a hidden file to fill, which gets the name if the block ends well, or goes."""
    part = target.with_name(f".{secrets.token_hex(8)}.part")
    with _local_errors(what):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            part.replace(target)
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


@contextlib.contextmanager
def _local_errors(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise storage_error(error, what) from error
