"""A Blender that breaks under its worker: the worker finds out, leaves, and is not missed.

A program in front of the real Blender breaks it on purpose, and mends it. When a worker
doubts itself is in tests/unit/worker; how the autoscaler waits, in tests/unit/manager.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from burst.worker.blender import BlenderFailed
from burst.worker.blenders import Use
from burst.worker.discovery import Installed
from burst.worker.health import Checkup
from burst.worker.trust import Cage
from tests.fakes.blenders import RealBlender, real_blender
from tests.integration.test_cli_farm import Shell, eventually

pytestmark = pytest.mark.blender

BREAKABLE = """#!/bin/sh
if [ -e "$(dirname "$0")/{switch}" ]; then
  case "$*" in *{what}*) echo "libtbb.so.12: cannot open shared object file" >&2; exit 127;; esac
fi
exec {program} "$@"
"""
LEAVES = "this worker can't render any more: Blender"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> RealBlender:
    return real_blender("binary", tmp_path_factory.getbasetemp() / "facts")


@pytest.fixture(scope="module")
def scene(real: RealBlender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real.make_scene(tmp_path_factory.mktemp("scene") / "shot.blend", "--samples", "1")


@pytest.fixture
def shell(tmp_path: Path, scene: Path) -> Iterator[Shell]:
    for name in "abcd":
        shutil.copy(scene, tmp_path / f"{name}.blend")
    started = Shell(tmp_path)
    started.environment["BURST_BLENDER"] = str(tmp_path / "blender")
    yield started
    started.stop()


def breakable(folder: Path, real: RealBlender, what: str) -> Path:
    """Write a ``blender`` that does not run a script any more while the switch is there."""
    program = folder / "blender"
    program.write_text(BREAKABLE.format(switch="broken", what=what, program=real.program))
    program.chmod(0o755)
    return folder / "broken"


def start_farm(shell: Shell, real: RealBlender) -> None:
    """Start a farm of one worker with the program that can break."""
    assert shell.run("up", "--local", "--workers", "1").returncode == 0
    # Who submits looks at the scene with a Blender too: that one works.
    shell.environment["BURST_BLENDER"] = str(real.program)


def submit(shell: Shell, name: str, retries: int = 20) -> str:
    """Submit one frame that may fail so often, and return the job."""
    what = (f"{name}.blend", "--local", "--frames", "1", "--retries", str(retries))
    done = shell.run("submit", *what)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def status_of(shell: Shell, job: str) -> str:
    return str(shell.json("jobs", "show", job)["status"])


def worker_logs(shell: Shell) -> str:
    folder = shell.state_dir / "logs" / "workers"
    return "".join(path.read_text() for path in sorted(folder.glob("*.log")))


def test_a_worker_whose_blender_broke_leaves_and_work_waits_for_one_that_renders(
    shell: Shell, real: RealBlender
) -> None:
    broken = breakable(shell.folder, real, ".py")
    start_farm(shell, real)
    first = submit(shell, "a")
    eventually(lambda: status_of(shell, first) == "completed")
    broken.touch()
    jobs = [submit(shell, name) for name in "bcd"]
    eventually(lambda: LEAVES in worker_logs(shell))
    # Whoever is started next finds out for itself, at once, and takes no task.
    eventually(lambda: "does not start" in shell.json("status", "--local")["pools"][0]["failure"])
    assert worker_logs(shell).count(LEAVES) == 1 + worker_logs(shell).count(f"error: {LEAVES}")
    failures = worker_logs(shell).count(" failed: Blender left with exit status 127")
    assert 3 <= failures <= 6, "it gave up after a few frames"
    broken.unlink()
    for job in jobs:
        eventually(lambda job=job: status_of(shell, job) == "completed")  # type: ignore[misc]
    assert worker_logs(shell).count(" failed: ") == failures
    assert shell.json("status", "--local")["pools"][0]["failure"] == ""


@pytest.mark.parametrize("kind", ["binary", "bpy"])
@pytest.mark.parametrize("caged", [True, False])
def test_the_check_renders_in_every_blender_also_in_its_cage(
    kind: str, caged: bool, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    blender = real_blender(kind, tmp_path_factory.getbasetemp() / "facts")
    cage = Cage(tmp_path / "scenes") if caged else None
    installed = Installed(blender.program, blender.facts)
    use = Use(installed, "CYCLES", "cpu", BlenderFailed("Blender crashed"))
    scratch = tmp_path / "scratch"
    assert Checkup(scratch, cage).find_fault(use) == ""


def test_a_worker_that_renders_a_few_pixels_is_not_to_blame_for_broken_jobs(
    shell: Shell, real: RealBlender
) -> None:
    # Only what renders the artist's scenes breaks: that is what a broken scene looks like.
    breakable(shell.folder, real, "driver.py").touch()
    start_farm(shell, real)
    jobs = [submit(shell, name, retries=2) for name in "abc"]
    eventually(lambda: "renders it; going on" in worker_logs(shell))
    for job in jobs:
        eventually(lambda job=job: status_of(shell, job) == "failed")  # type: ignore[misc]
    assert LEAVES not in worker_logs(shell)
    assert len(list((shell.state_dir / "logs" / "workers").iterdir())) == 1
