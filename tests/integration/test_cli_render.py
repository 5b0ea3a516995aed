"""``burst render`` from a .blend to frames in a folder: real Blender, manager and workers.

Left out: GPUs, other Blender versions than the one at hand, and files that scenes need
(tests/unit/scene). The farm without workers is in test_cli_farm.py.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.blenders import RealBlender, real_blender
from tests.integration.test_cli_farm import Shell, eventually

pytestmark = pytest.mark.blender


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> RealBlender:
    return real_blender("binary", tmp_path_factory.getbasetemp() / "facts")


@pytest.fixture(scope="module")
def scene(real: RealBlender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real.make_scene(tmp_path_factory.mktemp("scene") / "shot.blend")


@pytest.fixture
def shell(tmp_path: Path, scene: Path) -> Iterator[Shell]:
    shutil.copy(scene, tmp_path / "shot.blend")
    started = Shell(tmp_path)
    # What was found out about Blender is the same for every test.
    started.environment["XDG_CACHE_HOME"] = str(scene.parent / "cache")
    started.environment["BURST_EXIT_WHEN_IDLE_SECONDS"] = "2"
    yield started
    started.stop()


def test_a_scene_becomes_frames_in_a_folder_named_after_it(shell: Shell) -> None:
    done = shell.run("render", "shot.blend", "--local", "--frames", "1,3-4", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    folder = shell.folder / "shot-frames"
    names = ["shot_0001.png", "shot_0003.png", "shot_0004.png"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert said["status"] == "completed"
    assert said["frames"] == "1,3-4"
    assert said["frames_published"] == said["frame_count"] == 3
    assert said["output"] == str(folder)
    assert said["resumed"] is False
    hashes = {hashlib.sha256(path.read_bytes()).digest() for path in folder.iterdir()}
    assert len(hashes) == 3


def test_a_detached_job_goes_on_and_its_frames_are_brought_later(shell: Shell) -> None:
    done = shell.run("submit", "shot.blend", "--local", "--frames", "1-2")
    assert done.returncode == 0, done.stderr
    job = done.stdout.strip()
    assert not (shell.folder / "shot-frames").exists()
    eventually(lambda: shell.json("jobs", "show", job)["status"] == "completed")
    said = shell.json("download", "last")
    assert said["job"] == job
    assert said["files_brought"] == 2
    again = shell.json("download", "last")
    assert (again["files_brought"], again["files_kept"]) == (0, 2)


def test_submitting_the_same_again_goes_on_with_the_same_job(shell: Shell) -> None:
    what = ("shot.blend", "--local", "--frames", "1-200")
    first = shell.json("submit", *what)
    second = shell.json("submit", *what)
    other = shell.json("submit", *what, "--new")
    assert second["job"] == first["job"]
    assert second["resumed"] is True
    assert other["job"] != first["job"]


def test_options_change_the_picture_and_not_the_scene(shell: Shell) -> None:
    before = (shell.folder / "shot.blend").read_bytes()
    changes = ("--resolution", "20x10", "--format", "jpg", "--output", "there", "--samples", "1")
    done = shell.run("render", "shot.blend", "--local", "--frames", "2", *changes)
    assert done.returncode == 0, done.stderr
    (frame,) = (shell.folder / "there").iterdir()
    assert frame.suffix == ".jpg"
    from PIL import Image

    with Image.open(frame) as image:
        assert image.size == (20, 10)
    assert (shell.folder / "shot.blend").read_bytes() == before


def test_ctrl_c_while_rendering_leaves_the_job_running(shell: Shell) -> None:
    with shell.start("render", "shot.blend", "--local", "--frames", "1-60") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("frame "):
                break
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "goes on in the background" in err
    eventually(lambda: shell.json("jobs", "show", "last")["frames_published"] == 60)
    shell.json("download", "last")
    assert len(list((shell.folder / "shot-frames").iterdir())) == 60


def test_a_job_whose_blender_dies_fails_with_3_and_says_why(
    shell: Shell, real: RealBlender
) -> None:
    program = shell.folder / "blender"
    program.write_text(
        "#!/bin/sh\n"
        'case "$*" in *driver.py*) echo boom >&2; exit 11;; esac\n'
        f'exec {real.program} "$@"\n'
    )
    program.chmod(0o755)
    what = ("shot.blend", "--local", "--frames", "1", "--retries", "1")
    done = shell.run("render", *what, "--blender", "./blender", "--json")
    assert done.returncode == 3, done.stderr
    said = json.loads(done.stdout)
    assert said["status"] == "failed"
    assert said["failed"][0]["frames"] == "1"
    assert said["failed"][0]["reason"]
    error = json.loads(done.stderr.splitlines()[-1])
    assert error["error"] == "JobFailed"
    assert f"burst logs {said['job']}" in error["hint"]


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["nowhere.blend"], 2, "there is no file"),
        (["."], 2, "is not a file"),
        (["notes.txt"], 1, "notes.txt"),
        (["shot.blend", "--frames", "9-1"], 2, "runs backwards"),
        (["shot.blend", "--format", "FFMPEG"], 2, "video"),
        (["shot.blend", "--resolution", "huge"], 2, "no resolution"),
        (["shot.blend", "--engine", "LUXCORE"], 1, "LUXCORE"),
        (["shot.blend", "--blender-scene", "Nope"], 2, "Nope"),
        (["shot.blend", "--blender", "./nothing"], 1, "nothing is not a program"),
        (["shot.blend", "--blender", "/bin/true"], 1, "/bin/true"),
        (["shot.blend", "--output", "notes.txt/frames"], 1, "can't write frames"),
        (["shot.blend", "--samples", "0"], 2, "--samples"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_can_not_work_is_refused_before_anything_is_made(
    shell: Shell, options: list[str], status: int, words: str
) -> None:
    (shell.folder / "notes.txt").write_text("no scene")
    before = sorted(shell.folder.rglob("*"))
    done = shell.run("render", *options, "--local")
    assert done.returncode == status, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(shell.folder.rglob("*")) == before


def test_a_scene_without_a_camera_is_refused(shell: Shell, real: RealBlender) -> None:
    real.make_scene(shell.folder / "blind.blend", "--no-camera")
    done = shell.run("render", "blind.blend", "--local")
    assert done.returncode == 1
    assert "no camera" in done.stderr
    assert not shell.state_dir.exists()
    assert not (shell.folder / "blind-frames").exists()


def test_a_scene_with_missing_files_is_refused_with_a_list_unless_allowed(
    shell: Shell, real: RealBlender
) -> None:
    from PIL import Image

    texture = shell.folder / "wood.png"
    Image.new("RGB", (4, 4)).save(texture)
    real.make_scene(shell.folder / "textured.blend", "--texture", str(texture))
    texture.unlink()
    refused = shell.run("upload", "textured.blend", "--json")
    assert refused.returncode == 1
    assert "wood.png" in json.loads(refused.stderr)["files"][0]
    assert not shell.state_dir.exists()
    allowed = shell.run("upload", "textured.blend", "--allow-missing", "--json")
    assert allowed.returncode == 0, allowed.stderr
    assert "wood.png is missing" in allowed.stderr
    assert json.loads(allowed.stdout)["scene"] == "textured"


def test_an_upload_is_listed_beforehand_and_sends_nothing_twice(shell: Shell) -> None:
    listed = shell.json("upload", "shot.blend", "--dry-run")
    assert [file["name"] for file in listed["files"]] == ["shot.blend"]
    assert not shell.state_dir.exists()
    first, second = shell.json("upload", "shot.blend"), shell.json("upload", "shot.blend")
    assert (first["sent_files"], second["sent_files"]) == (1, 0)
    assert first["version"] == second["version"]


def test_the_doctor_finds_this_machine_able(shell: Shell) -> None:
    said = shell.json("doctor")
    assert said["able"] is True
    subjects = {finding["subject"] for finding in said["findings"]}
    assert {"blender", "CYCLES", "disk", "farm", "state"} <= subjects
    assert not shell.state_dir.exists()


def test_without_a_blender_the_doctor_says_what_to_install_and_exits_1(shell: Shell) -> None:
    done = shell.run("doctor", "--blender", "./nothing")
    assert done.returncode == 1
    assert "FAIL blender" in done.stdout
    assert "hint: " in done.stdout
