"""Processes that hash files for another one; `hash_crew` starts them.

By the standard input come how many threads each may have for large files, and a line of JSON for
each. The news go to the standard output, as lines of JSON that are short enough for several
processes to write into one pipe. When nobody reads them any more, writing ends the process.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from pathlib import Path

from burst.errors import BurstError
from burst.scene.digest import Hashed, Signature, hash_file
from burst.scene.readers import Read, read_in_threads

_TELL_SECONDS = 0.1


class _Out:
    """Gathers news, and writes them in lines of which no other process's can be in the middle."""

    def __init__(self) -> None:
        self._news: list[str] = []
        self._size = 0
        self._told_at = time.monotonic()

    def add(self, *news: object) -> None:
        """Tell it soon."""
        text = json.dumps(news, separators=(",", ":"))
        if self._size + len(text) + 4 > select.PIPE_BUF:
            self.flush()
        self._news.append(text)
        self._size += len(text) + 1
        if time.monotonic() - self._told_at > _TELL_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Tell it now."""
        if self._news:
            os.write(1, b"[" + ",".join(self._news).encode() + b"]\n")
        self._news, self._size, self._told_at = [], 0, time.monotonic()


def hash_share(share: bytes, threads: int) -> None:
    """Hash files, and tell of each.

    Args:
        share: JSON, a list of each file's number, size and path.
        threads: for the large ones.
    """
    out = _Out()
    numbers: dict[Path, int] = {}
    sizes: list[tuple[int, Path]] = []
    for number, size, name in json.loads(share):
        path = Path(name)
        numbers[path] = number
        sizes.append((size, path))
    for news in read_in_threads(_hash_or_not, sizes, threads):
        out.add(numbers[news.path], news.bytes, *(news.result or ()))
    out.flush()


def _hash_or_not(path: Path, read: Read) -> tuple[Signature, Hashed] | tuple[None]:
    """Hash a file; where that fails, whoever asked for it tries it again, and tells why."""
    try:
        return hash_file(path, read)
    except BurstError:
        return (None,)


def main() -> None:
    """Fork one process for each share, and hash."""
    threads, mine, *others = sys.stdin.buffer.readlines()
    # Whoever reads the news has gone: nobody needs to be told of that.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    forked: list[int] = []
    for share in others:
        pid = os.fork()
        if pid == 0:
            mine, forked = share, []
            break
        forked.append(pid)
    hash_share(mine, int(threads))
    for pid in forked:
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
