"""What this machine, or the cgroup that a container or a service runs in, lets us use.

Groups are nested, and the least of all limits from our own group up to the top counts. A
container mostly sees its own group as the top; where it sees the host's names instead, the
mount says which part of the tree it was given. Both generations of cgroups are read, since
machines have the one, the other, or half of each.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_PROC = Path("/proc/self")


def available_cores(proc: Path = _PROC) -> int:
    """Return the cores this process may use: its affinity, cut by the cgroup's quota.

    Args:
        proc: where the kernel describes this process.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limits = [cores or 1]
    for group in _groups(proc, "cpu"):
        with contextlib.suppress(OSError, ValueError):
            if group.version == 2:
                quota, period = _read(group.folder / "cpu.max").split()
            else:
                quota = _read(group.folder / "cpu.cfs_quota_us")
                period = _read(group.folder / "cpu.cfs_period_us")
            # "max" and -1 are no limit.
            if quota != "max" and int(quota) > 0:
                limits.append(max(1, -(-int(quota) // int(period))))
    return min(limits)


def memory_limit_bytes(proc: Path = _PROC) -> int:
    """Return the memory this process may use: the machine's, cut by the cgroup's limit.

    Args:
        proc: where the kernel describes this process.
    """
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for group in _groups(proc, "memory"):
        name = "memory.max" if group.version == 2 else "memory.limit_in_bytes"
        with contextlib.suppress(OSError, ValueError):
            # No limit is "max" in version 2, in version 1 more than any machine has.
            limits.append(int(_read(group.folder / name)))
    return min(limits)


@dataclass(frozen=True, slots=True)
class _Group:
    version: int
    folder: Path


def _groups(proc: Path, controller: str) -> Iterator[_Group]:
    """Yield the groups that a controller limits this process by, our own first."""
    try:
        memberships = (proc / "cgroup").read_text("utf-8").splitlines()
        mounts = (proc / "mountinfo").read_text("utf-8").splitlines()
    except OSError:
        # Not Linux, or no /proc.
        return
    for line in memberships:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            version = 2
        elif controller in controllers.split(","):
            version = 1
        else:
            continue
        for root, point in _mounts(mounts, version, controller):
            own = _below(path, root)
            for part in (own, *own.parents):
                yield _Group(version, point / part)


def _mounts(lines: list[str], version: int, controller: str) -> Iterator[tuple[str, Path]]:
    """Yield which part of the tree of groups is mounted, and where."""
    for line in lines:
        before, _, after = line.partition(" - ")
        kind, _, options = after.partition(" ")
        if kind == ("cgroup2" if version == 2 else "cgroup"):
            # The last field has the controllers, of version 1 only.
            if version == 1 and controller not in options.split(" ")[-1].split(","):
                continue
            fields = before.split(" ")
            yield _plain(fields[3]), Path(_plain(fields[4]))


def _below(path: str, root: str) -> PurePosixPath:
    """Return our group relative to the mounted part of the tree."""
    with contextlib.suppress(ValueError):
        own = PurePosixPath(path).relative_to(root)
        if ".." not in own.parts:
            return own
    # Our group is not below what is mounted: the mount is all that we can see.
    return PurePosixPath()


def _plain(text: str) -> str:
    """Undo the escapes that the kernel has for spaces and the like."""
    return re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), text)


def _read(path: Path) -> str:
    return path.read_text("utf-8").strip()
