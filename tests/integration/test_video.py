"""Videos by a whole farm with real Blenders and a real ffmpeg: every frame, once, with its sound.

ffprobe counts the frames, not burst. Left out: what ffmpeg is told and each way in which a
single frame can be wrong (``tests/unit/worker/test_encode.py``).
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import struct
import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.blenders import RealBlender, real_blender
from tests.fakes.farm import Farm, Program, poll, running_farm

pytestmark = pytest.mark.blender

FPS = 24
VIDEOS = (
    ("prores", "prores", "a.mov"),
    ("prores4444", "prores", "b.mov"),
    ("av1", "av1", "c.mp4"),
)
SIZE = ("--width", "64", "--height", "64", "--samples", "1")

_CHANGE = """
import bpy, sys
blend, script = sys.argv[-2:]
bpy.ops.wm.open_mainfile(filepath=blend, use_scripts=False)
exec(script)
bpy.ops.wm.save_mainfile()
"""
_ADD_SOUND = """
editor = bpy.context.scene.sequence_editor_create()
strips = editor.strips if hasattr(editor, "strips") else editor.sequences
strips.new_sound("Tone", {tone!r}, 1, 1)
"""
_ADD_LAYER = """
scene = bpy.context.scene
scene.view_layers[0].name = "Zeta"
empty = scene.view_layers.new("Alpha")
scene.collection.children.link(bpy.data.collections.new("Shown"))
for thing in [o for o in scene.collection.objects if o.type == "MESH"]:
    bpy.data.collections["Shown"].objects.link(thing)
    scene.collection.objects.unlink(thing)
empty.layer_collection.children["Shown"].exclude = True
"""


@pytest.fixture(scope="module", params=["binary", "bpy"])
def blender(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> RealBlender:
    return real_blender(request.param, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> RealBlender:
    return real_blender("binary", tmp_path_factory.mktemp("cache"))


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    with running_farm(tmp_path, BURST_WORKERS="1") as made:
        yield made


@pytest.fixture(autouse=True)
def _ffprobe() -> None:
    if shutil.which("ffprobe") is None:
        pytest.skip("no ffprobe in PATH: install ffmpeg")


def change(blender: RealBlender, blend: Path, script: str) -> None:
    """Run a script on a .blend and save it."""
    program = str(blender.program)
    if blender.facts.kind == "bpy":
        command = [program, "-c", _CHANGE, str(blend), script]
    else:
        command = [program, "-b", "--factory-startup", "--python-exit-code", "1"]
        command += ["--python-expr", _CHANGE, "--", str(blend), script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def write_tone(path: Path, seconds: float) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48000)
        count = round(seconds * 48000)
        samples = (int(9000 * math.sin(at * 440 * 2 * math.pi / 48000)) for at in range(count))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return path


def render(farm: Farm, blender: RealBlender, blend: Path, frames: str, *more: str) -> Program:
    words = ["render", str(blend), "--local", "--frames", frames, "--json", *more]
    output = ("--output", str(farm.root / "frames"))
    return farm.start(*words, *output, "--blender", str(blender.program))


def finished(program: Program, status: int = 0) -> dict[str, Any]:
    assert program.wait(180) == status, program.words()
    return program.result() if status == 0 else {}


def probe(video: Path) -> dict[str, dict[str, Any]]:
    """Return what ffprobe says of each kind of stream; it decodes and counts all frames."""
    words = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json"]
    done = subprocess.run([*words, str(video)], capture_output=True, text=True, check=True)
    return {stream["codec_type"]: stream for stream in json.loads(done.stdout)["streams"]}


def frame_count(video: Path) -> int:
    return int(probe(video)["video"]["nb_read_frames"])


def mean_colours(video: Path) -> list[tuple[int, ...]]:
    words = ["ffmpeg", "-v", "error", "-i", str(video), "-vf", "scale=1:1:flags=area"]
    raw = subprocess.run(
        [*words, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True
    ).stdout
    return [tuple(raw[at : at + 3]) for at in range(0, len(raw), 3)]


def results(farm: Farm, job_id: str) -> list[dict[str, Any]]:
    """Return the published results of command tasks."""
    query = "SELECT * FROM frames WHERE job_id = ? AND status = 'published' AND frame > 1048574"
    return farm.rows(query, job_id)


def test_a_scene_set_to_a_movie_becomes_one_with_every_frame(
    farm: Farm, blender: RealBlender, tmp_path: Path
) -> None:
    options = ("--format", "FFMPEG", "--output", "//render/shot_")
    blend = blender.make_scene(tmp_path / "shot.blend", *SIZE, *options)
    done = finished(render(farm, blender, blend, "1-6"))
    assert done["results"] == [{"task": "video", "files": ["shot_0001-0006.mp4"]}]
    stream = probe(tmp_path / "frames" / "shot_0001-0006.mp4")["video"]
    assert (stream["codec_name"], stream["nb_read_frames"]) == ("h264", "6")
    assert (stream["r_frame_rate"], stream["color_space"]) == ("24/1", "bt709")
    assert len({*mean_colours(tmp_path / "frames" / "shot_0001-0006.mp4")}) > 1


def test_a_frame_that_took_three_renders_is_in_the_video_once(
    farm: Farm, binary: RealBlender, tmp_path: Path
) -> None:
    blend = binary.make_scene(tmp_path / "shot.blend", *SIZE, "--format", "FFMPEG")
    farm.arm("worker.before-render", "STOP")
    program = render(farm, binary, blend, "1-6", "--chunk", "6", "--retries", "5")
    crashed = []
    for number in (1, 2):
        fact = poll(lambda: farm.fired("worker.before-render"), program.words, 90)
        crashed.append(Path(fact["detail"]).name)
        (blender_pid,) = poll(lambda pid=fact["pid"]: farm.blenders(pid), "no Blender")
        os.kill(blender_pid, signal.SIGSEGV)
        if number == 1:
            farm.arm("worker.before-render", "STOP")
        os.kill(fact["pid"], signal.SIGCONT)
    done = finished(program)
    assert crashed == ["1", "1"]
    assert done["retries"] == 2
    (video,) = done["results"][0]["files"]
    assert frame_count(tmp_path / "frames" / video) == 6


@pytest.mark.parametrize(("codec", "name"), [("h264", "aac"), ("prores", "pcm_s16le")])
def test_the_sound_of_the_scene_is_as_long_as_the_range(
    farm: Farm, blender: RealBlender, tmp_path: Path, codec: str, name: str
) -> None:
    blend = blender.make_scene(tmp_path / "shot.blend", *SIZE)
    change(blender, blend, _ADD_SOUND.format(tone=str(write_tone(tmp_path / "tone.wav", 2))))
    done = finished(render(farm, blender, blend, "3-14", "--video", codec))
    (video,) = done["results"][0]["files"]
    streams = probe(tmp_path / "frames" / video)
    assert streams["video"]["nb_read_frames"] == "12"
    assert streams["audio"]["codec_name"] == name
    assert abs(float(streams["audio"]["duration"]) - 12 / FPS) < 0.025
    assert loudness(tmp_path / "frames" / video) > -40


def loudness(video: Path) -> float:
    """Return the mean volume in decibels; silence is far below what is heard."""
    words = ["ffmpeg", "-hide_banner", "-i", str(video), "-af", "volumedetect", "-f", "null", "-"]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stderr
    found = re.search(r"mean_volume: (-?[\d.]+) dB", told)
    assert found, told
    return float(found[1])


def test_one_job_has_videos_of_every_codec(farm: Farm, binary: RealBlender, tmp_path: Path) -> None:
    blend = binary.make_scene(tmp_path / "shot.blend", *SIZE)
    job = finished(render(farm, binary, blend, "1-5"))["job"]
    for codec, kind, name in VIDEOS:
        words = ("--codec", codec, "--fps", "23.976", "--output", str(tmp_path / "videos"))
        made = finished(farm.start("video", job, "--json", *words, "--name", name))
        stream = probe(Path(made["path"]))["video"]
        assert (stream["codec_name"], stream["nb_read_frames"]) == (kind, "5")
        assert stream["r_frame_rate"] == "24000/1001"
        assert made["warnings"] == []
    assert len(results(farm, job)) == 3


@pytest.mark.parametrize("kind", ["OPEN_EXR", "OPEN_EXR_MULTILAYER"])
def test_frames_with_scene_light_look_as_the_scene_shows_them(
    farm: Farm, blender: RealBlender, tmp_path: Path, kind: str
) -> None:
    blend = blender.make_scene(tmp_path / "shot.blend", *SIZE)
    # The image is not the layer that comes first by the alphabet.
    change(blender, blend, _ADD_LAYER)
    shown = {}
    for file_format in ("PNG", kind):
        more = ("--format", file_format, "--video", "h264", "--name", file_format)
        done = finished(render(farm, blender, blend, "1,4-5", *more))
        (video,) = done["results"][0]["files"]
        shown[file_format] = mean_colours(tmp_path / "frames" / video)
        shutil.rmtree(tmp_path / "frames")
    assert len(shown[kind]) == 3
    for one, other in zip(shown["PNG"], shown[kind], strict=True):
        assert max(one) > 20
        assert max(abs(a - b) for a, b in zip(one, other, strict=True)) <= 2


def test_a_gap_is_refused_and_then_shown_by_the_frame_before_it(
    farm: Farm, binary: RealBlender, tmp_path: Path
) -> None:
    blend = binary.make_scene(tmp_path / "shot.blend", *SIZE)
    job = finished(render(farm, binary, blend, "1-5"))["job"]
    (lost,) = (farm.storage / "renders" / job).glob("*3.png")
    lost.unlink()
    refused = farm.start("video", job, "--json")
    assert refused.wait(120) == 3
    assert f"frame 3 ({lost.name}) is gone from the storage" in refused.words()
    assert results(farm, job) == []
    made = finished(farm.start("video", job, "--allow-gaps", "--json", "--output", str(tmp_path)))
    assert frame_count(Path(made["path"])) == 5
    assert made["warnings"] == [
        f"frame 3 ({lost.name}) is gone from the storage; the one before is shown instead"
    ]


def test_a_worker_that_is_killed_while_it_encodes_leaves_one_video(
    farm: Farm, binary: RealBlender, tmp_path: Path
) -> None:
    real, started = shutil.which("ffmpeg"), tmp_path / "started"
    slow = tmp_path / "bin" / "ffmpeg"
    slow.parent.mkdir()
    slow.write_text(
        f'#!/bin/sh\ncase "$*" in *-i*) [ -e {started} ] || {{ echo $$ > {started}.new;'
        f' mv {started}.new {started}; sleep 600; }} ;; esac\nexec {real} "$@"\n'
    )
    slow.chmod(0o755)
    path = f"{slow.parent}{os.pathsep}{os.environ['PATH']}"
    blend = binary.make_scene(tmp_path / "shot.blend", *SIZE)
    words = ["render", str(blend), "--local", "--frames", "1-4", "--json", "--video", "h264"]
    output = ["--output", str(tmp_path / "frames"), "--blender", str(binary.program)]
    # In its cage this ffmpeg could not leave word that it has started.
    program = farm.start(*words, *output, PATH=path, BURST_CAGE="off")
    poll(started.exists, program.words, 120)
    ((name, pid),) = farm.workers().items()
    farm.kill_worker(name, pid)
    done = finished(program)
    assert done["interruptions"] == 1
    (video,) = done["results"][0]["files"]
    assert frame_count(tmp_path / "frames" / video) == 4
    (result,) = results(farm, done["job"])
    attempts = farm.rows("SELECT status FROM attempts WHERE task_index = 4 ORDER BY started_at")
    assert [row["status"] for row in attempts] == ["lost", "completed"]
    assert result["attempt_id"]
    assert not Path(f"/proc/{started.read_text().strip()}").exists()
    farm.wait_gone()
