"""Local files: copied, hashed, locked, made durable; many at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import BinaryIO, TypeVar

_COPY_BYTES = 8 * 1024 * 1024
_THREADS = 4
"""A disk is busy with a few."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_parallel(
    action: Callable[[_Item], _Result], items: Iterable[_Item], threads: int = _THREADS
) -> Iterator[tuple[_Item, _Result]]:
    """Do something to each in a few threads, and yield it with what came out, as it is done.

    No more than a few times as many are taken from ``items`` as are at work.
    """
    left = iter(items)
    with ThreadPoolExecutor(threads, thread_name_prefix="storage") as pool:
        running: dict[Future[_Result], _Item] = {}
        try:
            while True:
                for item in itertools.islice(left, 2 * threads - len(running)):
                    running[pool.submit(action, item)] = item
                if not running:
                    return
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield running.pop(future), future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def copy(source: BinaryIO, sink: BinaryIO) -> None:
    """Copy between open files inside the kernel, so that blocks are shared where they can."""
    # From the start: an interrupted write is tried again with the same open source.
    source.seek(0)
    try:
        while os.copy_file_range(source.fileno(), sink.fileno(), _COPY_BYTES):
            pass
        # Some file systems say that it is the end where it is not.
        is_whole = os.fstat(sink.fileno()).st_size == os.fstat(source.fileno()).st_size
    except (AttributeError, OSError) as error:
        # Not on this system, or not between these two file systems.
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        is_whole = False
    if not is_whole:
        source.seek(0)
        sink.seek(0)
        sink.truncate()
        while chunk := source.read(_COPY_BYTES):
            write_all(sink, chunk)


def write_all(sink: BinaryIO, content: bytes) -> None:
    """Write all of ``content``."""
    sink.write(content)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def try_lock(file: BinaryIO) -> bool:
    """Try to lock an open file against others; say whether that went."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold a lock on a folder while the block runs; the kernel frees it of a dead process."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def make_durable(folder: Path) -> None:
    """Have the names in a folder on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
