"""A full disk: how it is told from other failures, and how long a worker rests then.

It is no fault of the frame, so the attempt is interrupted and not failed: otherwise a full
disk would use up every retry of a job within seconds. And the next frame would fare no
better, so the worker claims nothing for a while, longer each time until a frame is finished.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable

from burst.errors import StorageFull
from burst.worker.blender import BlenderFailed
from burst.worker.faults import Fault

REST_FIRST_SECONDS = 1.0
REST_LAST_SECONDS = 30.0


def is_disk_full(error: Exception) -> bool:
    """Say whether a failure is for lack of space, of the scratch disk or of the storage."""
    if isinstance(error, BlenderFailed):
        return error.fault is Fault.DISK_FULL
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, StorageFull)


class Rest:
    """For how long a worker claims nothing. Any thread may call it."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Do not rest."""
        self._monotonic = monotonic
        self._next_seconds = REST_FIRST_SECONDS
        self._until = 0.0

    @property
    def seconds_left(self) -> float:
        """How much of it is left; 0 is none."""
        return max(0.0, self._until - self._monotonic())

    def begin(self) -> None:
        """Rest from now on, longer than the last time."""
        self._until = self._monotonic() + self._next_seconds
        self._next_seconds = min(REST_LAST_SECONDS, 2 * self._next_seconds)

    def end(self) -> None:
        """There is space again."""
        self._next_seconds = REST_FIRST_SECONDS
        self._until = 0.0
