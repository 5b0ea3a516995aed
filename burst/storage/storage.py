"""The storage seam: what burst asks of a directory or of a bucket."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

from burst.storage.access import open_access
from burst.storage.bucket import open_bucket
from burst.storage.directory import DirectoryStorage
from burst.storage.items import LocalBlob, Stored, Tell, Wanted, tell_nobody
from burst.storage.urls import directory_of, is_bucket


class Storage(Protocol):
    """Named contents. Names are relative and ``/``-separated; see `burst.storage.layout`.

    Whatever appears under a name is whole. Every method blocks, and may be called from several
    threads, but not from one that runs an event loop. When the medium fails each raises
    `StorageError`: `StorageFull` without room, `StorageAway` where it does not answer, also when
    asked again for a while, `StorageDenied` where it refuses whoever asks.
    """

    @property
    def url(self) -> str:
        """What `open_storage` takes to open it again."""
        ...

    def missing(self, names: Iterable[str]) -> set[str]:
        """Return those names that are not there."""
        ...

    def put_file(self, source: Path, name: str, sha256: str | None = None) -> None:
        """Copy a file to ``name``, durably; an older content is replaced.

        Args:
            source: local file.
            name: where to.
            sha256: hash that its content must have, where it is known.

        Raises:
            StorageError: also when the file's content is not that.
        """
        ...

    def put_blobs(self, blobs: Sequence[LocalBlob], tell: Tell = tell_nobody) -> list[LocalBlob]:
        """Copy files to the blobs of their hashes in parallel, durably and for good.

        What was sent whole stays sent, whatever happens to the others. Sending one that is
        there already is no error.

        Returns:
            Those whose content is not what was hashed: they changed since, and there is no
            such blob.
        """
        ...

    def expecting(self, files: int, size: int) -> AbstractContextManager[None]:
        """Get ready for so many files of so many bytes in all, which `put_blobs` may be given.

        While the block runs that goes on in the background; at its end it is over. Nothing is
        sent, and to expect what never comes is no error.
        """
        ...

    def put_bytes(self, content: bytes, name: str) -> None:
        """Write ``content`` to ``name``, durably; an older content is replaced."""
        ...

    def create(self, content: bytes, name: str) -> bool:
        """Write ``content`` to ``name``, durably, unless something has that name already.

        Returns:
            Whether it was written. Of several who try at once one succeeds.
        """
        ...

    def get_bytes(self, name: str) -> bytes:
        """Return the content of ``name``.

        Raises:
            StorageError: there is none.
        """
        ...

    def fetch(self, name: str, target: Path) -> None:
        """Bring ``name`` to a local path; the file appears there whole or not at all.

        Raises:
            StorageError: there is none.
        """
        ...

    def fetch_all(self, wanted: Iterable[Wanted], tell: Tell = tell_nobody) -> None:
        """Bring many files to local paths in parallel; each appears whole and proven, or not.

        Memory does not grow with their number or size.

        Raises:
            BlobMissing: one is not there, or its content is not what it should be.
            StorageAway: the storage went away; what was brought stays.
        """
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Yield every name that starts with ``prefix``, in no order."""
        ...

    def scan(self, prefix: str) -> Iterator[Stored]:
        """Yield every file whose name starts with ``prefix``, in no order."""
        ...

    def remove(self, stored: Stored) -> bool:
        """Delete that very file; not a later one of its name.

        Returns:
            Whether it was still there, and is gone now.
        """
        ...

    def delete(self, prefix: str) -> None:
        """Delete every name that starts with ``prefix``; none is no error."""
        ...

    def identity(self, name: str) -> str | None:
        """Return what tells this very file from a later one of the same name, or None.

        A bucket's generation; a directory's inode and time of change.
        """
        ...

    def publish(self, source: str, target: str, sha256: str, replaces: str | None = None) -> None:
        """Give an uploaded file its final name, whole, and never over a stranger's.

        Repeating it after a lost answer is success: a target that has this content already
        is our own. The source is gone afterwards.

        Args:
            source: name of the upload.
            target: final name.
            sha256: hash of the upload's content.
            replaces: `identity` of the file that may be replaced.

        Raises:
            StorageConflict: ``target`` holds a file that is neither ours nor replaceable, or
                the upload is gone.
        """
        ...

    def sweep(self) -> None:
        """Remove what processes that were killed while writing left behind."""
        ...

    def blob_path(self, sha256: str) -> Path | None:
        """Return a local read-only path of a blob, or None if it must be fetched."""
        ...

    def read_path(self, name: str) -> Path | None:
        """Return a local path where ``name`` can be read in place, or None to `fetch` it.

        Nobody may write to what is there.

        Raises:
            StorageError: there is no such name.
        """
        ...


def ready_to_fetch(url: str) -> AbstractContextManager[None]:
    """Get ready for a `Storage.fetch_all` of many files that may come, while they are found."""
    if not is_bucket(url):
        return nullcontext()
    from burst.storage.bulk import ready_to_fetch as ready

    return ready(open_access(url))


def open_storage(url: str) -> Storage:
    """Open a storage by URL: ``gs://bucket``, a directory's path, or ``file://`` and the path.

    A bucket is not asked for anything yet.

    Raises:
        ConfigError: the URL is of a kind that burst does not know.
        StorageError: the directory can't be made or written.
    """
    return open_bucket(url) if is_bucket(url) else DirectoryStorage(directory_of(url))
