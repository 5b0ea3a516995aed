"""Cgroups of nodes, in the first version of cgroups and in the second."""

from __future__ import annotations

import os
import time
from pathlib import Path

from testcluster.errors import Unfit

TOP = Path("/sys/fs/cgroup")
LEAVE_SECONDS = 2.0
NEEDED = ("cpu", "cpuset", "memory", "pids")
"""The controllers that a kubelet wants to have in its groups."""
SHARE = 16
"""How many ordinary processes all clusters together count for where processors are short. As it
comes a group is one, however much is in it: beside busy tests nodes would miss their deadlines."""


def _trees() -> list[Path]:
    """Return where groups are made: in one tree, or in one for each controller."""
    if (TOP / "cgroup.controllers").exists():
        return [TOP]
    return [tree for tree in TOP.iterdir() if tree.is_dir() and not tree.is_symlink()]


def make_group(group: str) -> None:
    """Make a group in each tree; one for processors admits nobody before it is told which."""
    try:
        for tree in _trees():
            folder = tree
            for part in Path(group).parts:
                _hand_down(folder)
                folder /= part
                folder.mkdir(exist_ok=True)
                if tree.name == "cpuset":
                    _inherit_processors(folder)
            _give_share(tree / Path(group).parts[0], SHARE)
    except OSError as error:
        raise Unfit(f"cgroups can't be made here: {error}") from error


def _hand_down(folder: Path) -> None:
    """Let groups below have controllers: in the second version each level has to."""
    file = folder / "cgroup.subtree_control"
    if (TOP / "cgroup.controllers").exists():
        lacking = set(NEEDED) - set(file.read_text().split())
        if lacking:
            file.write_text(" ".join(f"+{name}" for name in sorted(lacking)))


def _inherit_processors(folder: Path) -> None:
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not (folder / name).read_text().strip():
            (folder / name).write_text((folder.parent / name).read_text())


def give_share(group: str, share: int) -> None:
    """Let a group count for so many ordinary processes where processors are short."""
    for tree in _trees():
        _give_share(tree / group, share)


def _give_share(folder: Path, share: int) -> None:
    for name, ordinary in (("cpu.shares", 1024), ("cpu.weight", 100)):
        if (folder / name).exists():
            (folder / name).write_text(str(share * ordinary))


def join_group(group: str) -> None:
    """Put the calling process, and what it will start, into a group."""
    for tree in _trees():
        (tree / group / "cgroup.procs").write_text(str(os.getpid()))


def remove_group(group: str) -> None:
    """Remove a group with all groups in it, whose processes have been killed."""
    deadline = time.monotonic() + LEAVE_SECONDS
    for tree in _trees():
        while (tree / group).exists():
            _remove(tree / group)
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)


def remove_empty(group: str) -> None:
    """Remove a group that has no other group in it any more."""
    for tree in _trees():
        _try_rmdir(tree / group)


def _remove(folder: Path) -> None:
    for inner in sorted(folder.rglob("*/"), key=lambda path: len(path.parts), reverse=True):
        _try_rmdir(inner)
    _try_rmdir(folder)


def _try_rmdir(folder: Path) -> None:
    try:
        if folder.is_dir():
            folder.rmdir()
    except OSError:
        pass  # a process in it is on its way out: the next round gets it
