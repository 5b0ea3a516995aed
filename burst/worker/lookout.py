"""Looks at a mount in place of the worker: a program of its own, which may have to be left behind.

Whoever reads a mount that does not answer waits in the kernel, maybe for ever, and can't even
be killed there. So the worker itself reads none: it starts this as ``python -I -S lookout.py
<read> <write>`` and gives up on what it does not hear of (`burst.worker.watch`). In and out
go JSON objects, one a line. Standard library only.

In come ``look`` (the size of each file, and then reading ahead), ``check`` (a piece of each,
past every cache), ``watch`` and ``rest``. Out go ``looked``, ``read`` and ``probe``.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

LOOKING_THREADS = 32
"""A bucket takes some tens of milliseconds to say anything, and no time to say more."""
READING_THREADS = 8
PROBE_OFTEN_SECONDS = 0.25
PROBE_SECONDS = 1.0
OFTEN_FOR_SECONDS = 20.0
"""A scene is read at the beginning of the work, and then rarely."""
_BLOCK_BYTES = 1024 * 1024
_PAGE_BYTES = 4096


class Lookout:
    """Does what it is told, each thing on threads of its own."""

    def __init__(self, events: int) -> None:
        """Tell what happens through a descriptor."""
        self._events = events
        self._lock = threading.Lock()
        self._probing: Callable[[], None] | None = None
        self._probing_since = 0.0
        self._wake = threading.Condition()
        self._newest = 0
        threading.Thread(target=self._probe, daemon=True).start()

    def serve(self, commands: Iterable[bytes]) -> None:
        """Obey until nobody is there to command."""
        for line in commands:
            command = json.loads(line)
            action = getattr(self, f"do_{command.pop('do')}")
            action(**command)

    def do_look(self, number: int, blobs: str, files: list[Any], ahead: list[str]) -> None:
        """Compare the size of each file, and read some of them ahead then."""
        self._newest = number

        def work() -> None:
            self._look(number, files, lambda name, size: _compare_size(_blob(blobs, name), size))
            self._read_ahead(number, [_blob(blobs, name) for name in ahead])

        threading.Thread(target=work, daemon=True).start()

    def do_check(self, number: int, blobs: str, files: list[Any]) -> None:
        """Read the beginning of each file from where it really is."""

        def work() -> None:
            self._look(number, files, lambda name, size: _read_directly(_blob(blobs, name), size))

        threading.Thread(target=work, daemon=True).start()

    def do_watch(self, number: int, blobs: str, name: str, size: int) -> None:
        """Read a piece of one file at once, and again and again."""
        path, folder = _blob(blobs, name), Path(blobs)

        def probe() -> None:
            started = time.monotonic()
            try:
                device = folder.stat().st_dev
                _read_directly(path, size)
            except OSError as error:
                facts = _facts(error)
            else:
                facts = {"errno": 0, "device": device}
            seconds = time.monotonic() - started
            self._send("probe", number=number, seconds=seconds, **facts)

        with self._wake:
            if self._probing is None:
                self._probing_since = time.monotonic()
            self._probing = probe
            self._wake.notify()

    def do_rest(self) -> None:
        """Read no more for now."""
        with self._wake:
            self._probing = None

    def _probe(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._probing is not None)
                probe = self._probing
            if probe is None:
                continue
            probe()
            is_new = time.monotonic() - self._probing_since < OFTEN_FOR_SECONDS
            pause = PROBE_OFTEN_SECONDS if is_new else PROBE_SECONDS
            with self._wake:
                if self._probing is probe:
                    self._wake.wait(pause)

    def _look(self, number: int, files: list[Any], action: Callable[[str, int], None]) -> None:
        def one(file: Any) -> tuple[str, dict[str, Any]] | None:
            place, name, size = file
            try:
                action(name, size)
            except OSError as error:
                return place, _facts(error)
            return None

        with ThreadPoolExecutor(LOOKING_THREADS) as pool:
            troubles = [trouble for trouble in pool.map(one, files) if trouble]
        # One is enough to end the work; all of a mount that is gone would be no help.
        self._send("looked", number=number, troubles=troubles[:10])

    def _read_ahead(self, number: int, paths: list[str]) -> None:
        started = time.monotonic()

        def read(path: str) -> int:
            count = 0
            # What can't be read is found by whoever needs it, or by the probe.
            try:
                with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - 10,000 of them
                    buffer = bytearray(_BLOCK_BYTES)
                    while self._newest == number and (got := file.readinto(buffer)):
                        count += got
            except OSError:
                pass
            return count

        with ThreadPoolExecutor(READING_THREADS) as pool:
            total = sum(pool.map(read, paths))
        if paths:
            seconds = time.monotonic() - started
            self._send("read", number=number, bytes=total, files=len(paths), seconds=seconds)

    def _send(self, event: str, **facts: Any) -> None:
        data = json.dumps({"event": event, **facts}).encode() + b"\n"
        with self._lock:
            while data:
                data = data[os.write(self._events, data) :]


def _blob(blobs: str, name: str) -> str:
    return f"{blobs}/{name[:2]}/{name}"


def _compare_size(path: str, size: int) -> None:
    found = os.stat(path).st_size  # noqa: PTH116 - 10,000 of them
    if found != size:
        raise OSError(0, "another size", path)


def _read_directly(path: str, size: int) -> None:
    """Read the beginning of a file, from no cache of this machine where that can be."""
    if size == 0:
        os.stat(path)  # noqa: PTH116
        return
    with mmap.mmap(-1, _PAGE_BYTES) as page:
        for flags in (os.O_RDONLY | getattr(os, "O_DIRECT", 0), os.O_RDONLY):
            try:
                descriptor = os.open(path, flags)
                try:
                    got = os.preadv(descriptor, [page], 0)
                finally:
                    os.close(descriptor)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                # This file system knows no such reading.
                continue
            if got < min(size, _PAGE_BYTES):
                raise OSError(errno.EIO, "shorter than it should be", path)
            return


def _facts(error: OSError) -> dict[str, Any]:
    return {"errno": error.errno or 0, "reason": error.strerror or str(error), "wrong": True}


def _lines(descriptor: int) -> Iterator[bytes]:
    with os.fdopen(descriptor, "rb") as commands:
        yield from commands


def main() -> None:
    """Serve until the worker hangs up, and leave whatever does not answer."""
    reads, writes = (int(number) for number in sys.argv[-2:])
    Lookout(writes).serve(_lines(reads))
    os._exit(0)


if __name__ == "__main__":
    main()
