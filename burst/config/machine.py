"""What this machine, or the cgroup that a container runs in, lets us use."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def available_cores() -> int:
    """Return the cores this process may use: its affinity, cut by the cgroup's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with contextlib.suppress(OSError, ValueError):
        quota, period = (_CGROUP / "cpu.max").read_text(encoding="utf-8").split()
        return max(1, min(cores or 1, -(-int(quota) // int(period))))
    return cores or 1


def memory_limit_bytes() -> int:
    """Return the memory this process may use: the machine's, cut by the cgroup's limit."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):
        return min(total, int((_CGROUP / "memory.max").read_text(encoding="utf-8")))
    return total
