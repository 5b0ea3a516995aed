"""What a cgroup leaves us: nested groups, containers, both generations, and half of each.

Against trees of files as the kernel shows them; real groups with real limits are in
``tests/integration/test_cgroups.py``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from burst.config.machine import available_cores, memory_limit_bytes

MIB = 2**20
NONE_V1 = "9223372036854771712"
"""What version 1 says where there is no limit."""


class Machine:
    """A ``/proc/self`` and the trees of groups that it speaks of."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder / "proc"
        self.proc.mkdir()
        self._groups = folder / "cgroup"
        self._mounts = ["31 23 0:28 / /proc rw,relatime - proc proc rw"]
        self._memberships: list[str] = []

    def mount(self, name: str, controllers: str = "", root: str = "/") -> Path:
        """Mount a tree: version 1 if it has controllers; ``root`` is the part of it we see."""
        point = self._groups / name
        point.mkdir(parents=True)
        kind, options = ("cgroup", f"rw,{controllers}") if controllers else ("cgroup2", "rw")
        escaped = str(point).replace(" ", "\\040")
        self._mounts.append(
            f"33 31 0:30 {root} {escaped} rw,relatime shared:9 - {kind} cgroup {options}"
        )
        return point

    def join(self, path: str, controllers: str = "") -> None:
        """Be in a group, by the name that the kernel shows us."""
        number = len(self._memberships) + 1 if controllers else 0
        self._memberships.append(f"{number}:{controllers}:{path}")

    def write(self) -> Path:
        """Return the ``/proc/self`` of it all."""
        (self.proc / "cgroup").write_text("\n".join(self._memberships) + "\n")
        (self.proc / "mountinfo").write_text("\n".join(self._mounts) + "\n")
        return self.proc


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))


def limit(folder: Path, **files: str) -> None:
    """Write the limits of one group; ``__`` stands for a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


def whole_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_without_cgroups_the_machine_itself_is_the_limit(tmp_path: Path) -> None:
    assert available_cores(tmp_path / "none") == 8
    assert memory_limit_bytes(tmp_path / "none") == whole_memory()


def test_affinity_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 5})
    assert available_cores(tmp_path / "none") == 2


def test_where_there_is_no_affinity_the_machines_cores_count(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert available_cores(tmp_path / "none") == 6


def test_in_a_container_its_own_group_is_the_top(machine: Machine) -> None:
    top = machine.mount("")
    machine.join("/")
    limit(top, cpu__max="300000 100000", memory__max=str(512 * MIB))
    assert available_cores(machine.write()) == 3
    assert memory_limit_bytes(machine.proc) == 512 * MIB


@pytest.mark.parametrize("nearest", [True, False])
def test_the_least_of_all_groups_above_counts(machine: Machine, nearest: bool) -> None:
    top = machine.mount("")
    machine.join("/system.slice/burst.service/worker")
    small = {"cpu__max": "200000 100000", "memory__max": str(256 * MIB)}
    large = {"cpu__max": "400000 100000", "memory__max": str(512 * MIB)}
    service = top / "system.slice" / "burst.service"
    limit(service, **(large if nearest else small))
    limit(service / "worker", **(small if nearest else large))
    limit(top / "system.slice", cpu__max="max 100000", memory__max="max")
    limit(top / "other.slice", cpu__max="100000 100000", memory__max=str(MIB))
    assert available_cores(machine.write()) == 2
    assert memory_limit_bytes(machine.proc) == 256 * MIB


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", 8), ("50000 100000", 1), ("150000 100000", 2), ("9900000 100000", 8)],
)
def test_parts_of_a_core_count_as_a_core(machine: Machine, quota: str, cores: int) -> None:
    limit(machine.mount(""), cpu__max=quota)
    machine.join("/")
    assert available_cores(machine.write()) == cores


def test_the_first_generation_has_a_tree_for_each_controller(machine: Machine) -> None:
    cpu = machine.mount("cpu,cpuacct", "cpu,cpuacct")
    memory = machine.mount("memory", "memory")
    machine.join("/batch/render", "cpu,cpuacct")
    machine.join("/batch", "memory")
    limit(cpu / "batch", cpu__cfs_quota_us="250000", cpu__cfs_period_us="100000")
    limit(cpu / "batch" / "render", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    limit(memory, memory__limit_in_bytes=NONE_V1)
    limit(memory / "batch", memory__limit_in_bytes=str(128 * MIB))
    assert available_cores(machine.write()) == 3
    assert memory_limit_bytes(machine.proc) == 128 * MIB


def test_no_limit_of_the_first_generation_is_that_of_the_machine(machine: Machine) -> None:
    limit(machine.mount("memory", "memory"), memory__limit_in_bytes=NONE_V1)
    machine.join("/", "memory")
    assert memory_limit_bytes(machine.write()) == whole_memory()


def test_a_machine_may_have_half_of_each_generation(machine: Machine) -> None:
    memory = machine.mount("memory", "memory")
    machine.mount("unified")
    machine.join("/a", "memory")
    machine.join("/")
    limit(memory / "a", memory__limit_in_bytes=str(64 * MIB))
    assert memory_limit_bytes(machine.write()) == 64 * MIB
    assert available_cores(machine.proc) == 8


def test_a_container_may_see_the_hosts_name_of_its_group(machine: Machine) -> None:
    memory = machine.mount("memory", "memory", root="/docker/0123")
    machine.join("/docker/0123/inner", "memory")
    limit(memory / "inner", memory__limit_in_bytes=str(96 * MIB))
    limit(memory, memory__limit_in_bytes=str(32 * MIB))
    assert memory_limit_bytes(machine.write()) == 32 * MIB


@pytest.mark.parametrize("path", ["/elsewhere/0123", "/../../elsewhere"])
def test_of_a_group_that_cannot_be_seen_the_mount_is_what_counts(
    machine: Machine, path: str
) -> None:
    root = "/docker/0123" if path.startswith("/else") else "/"
    limit(machine.mount("", root=root), memory__max=str(48 * MIB))
    machine.join(path)
    assert memory_limit_bytes(machine.write()) == 48 * MIB


def test_a_group_that_is_not_mounted_says_nothing(machine: Machine) -> None:
    machine.join("/a", "memory")
    machine.join("/a")
    assert memory_limit_bytes(machine.write()) == whole_memory()


def test_a_mount_may_have_a_blank_in_its_name(machine: Machine) -> None:
    limit(machine.mount("my groups"), memory__max=str(80 * MIB))
    machine.join("/")
    assert memory_limit_bytes(machine.write()) == 80 * MIB


def test_what_the_kernel_does_not_write_as_expected_is_passed_over(machine: Machine) -> None:
    limit(machine.mount(""), cpu__max="?", memory__max="?")
    machine.join("/")
    assert available_cores(machine.write()) == 8
    assert memory_limit_bytes(machine.proc) == whole_memory()
