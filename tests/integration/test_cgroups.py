"""Limits that a real cgroup sets: what a process in it is told it may use.

Needs root, and a tree of groups that it may write to. Trees of other shapes, as containers
see them, are in tests/unit/config.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from burst.config.machine import available_cores, memory_limit_bytes

ROOT = Path("/sys/fs/cgroup")
MIB = 2**20
ASK = """
import json
from burst.config.machine import available_cores, memory_limit_bytes
print(json.dumps([available_cores(), memory_limit_bytes()]))
"""


@dataclass(frozen=True)
class Groups:
    """An outer and an inner group of this test alone."""

    version: int
    outer: dict[str, Path]
    """Controller → folder."""

    def limit(self, *, inner: bool, memory_bytes: int = 0, cores: float = 0) -> None:
        """Limit one of both groups."""
        folders = {name: path / "inner" if inner else path for name, path in self.outer.items()}
        period = 100_000
        if memory_bytes:
            name = "memory.max" if self.version == 2 else "memory.limit_in_bytes"
            (folders["memory"] / name).write_text(str(memory_bytes))
        if cores and self.version == 2:
            (folders["cpu"] / "cpu.max").write_text(f"{int(cores * period)} {period}")
        elif cores:
            (folders["cpu"] / "cpu.cfs_period_us").write_text(str(period))
            (folders["cpu"] / "cpu.cfs_quota_us").write_text(str(int(cores * period)))

    def ask(self) -> tuple[int, int]:
        """Return cores and memory as a process in the inner group is told."""
        files = " ".join(str(path / "inner" / "cgroup.procs") for path in self.outer.values())
        # The shell joins, and becomes Python: the program is in the group from its start.
        join = f'for file in {files}; do echo $$ > "$file" || exit; done; exec "$@"'
        done = subprocess.run(
            ["/bin/sh", "-c", join, "sh", sys.executable, "-c", ASK],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        cores, memory_bytes = json.loads(done.stdout)
        return cores, memory_bytes


@pytest.fixture
def groups() -> Iterator[Groups]:
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root can make a cgroup")
    name = f"burst-test-{os.getpid()}"
    if (ROOT / "cgroup.controllers").exists():
        made = Groups(2, {"cpu": ROOT / name, "memory": ROOT / name})
    else:
        made = Groups(1, {kind: ROOT / kind / name for kind in ("cpu", "memory")})
    folders = [*dict.fromkeys(made.outer.values())]
    try:
        for folder in folders:
            (folder / "inner").mkdir(parents=True)
            if made.version == 2:
                (folder / "cgroup.subtree_control").write_text("+cpu +memory")
    except OSError as error:
        _remove(folders)
        pytest.skip(f"no cgroup can be made here: {error}")
    yield made
    _remove(folders)


def _remove(folders: list[Path]) -> None:
    for folder in folders:
        for group in (folder / "inner", folder):
            deadline = time.monotonic() + 10
            # Busy for a moment, until the kernel is done with the last process in it.
            while group.exists() and time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    group.rmdir()


def test_a_limit_of_memory_and_a_quota_of_processor_time_are_found(groups: Groups) -> None:
    groups.limit(inner=True, memory_bytes=256 * MIB, cores=1)
    assert groups.ask() == (1, 256 * MIB)


def test_a_limit_of_a_group_further_up_counts_too(groups: Groups) -> None:
    groups.limit(inner=False, memory_bytes=256 * MIB, cores=1.5)
    groups.limit(inner=True, memory_bytes=192 * MIB)
    assert groups.ask() == (min(2, available_cores()), 192 * MIB)
    groups.limit(inner=False, memory_bytes=128 * MIB)
    assert groups.ask()[1] == 128 * MIB


def test_without_limits_the_machine_is_what_there_is(groups: Groups) -> None:
    assert groups.ask() == (available_cores(), memory_limit_bytes())


def test_affinity_is_found(groups: Groups) -> None:
    everywhere = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(everywhere)})
        assert groups.ask()[0] == 1
    finally:
        os.sched_setaffinity(0, everywhere)
