"""Whether the kernel killed a process for lack of memory, by its own counts.

SIGKILL says nothing about its sender. The kernel counts what its out-of-memory killer
ended: for each cgroup, and for the whole machine. A count that has grown while a process
died by SIGKILL tells that end from one by anybody else. Only Linux counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_ROOT = Path("/")


class OomKills:
    """The count that is about one process: of its cgroup, or without one of the machine.

    In a container the machine's own count would be about strangers.
    """

    def __init__(self, pid: int, root: Path = _ROOT) -> None:
        """Look at the count now, while the process runs; ``root`` holds ``proc`` and ``sys``."""
        self._counter, self._before = _ROOT, None
        for counter in (*_of_cgroup(pid, root), root / "proc/vmstat"):
            count = _count(counter)
            if count is not None:
                self._counter, self._before = counter, count
                return

    def grew(self) -> bool | None:
        """Say whether the kernel has killed for lack of memory since; None if it does not tell."""
        now = _count(self._counter) if self._before is not None else None
        if now is None or self._before is None:
            return None
        return now > self._before


def _of_cgroup(pid: int, root: Path) -> Iterator[Path]:
    """Yield the files that may count for a process, the most exact first."""
    try:
        lines = (root / f"proc/{pid}/cgroup").read_text("utf-8").splitlines()
    except OSError:
        return
    mounted = root / "sys/fs/cgroup"
    for line in lines:
        _, controllers, place = line.split(":", 2)
        if "memory" in controllers.split(","):
            folder, name = mounted / "memory", "memory.oom_control"
        elif not controllers:
            folder, name = mounted, "memory.events"
        else:
            continue
        # Not every group has a count of its own, it is with the one above then; and inside
        # of a container the path may be the host's, where the mount begins with our own.
        path = PurePosixPath(place.lstrip("/"))
        for part in (path, *path.parents):
            yield folder / part / name


def _count(counter: Path) -> int | None:
    try:
        found = re.search(r"(?m)^oom_kill (\d+)$", counter.read_text("utf-8"))
    except OSError:
        return None
    return int(found[1]) if found else None
