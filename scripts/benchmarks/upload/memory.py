"""The memory of a program and of all that it starts, looked at while they run.

What counts is the proportional set size: a page that three processes share is a third of a page
for each, so their sum is what the machine has less. Where the kernel does not tell it (macOS) it
is the resident size, which counts such a page three times.
"""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import psutil

_SECONDS = 0.05
_MIB = 1024 * 1024


class PeakMemory:
    """Looks at it until it is told to stop."""

    def __init__(self, pid: int) -> None:
        """Start with the program ``pid``."""
        self._root = psutil.Process(pid)
        self._peak = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak-memory", daemon=True)
        self._thread.start()

    def stop(self) -> float:
        """Return the largest sum that was seen, in MiB."""
        self._stopped.set()
        self._thread.join()
        return self._peak / _MIB

    def _watch(self) -> None:
        while not self._stopped.wait(_SECONDS):
            with contextlib.suppress(psutil.Error):
                processes = [self._root, *self._root.children(recursive=True)]
                self._peak = max(self._peak, sum(_bytes_of(process) for process in processes))


def _bytes_of(process: psutil.Process) -> int:
    try:
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii")
        for line in text.splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    with contextlib.suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0
