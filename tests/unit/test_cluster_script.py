"""What `scripts/cluster` decides before it makes anything; root and kernels are not needed.

Left out: a cluster that runs, which tests/kubernetes has.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "scripts"))

from testcluster import build, cgroups, fitness, machine, main, places  # noqa: E402
from testcluster.errors import ClusterError, Unfit  # noqa: E402
from testcluster.places import Place, alone  # noqa: E402

TRIALS = len(fitness.TRIALS)


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy = tmp_path / "kubernetes"
    shutil.copytree(build.SOURCES, copy)
    monkeypatch.setattr(build, "SOURCES", copy)
    return copy


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A cluster that is not there yet."""
    monkeypatch.setattr(places, "CLUSTERS", tmp_path)
    place = Place("tried", 7)
    place.folder.mkdir()
    return place


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Cgroups as ordinary files."""
    monkeypatch.setattr(cgroups, "TOP", tmp_path)
    return tmp_path


def test_what_is_only_tested_or_read_compiles_nothing_anew(sources: Path) -> None:
    before = build._stamp()
    (sources / "node" / "init_test.go").write_text("package main")
    (sources / "README.md").write_text("How it is made")
    assert build._stamp() == before


@pytest.mark.parametrize("name", ["node/init.go", "go.mod", "go.sum", "kwok-exit.yaml"])
def test_what_programs_are_made_of_compiles_them_anew(sources: Path, name: str) -> None:
    before = build._stamp()
    (sources / name).write_text((sources / name).read_text() + "\n")
    assert build._stamp() != before


def test_another_version_compiles_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    before = build._stamp()
    monkeypatch.setitem(build.VERSIONS, build.KUBERNETES, "v1.99.0")
    assert build._stamp() != before


def test_a_lock_that_somebody_keeps_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    with alone(file), pytest.raises(ClusterError, match="somebody else has had"), alone(file, 0.0):
        pytest.fail("two had it")
    with alone(file, 0.0):
        pass


@pytest.mark.parametrize("number", range(TRIALS))
def test_a_machine_that_lacks_something_is_told_what(
    place: Place, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    tried: list[str] = []

    def refuse(*command: str) -> str:
        tried.append(command[-1])
        if len(tried) > number:
            raise ClusterError("unshare failed: Operation not permitted")
        return ""

    monkeypatch.setattr(fitness, "run_checked", refuse)
    what = list(fitness.TRIALS)[number].format(folder=place.folder)
    with pytest.raises(Unfit, match=f"no {what}: unshare failed"):
        fitness.check_machine(place)
    assert list(place.folder.iterdir()) == []


def test_a_full_disk_is_told_of_before_anything_is_made(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitness, "run_checked", lambda *command: "")
    monkeypatch.setattr(fitness, "SPACE_GIB", 1_000_000)
    with pytest.raises(ClusterError, match=r"only .* GiB are free") as raised:
        fitness.check_machine(place)
    assert not isinstance(raised.value, Unfit)


def test_a_program_that_is_not_installed_is_named() -> None:
    with pytest.raises(ClusterError, match="there is no program burst-nothing"):
        machine.run_checked("burst-nothing")


def test_groups_of_the_second_version_hand_controllers_down(tree: Path) -> None:
    for folder in ("", "clusters", "clusters/one"):
        (tree / folder).mkdir(exist_ok=True)
        (tree / folder / "cgroup.subtree_control").write_text("memory\n")
    (tree / "cgroup.controllers").write_text("cpu cpuset io memory pids\n")
    (tree / "clusters" / "cpu.weight").write_text("100\n")
    cgroups.make_group("clusters/one/node")
    for folder in ("", "clusters", "clusters/one"):
        assert (tree / folder / "cgroup.subtree_control").read_text() == "+cpu +cpuset +pids"
    assert (tree / "clusters" / "cpu.weight").read_text() == "1600"


def test_groups_of_the_first_version_get_processors_and_a_share(tree: Path) -> None:
    for controller in ("cpu", "cpuset"):
        (tree / controller / "clusters" / "node").mkdir(parents=True)
    (tree / "cpu" / "clusters" / "cpu.shares").write_text("1024\n")
    for folder, known in (("", "0-3"), ("clusters", ""), ("clusters/node", "")):
        for name in ("cpuset.cpus", "cpuset.mems"):
            (tree / "cpuset" / folder / name).write_text(known)
    cgroups.make_group("clusters/node")
    assert (tree / "cpuset" / "clusters" / "node" / "cpuset.cpus").read_text() == "0-3"
    assert (tree / "cpu" / "clusters" / "cpu.shares").read_text() == "16384"
    cgroups.give_share("clusters", 1)
    assert (tree / "cpu" / "clusters" / "cpu.shares").read_text() == "1024"


def test_a_machine_without_writable_groups_is_unfit(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "cgroup.controllers").write_text("")
    with pytest.raises(Unfit, match="cgroups can't be made here"):
        cgroups.make_group("clusters")


@pytest.mark.parametrize(
    ("error", "status"),
    [(Unfit("no overlay"), main.EXIT_UNFIT), (ClusterError("busy"), 1), (OSError(28, "full"), 1)],
)
def test_what_is_in_the_way_is_a_sentence_and_a_status(
    error: Exception,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(name: str) -> Place:
        raise error

    monkeypatch.setattr(main, "find_place", fail)
    assert main.main(["status"]) == status
    assert capsys.readouterr().err == f"error: {error}\n"


def test_nothing_is_compiled_to_look_at_a_cluster_that_is_not_there(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(main, "build", lambda: pytest.fail("it compiles"))
    monkeypatch.setattr(main, "find_place", lambda name: place)
    assert main.main(["status"]) == 1
    assert "there is no cluster tried" in capsys.readouterr().err
