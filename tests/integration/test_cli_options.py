"""Options of ``burst render`` that change the scene or the job: real Blender, manager, workers.

What they may look like is in tests/unit/operations; what Blender makes of each property in
test_overrides.py; what is in a video in test_video.py.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageStat

from tests.fakes.blenders import RealBlender, real_blender
from tests.integration.test_cli_farm import Shell

pytestmark = pytest.mark.blender


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> RealBlender:
    return real_blender("binary", tmp_path_factory.getbasetemp() / "facts")


@pytest.fixture(scope="module")
def scenes(real: RealBlender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    real.make_scene(folder / "shot.blend")
    real.make_scene(folder / "dust.blend", "--particles")
    real.make_scene(folder / "film.blend", "--format", "FFMPEG", "--output", "//out/film.mp4")
    return folder


@pytest.fixture
def shell(tmp_path: Path, scenes: Path) -> Iterator[Shell]:
    for scene in scenes.glob("*.blend"):
        shutil.copy(scene, tmp_path)
    started = Shell(tmp_path)
    # What was found out about Blender is the same for every test.
    started.environment["XDG_CACHE_HOME"] = str(scenes / "cache")
    started.environment["BURST_EXIT_WHEN_IDLE_SECONDS"] = "2"
    yield started
    started.stop()


def brightness(path: Path) -> float:
    with Image.open(path) as image:
        return ImageStat.Stat(image.convert("L")).mean[0]


@pytest.mark.parametrize("frames", ["1-3", "2"])
def test_a_simulation_without_a_bake_is_refused_by_name_before_anything_is_made(
    shell: Shell, frames: str
) -> None:
    done = shell.run("render", "dust.blend", "--local", "--frames", frames)
    assert done.returncode == 1
    assert "the simulation of Particles on 'Cube' is not baked" in done.stderr
    assert "bake it" in done.stderr
    assert "--force" in done.stderr
    assert not shell.state_dir.exists()
    assert not (shell.folder / "dust-frames").exists()


def test_by_force_it_is_rendered_as_one_task(shell: Shell) -> None:
    done = shell.run("render", "dust.blend", "--local", "--frames", "1-3", "--force")
    assert done.returncode == 0, done.stderr
    assert "Particles on 'Cube'" in done.stderr
    assert len(list((shell.folder / "dust-frames").iterdir())) == 3
    (task,) = shell.json("jobs", "tasks", "last")
    assert (task["frames"], task["status"]) == ("1-3", "completed")
    assert shell.json("jobs", "show", "last")["settings"]["unbaked"] == "render"


def test_any_property_can_be_set_and_is_recorded_with_the_job(shell: Shell) -> None:
    def render(folder: str, *options: str) -> Path:
        what = ("shot.blend", "--local", "--frames", "3", "--output", folder)
        shell.json("render", *what, *options)
        return shell.folder / folder / "shot_0003.png"

    plain = render("plain")
    changes = ("--set", "scene.view_settings.exposure=-8", "--set", "scene.cycles.max_bounces=1")
    dark = render("dark", *changes, "--keep-metadata")
    assert brightness(dark) < brightness(plain) / 2
    settings = shell.json("jobs", "show", "last")["settings"]
    assert settings["properties"] == {
        "scene.view_settings.exposure": -8,
        "scene.cycles.max_bounces": 1,
    }
    assert settings["keep_metadata"] is True
    shown = shell.run("jobs", "show", "last").stdout
    assert "changes:       keep metadata\n" in shown
    assert "               scene.cycles.max_bounces = 1\n" in shown


def test_a_property_that_blender_has_not_fails_the_job_at_once_and_is_named(
    shell: Shell,
) -> None:
    what = ("shot.blend", "--local", "--frames", "1-3", "--set", "scene.cycles.max_bonces=1")
    done = shell.run("render", *what)
    assert done.returncode == 3
    assert "max_bonces" in done.stderr
    assert shell.json("jobs", "show", "last")["retries"] <= 3


def test_a_video_is_made_of_the_frames_and_brought_with_them(shell: Shell) -> None:
    what = ("shot.blend", "--local", "--frames", "1-4", "--video", "h264")
    done = shell.run("render", *what, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["results"] == [{"task": "video", "files": ["shot_0001-0004.mp4"]}]
    assert said["frames_published"] == said["frame_count"] == 4
    assert "video: shot_0001-0004.mp4 done" in done.stderr
    video = shell.folder / "shot-frames" / "shot_0001-0004.mp4"
    assert video.stat().st_size > 0
    assert shell.json("download", "last", "-o", "again")["results"] == said["results"]
    assert (shell.folder / "again" / video.name).read_bytes() == video.read_bytes()


def test_a_scene_set_to_a_movie_gets_frames_and_a_video(shell: Shell) -> None:
    done = shell.run("render", "film.blend", "--local", "--frames", "1-2")
    assert "rendered as PNG" in done.stderr
    names = ["film-0001-0002.mp4", "film-0001.png", "film-0002.png"]
    assert sorted(path.name for path in (shell.folder / "film-frames").iterdir()) == names
    (task,) = shell.json("jobs", "show", "last")["commands"]
    assert (task["name"], task["after"]) == ("video", ["frames"])
    assert task["commands"][0]["codec"] == "h264"
    shell.json("submit", "film.blend", "--local", "--frames", "1-2", "--video", "none")
    assert shell.json("jobs", "show", "last")["commands"] == []


def test_how_a_job_may_fail_and_what_it_needs_is_recorded(shell: Shell) -> None:
    choices = ("--allow-missing", "--fail-fast", "--memory", "64M", "--trust-scripts")
    shell.json("submit", "shot.blend", "--local", "--frames", "1", *choices, "--camera", "Camera")
    job = shell.json("jobs", "show", "last")
    assert job["fail_fast"] is True
    assert job["requirements"]["memory_bytes"] == 64 * 2**20
    assert job["settings"]["missing"] == "warn"
    assert job["settings"]["trust_scripts"] is True
    assert job["settings"]["camera"] == "Camera"


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--set", "scene.cycles.samples"], 2, "has no ="),
        (["--set", "scene.render.engine=CYCLES"], 2, "--engine"),
        (["--memory", "lots"], 2, "no amount of memory"),
        (["--memory", "900T"], 1, "asks for"),
        (["--device", "quantum"], 2, "--device"),
        (["--device", "metal"], 1, "metal"),
        (["--denoiser", "optix"], 1, "--denoiser oidn"),
        (["--video", "gif"], 2, "--video"),
        (["--force", "--chunk", "2"], 2, "--chunk"),
        (["--fail-fast", "--keep-going", "--format", "FFMPEG"], 2, "--video"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_can_not_work_is_refused_before_anything_is_made(
    shell: Shell, options: list[str], status: int, words: str
) -> None:
    before = sorted(shell.folder.rglob("*"))
    done = shell.run("render", "shot.blend", "--local", *options)
    assert done.returncode == status, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(shell.folder.rglob("*")) == before


def test_a_denoiser_that_debians_blender_lacks_is_refused_with_the_way_around(
    shell: Shell, real: RealBlender
) -> None:
    if real.facts.features.get("oidn") == "":
        pytest.skip("this Blender has OpenImageDenoise")
    done = shell.run("render", "shot.blend", "--local", "--denoiser", "oidn")
    assert done.returncode == 1
    assert "--denoiser off" in done.stderr


def test_a_scene_rendered_by_a_newer_blender_is_noted_and_every_blender_is_shown(
    shell: Shell, real: RealBlender, tmp_path: Path
) -> None:
    newer = real_blender("bpy", tmp_path / "facts")
    only = ("--blender", str(newer.program))
    done = shell.run("submit", "shot.blend", "--local", "--frames", "1", *only)
    assert done.returncode == 0, done.stderr
    assert f"rendered by {newer.facts.label}: pictures may differ" in done.stderr
    both = f"{real.program}:{newer.program}"
    findings = shell.json("doctor", "--blender", both)["findings"]
    assert {one["blender"] for one in findings if one["subject"] == "CYCLES"} == {
        real.facts.label,
        newer.facts.label,
    }
    assert [one["text"] for one in findings if one["subject"] == "ffmpeg"] != [""]
