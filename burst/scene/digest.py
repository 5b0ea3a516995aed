"""One pass over a file for its SHA-256 and CRC-32C, and what tells that it is still the same."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import NamedTuple

from burst.errors import SceneError
from burst.scene.readers import Read
from burst.storage.checksum import crc32c
from burst.storage.items import LocalBlob

_READ_BYTES = 1 << 20
_TRIES = 3
"""A file that changes while it is read is read again this often; it is being saved."""
_PAUSE_SECONDS = 0.5


class Signature(NamedTuple):
    """What tells that a file is still the same."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> Signature:
        """Look at ``path``.

        Raises:
            SceneError: it can't be looked at.
        """
        try:
            return cls.from_status(os.stat(path))  # noqa: PTH116 - for thousands of files
        except OSError as error:
            raise unreadable(path, error) from error

    @classmethod
    def from_status(cls, status: os.stat_result) -> Signature:
        """Take it from a file's status."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)


class Hashed(NamedTuple):
    """What is known of a file's content."""

    sha256: str
    """64 hex digits."""
    crc32c: int
    size: int
    """Bytes that were hashed."""

    def of(self, path: Path) -> LocalBlob:
        """Return what sends this content, which ``path`` has."""
        return LocalBlob(path, self.sha256, self.size, self.crc32c)


def hash_file(path: Path, read: Read) -> tuple[Signature, Hashed]:
    """Return the hashes of a file, and what they were taken of.

    One that changes meanwhile is read again, a few times.

    Args:
        path: of the file.
        read: told of bytes as they are read, and taken back where they are read again; raises
            what ends the reading.

    Raises:
        SceneError: the file can't be read, or does not stop changing.
    """
    for _ in range(_TRIES - 1):
        taken = _hash_once(path, read)
        if taken is not None:
            return taken
        time.sleep(_PAUSE_SECONDS)
    taken = _hash_once(path, read)
    if taken is None:
        raise changed(path)
    return taken


def _hash_once(path: Path, read: Read) -> tuple[Signature, Hashed] | None:
    """Hash a file; None if it changed meanwhile."""
    sha256, crc, count = hashlib.sha256(), 0, 0
    try:
        # Bare: of ten thousand small files a file object each costs a third of the time.
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            before = Signature.from_status(os.fstat(file))
            # One byte more than there should be shows that it grows.
            while chunk := os.read(file, min(_READ_BYTES, before.size - count + 1)):
                sha256.update(chunk)
                crc = crc32c(chunk, crc)
                count += len(chunk)
                read(len(chunk))
                if count > before.size:
                    break
            after = Signature.from_status(os.fstat(file))
        finally:
            os.close(file)
    except OSError as error:
        raise unreadable(path, error) from error
    if before != after or count != after.size:
        read(-count)
        return None
    return after, Hashed(sha256.hexdigest(), crc, count)


def changed(path: Path) -> SceneError:
    """Return the error for a file that does not keep still."""
    return SceneError(
        f"{path} changed while it was read", hint="wait until it is written, then go on"
    )


def unreadable(path: Path, error: OSError) -> SceneError:
    """Return the error for a file that can't be read."""
    return SceneError(f"can't read {path}: {error.strerror or error}")
