"""What goes through the storage seam in numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Stored(NamedTuple):
    """One file in the storage, as it was when it was looked at."""

    name: str
    size: int
    """Bytes."""
    changed: float
    """When it was written, in seconds since 1970."""
    identity: str
    """As `Storage.identity` says."""


class LocalBlob(NamedTuple):
    """A local file that is to be sent to the blob of its hash."""

    path: Path
    sha256: str
    """64 hex digits."""
    size: int
    """Bytes."""
    crc32c: int
    """CRC-32C (Castagnoli) of its content, taken in the same pass as the SHA-256: what is sent
    is compared with it."""


class Wanted(NamedTuple):
    """A file of the storage that is to be brought to a local path."""

    name: str
    target: Path
    size: int
    """Bytes."""
    sha256: str
    """64 hex digits."""


class Transferred(NamedTuple):
    """News of a transfer of many files."""

    name: str
    """In the storage."""
    bytes: int
    """Sent or brought since the last news of this file."""
    whole: bool
    """The file is whole at its end now; the last news of it."""


Tell = Callable[[Transferred], None]
"""Takes the news of a transfer, in the thread that asked for it."""


def tell_nobody(_news: Transferred) -> None:
    """Take the news, and leave it at that."""
