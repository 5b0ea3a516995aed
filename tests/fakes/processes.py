"""The processes that a process has started."""

from __future__ import annotations

import contextlib
import time

import psutil

_SECONDS = 120


def started_by(pid: int) -> list[int]:
    """Return the processes that one has started, and what those have."""
    with contextlib.suppress(psutil.Error):
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    return []


def wait_until_none(pids: list[int]) -> None:
    """Wait until none of them is there."""
    deadline = time.monotonic() + _SECONDS
    while any(psutil.pid_exists(pid) for pid in pids):
        assert time.monotonic() < deadline, "a process outlived its work"
        time.sleep(0.02)
