"""Frames back from a real local farm: while it renders, after it left, after it was stopped.

Over a directory and over a bucket of the real emulator. Without any farm:
test_download_storage.py.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from burst.manager.state_dir import is_locked, lock_path
from tests.fakes.blenders import RealBlender, real_blender
from tests.fakes.emulator import running_emulator
from tests.fakes.published import files_in
from tests.integration.test_cli_farm import Shell, eventually

pytestmark = pytest.mark.blender


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> RealBlender:
    return real_blender("binary", tmp_path_factory.getbasetemp() / "facts")


@pytest.fixture(scope="module")
def scene(real: RealBlender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real.make_scene(tmp_path_factory.mktemp("scene") / "shot.blend")


@pytest.fixture(params=["directory", "bucket"])
def shell(request: pytest.FixtureRequest, tmp_path: Path, scene: Path) -> Iterator[Shell]:
    folder = tmp_path / "here"
    folder.mkdir()
    shutil.copy(scene, folder / "shot.blend")
    started = Shell(folder)
    started.environment["XDG_CACHE_HOME"] = str(scene.parent / "cache")
    started.environment["BURST_EXIT_WHEN_IDLE_SECONDS"] = "2"
    if request.param == "directory":
        yield started
        started.stop()
        return
    with running_emulator(tmp_path / "objects") as emulator:
        started.environment |= {"BURST_STORAGE_URL": emulator.url, **emulator.environment}
        yield started
        started.stop()


def farm_runs(shell: Shell) -> bool:
    return is_locked(lock_path(shell.state_dir))


def listed_in_the_storage(shell: Shell, job: str) -> int:
    """Return how many frames the list beside them has."""
    storage = shell.environment.get("BURST_STORAGE_URL", str(shell.state_dir / "storage"))
    words = ("--storage", storage, "--output", "elsewhere", "--json")
    done = shell.run("download", job, *words)
    return int(json.loads(done.stdout)["frames_published"]) if done.returncode == 0 else 0


def test_a_frame_that_is_rendered_again_replaces_ours_and_goes_beside_the_artists(
    shell: Shell,
) -> None:
    # The time is in each file, so that no two are the same.
    words = ("render", "shot.blend", "--local", "--frames", "1-3", "--keep-metadata")
    job = shell.json(*words)["job"]
    out = shell.folder / "shot-frames"
    rendered = files_in(out)
    assert len(rendered) == 3
    (out / "shot_0002.png").write_bytes(b"painted over")
    (out / "shot_0003.png").write_bytes(b"painted over too")
    shell.json("jobs", "requeue", job, "--frames", "1-2")
    done = shell.run("watch", job)
    assert done.returncode == 0, done.stderr
    now = files_in(out)
    assert now.pop("shot_0001.png") != rendered["shot_0001.png"]
    assert now.pop("burst-new/shot_0002.png").startswith(b"\x89PNG")
    assert now == {"shot_0002.png": b"painted over", "shot_0003.png": b"painted over too"}
    assert "is left alone: shot_0003.png" in done.stderr
    assert f"went to {out / 'burst-new'}" in done.stderr
    # And again, now from what is published.
    said = shell.json("download", job)
    assert (said["files_kept"], said["files_beside"]) == (2, ["burst-new/shot_0002.png"])
    assert said["files_changed"] == ["shot_0003.png"]


def test_frames_of_a_farm_that_has_left_are_brought_without_starting_it(shell: Shell) -> None:
    job = shell.run("submit", "shot.blend", "--local", "--frames", "1-2").stdout.strip()
    eventually(lambda: not farm_runs(shell))
    for named in ("last", job[:-2]):
        said = shell.json("download", named)
        assert (said["job"], said["status"], said["frames_published"]) == (job, "completed", 2)
    assert (said["files_brought"], said["files_kept"]) == (0, 2)
    assert not farm_runs(shell)
    assert len(files_in(shell.folder / "shot-frames")) == 2


def test_a_farm_that_was_stopped_is_not_started_for_what_is_done(shell: Shell) -> None:
    job = shell.run("submit", "shot.blend", "--local", "--frames", "1-900").stdout.strip()
    eventually(lambda: listed_in_the_storage(shell, job) >= 2)
    assert shell.run("down", "--local").returncode == 0
    done = shell.run("download", job, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["status"] in ("queued", "active")
    assert 2 <= said["files_brought"] == said["frames_published"] < 900
    assert f"burst watch {job}" in shell.run("download", job).stderr
    assert not farm_runs(shell)


def test_a_stopped_farm_with_nothing_done_says_so_and_stays_stopped(shell: Shell) -> None:
    shell.environment["BURST_WORKERS"] = "0"
    job = shell.run("submit", "shot.blend", "--local", "--frames", "1").stdout.strip()
    assert shell.run("down", "--local").returncode == 0
    done = shell.run("download", job)
    assert done.returncode == 1
    assert "the local farm was stopped" in done.stderr
    assert f"burst watch {job}" in done.stderr
    assert not farm_runs(shell)


def test_following_brings_frames_as_they_are_published(shell: Shell) -> None:
    job = shell.run("submit", "shot.blend", "--local", "--frames", "1-12").stdout.strip()
    done = shell.run("download", job, "--follow", "--output", "there", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "completed"
    assert len(files_in(shell.folder / "there")) == 12
