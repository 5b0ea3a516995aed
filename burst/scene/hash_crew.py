"""Who hashes many files: threads of this process, or a few processes.

A small file takes longer in Python than in the hash, and the threads of one process have one
Python between them. So where there are thousands of small ones, all files are dealt
out to processes, which `hash_child` forks. Whatever they don't bring, for whatever reason, threads
of this process do.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, cast

from burst.config.machine import available_cores
from burst.scene.digest import Hashed, Signature, hash_file
from burst.scene.readers import LARGE_BYTES, News, read_in_threads

MOST_PROCESSES = 4
SMALL_FILES = 2000
"""From so many small files on processes are worth their start, a tenth of a second."""

_THREADS = min(8, os.cpu_count() or 1)
_END_SECONDS = 2.0
_READ_BYTES = 64 * 1024
_FILE_BYTES = 200_000
"""What a small file costs beside its bytes, in bytes that are hashed meanwhile."""

HashNews = News[tuple[Signature, Hashed]]


def read_files(sizes: Sequence[tuple[int, Path]], most: int) -> Iterator[HashNews]:
    """Hash files, and yield the news in the caller's thread.

    Args:
        sizes: bytes and path of each.
        most: processes.

    Raises:
        SceneError: a file can't be read, or does not stop changing; the others are ended.
    """
    small = sum(size < LARGE_BYTES for size, _ in sizes)
    processes = min(most, available_cores())
    if small < SMALL_FILES or processes < 2:
        return read_in_threads(hash_file, sizes, _THREADS)
    return _read_in_processes(sizes, processes)


def shares(sizes: Sequence[tuple[int, Path]], count: int) -> list[list[int]]:
    """Deal the files out so that all shares take about equally long; a share is of indexes."""
    made: list[list[int]] = [[] for _ in range(count)]
    loads = [0] * count
    for index in sorted(range(len(sizes)), key=lambda index: -sizes[index][0]):
        least = loads.index(min(loads))
        made[least].append(index)
        loads[least] += sizes[index][0] + _FILE_BYTES
    return made


def _read_in_processes(sizes: Sequence[tuple[int, Path]], count: int) -> Iterator[HashNews]:
    left = set(range(len(sizes)))
    begun: dict[int, int] = {}
    """Bytes told of files that are not done."""
    with contextlib.suppress(OSError, ValueError), _running(sizes, count) as lines:
        for index, size, *found in lines:
            path = sizes[index][1]
            if not found:
                begun[index] = begun.get(index, 0) + size
                yield News(path, size)
            elif found[0] is None:
                # It went wrong there. Here it does so again, and is told.
                break
            else:
                left.discard(index)
                begun.pop(index, None)
                signature, hashed = found
                yield News(path, size, (Signature(*signature), Hashed(*hashed)))
    for index, size in begun.items():
        yield News(sizes[index][1], -size)
    yield from read_in_threads(hash_file, [sizes[index] for index in sorted(left)], _THREADS)


@contextlib.contextmanager
def _running(sizes: Sequence[tuple[int, Path]], count: int) -> Iterator[Iterator[list[Any]]]:
    """Run the processes while the block does; gives what they say.

    Raises:
        OSError: they can't be started.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "burst.scene.hash_child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # Of their own: Ctrl-C is for this process, which ends them.
        process_group=0,
    )
    tells, hears = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
    try:
        with contextlib.suppress(BrokenPipeError):
            tells.write(b"%d\n" % max(1, _THREADS // count))
            for share in shares(sizes, count):
                files = [(index, sizes[index][0], os.fsdecode(sizes[index][1])) for index in share]
                tells.write(json.dumps(files).encode() + b"\n")
        with contextlib.suppress(BrokenPipeError):
            tells.close()
        yield _lines(hears.fileno())
    finally:
        # Those it forked are of its group, which nobody else can have before it is waited for.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_END_SECONDS)
        hears.close()


def _lines(descriptor: int) -> Iterator[list[Any]]:
    text = b""
    while received := os.read(descriptor, _READ_BYTES):
        *lines, text = (text + received).split(b"\n")
        for line in lines:
            yield from json.loads(line)
