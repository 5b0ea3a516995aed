"""A video has one picture for every frame of its range, or there is none.

Real pictures, a real storage and a real ffmpeg; the manager and Blender are stand-ins. With a
whole farm and real Blenders it is in ``tests/integration/test_video.py``.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import threading
import wave
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from command_place import Rig
from PIL import Image

from burst.protocol.messages import OutputFile
from burst.protocol.worker_messages import AskInputs, InputFrame, Inputs
from burst.storage.directory import DirectoryStorage
from burst.worker import encode as module
from burst.worker.commands import CommandFailed, Interrupted, run_commands
from burst.worker.encode import Encoder
from burst.worker.ffmpeg import find_ffmpeg

SIZE = (64, 64)


class Helper:
    """Stands for Blender: mixes silence, and converts by Pillow."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.sound = False
        self.fps = 24.0
        self.during: Callable[[], None] = lambda: None

    def load(self, *arguments: Any) -> None:
        self.asked.append("load")

    def assist(
        self, doing: str, answer: str, ask: Callable[[Path], Mapping[str, Any]], folder: Path
    ) -> dict[str, Any]:
        folder.mkdir()
        request = ask(folder)
        self.asked.append(request["do"])
        self.during()
        if request["do"] == "mixdown":
            return self._mix(request)
        if request["do"] == "layers":
            return {"names": ["ViewLayer"]}
        for source, target in request["pairs"]:
            assert Path(source).is_file()
            Image.new("RGB", SIZE, (9, 99, 9)).save(target)
        return {}

    def _mix(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if self.sound:
            with wave.open(request["target"], "wb") as file:
                file.setnchannels(2)
                file.setsampwidth(2)
                file.setframerate(48000)
                # As Blender does it: a little more than was asked for.
                frames = request["last"] - request["first"] + 1
                file.writeframes(bytes(4 * (frames * 2000 + 500)))
        return {"sound": self.sound, "fps": self.fps}


class Remote(DirectoryStorage):
    """As a bucket: nothing can be read in place."""

    def read_path(self, name: str) -> Path | None:
        return None


class Farm:
    """A job with published frames and a worker that encodes them."""

    def __init__(self, folder: Path, storage: type[DirectoryStorage] = DirectoryStorage) -> None:
        self.folder = folder
        self.storage = storage(folder / "storage")
        self.frames: list[InputFrame] = []
        self.asked: list[AskInputs] = []
        self.blender: Any = Helper()

    def publish(self, frame: int, size: tuple[int, int] = SIZE, suffix: str = ".png") -> Path:
        path = self.folder / f"frame{frame}{suffix}"
        Image.new("RGB", size, (frame * 20 % 256, 40, 80)).save(path)
        name = f"shot_{frame:04d}{suffix}"
        self.storage.put_file(path, f"renders/job/{name}")
        content = path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        file = OutputFile(name=name, size=len(content), sha256=sha256)
        self.frames.append(InputFrame(frame=frame, files=(file,)))
        return self.storage.root / "renders" / "job" / name

    def inputs(self, message: AskInputs) -> Inputs:
        self.asked.append(message)
        return Inputs(frames=tuple(sorted(self.frames, key=lambda one: one.frame)))

    def rig(self, **command: Any) -> Rig:
        default = {"kind": "encode", "name": "shot.mp4", "fps": 24, "frames": "1-4"}
        return Rig(self.folder, {**default, "sound": False, **command})

    def run(self, rig: Rig) -> tuple[Path, ...]:
        encoder = Encoder(self.storage, self.inputs, self.blender)
        return run_commands(rig.place, encoder.encode)

    def fails(self, rig: Rig) -> CommandFailed:
        with pytest.raises(CommandFailed) as caught:
            self.run(rig)
        return caught.value


@pytest.fixture
def farm(tmp_path: Path) -> Farm:
    made = Farm(tmp_path)
    for frame in (1, 2, 3, 4):
        made.publish(frame)
    return made


def probe(video: Path) -> str:
    """Return what ffmpeg says of a video while it decodes all of it."""
    told = [str(find_ffmpeg()), "-hide_banner", "-i", str(video), "-f", "null", "-"]
    return subprocess.run(told, capture_output=True, text=True, check=True).stderr


def colours(video: Path) -> list[tuple[int, ...]]:
    """Return the colour in the middle of each frame, decoded."""
    raw = subprocess.run(
        [
            *(str(find_ffmpeg()), "-v", "error", "-i", str(video)),
            *("-vf", "scale=1:1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"),
        ],
        capture_output=True,
        check=True,
    ).stdout
    return [tuple(raw[at : at + 3]) for at in range(0, len(raw), 3)]


@pytest.mark.parametrize("storage", [DirectoryStorage, Remote])
def test_every_frame_is_one_picture(tmp_path: Path, storage: type[DirectoryStorage]) -> None:
    farm = Farm(tmp_path, storage)
    for frame in (4, 3, 2, 1, 5):
        farm.publish(frame)
    rig = farm.rig()
    (video,) = farm.run(rig)
    reds = [colour[0] for colour in colours(video)]
    assert len(reds) == 4
    assert all(abs(red - 20 * frame) <= 3 for frame, red in enumerate(reds, 1))
    assert rig.lines == ["shot.mp4: 4 frames, without sound"]
    (asked,) = farm.asked
    assert (asked.job_id, asked.attempt_id, asked.token) == ("job", "a1", "token of a1")
    assert farm.blender.asked == []


@pytest.mark.parametrize(
    ("codec", "name", "said"),
    [
        ("h264", "a.mp4", r"h264 \(High\).*yuv420p\(tv, bt709, progressive\), 64x64.* 24 fps"),
        ("prores", "a.mov", r"prores \(HQ\).*yuv422p10le\(tv, bt709, progressive\), 64x64"),
        ("prores4444", "a.mov", r"prores \(4444\).*yuva444p1\dle\(tv, bt709, progressive\)"),
        ("av1", "a.mp4", r"av1 .*yuv420p10le\(tv, bt709(, progressive)?\), 64x64"),
    ],
)
def test_every_codec_is_what_it_says_and_tagged(
    farm: Farm, codec: str, name: str, said: str
) -> None:
    (video,) = farm.run(farm.rig(codec=codec, name=name))
    assert video.name == name
    assert re.search(said, probe(video)), probe(video)


def test_one_task_makes_several_videos(farm: Farm) -> None:
    farm.blender.sound = True
    both = [{"kind": "encode", "name": f"{name}.mp4", "fps": 24, "frames": "1-4"} for name in "ab"]
    rig = Rig(farm.folder, *both)
    assert [path.name for path in farm.run(rig)] == ["a.mp4", "b.mp4"]
    assert [*rig.place.own.glob("encode-*")] == []


def test_a_missing_frame_is_an_error_that_names_it(farm: Farm) -> None:
    error = farm.fails(farm.rig(frames="1-3,5-9,12"))
    assert str(error) == "encode: frames 5-9,12 are missing (6 of 9)"
    assert error.gives_up == "task"


def test_a_gap_is_shown_by_the_frame_before_it_if_that_is_allowed(farm: Farm) -> None:
    del farm.frames[1:3]
    rig = farm.rig(allow_gaps=True)
    (video,) = farm.run(rig)
    assert [round(colour[0] / 20) for colour in colours(video)] == [1, 1, 1, 4]
    told = "frames 2-3 are missing (2 of 4); the one before is shown instead"
    assert rig.warnings == rig.place.warnings == [told]


def test_a_gap_at_the_beginning_is_shown_by_the_first_frame_there_is(farm: Farm) -> None:
    del farm.frames[0]
    rig = farm.rig(allow_gaps=True)
    (video,) = farm.run(rig)
    assert [round(colour[0] / 20) for colour in colours(video)] == [2, 2, 3, 4]
    assert rig.warnings[0].startswith("frame 1 is missing (1 of 4); ")
    assert rig.warnings[0].endswith("and frame 2 before there is one")


def test_a_video_of_gaps_alone_is_none(farm: Farm) -> None:
    farm.frames.clear()
    error = farm.fails(farm.rig(allow_gaps=True))
    assert str(error) == "encode: there is not one frame to show"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "its content has changed"),
        (lambda path: path.unlink(), "is gone from the storage"),
    ],
)
def test_a_damaged_frame_is_never_shown(
    farm: Farm, damage: Callable[[Path], Any], reason: str
) -> None:
    damage(farm.storage.root / "renders/job/shot_0003.png")
    error = farm.fails(farm.rig())
    assert str(error).startswith("encode: frame 3 (shot_0003.png) is ")
    assert reason in str(error)
    # Another worker may read it well.
    assert error.gives_up is None
    farm.folder = farm.folder / "again"
    rig = farm.rig(allow_gaps=True)
    (video,) = farm.run(rig)
    assert [round(colour[0] / 20) for colour in colours(video)] == [1, 2, 2, 4]
    assert reason in rig.warnings[0]


def test_a_frame_that_was_published_cut_is_found(farm: Farm) -> None:
    path = farm.storage.root / "renders/job/shot_0002.png"
    path.write_bytes(path.read_bytes()[:-20])
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    cut = farm.frames[1].files[0].model_copy(update={"sha256": sha256})
    farm.frames[1] = farm.frames[1].model_copy(update={"files": (cut,)})
    assert "frame 2 (shot_0002.png) is cut" in str(farm.fails(farm.rig()))


def test_frames_of_other_size_or_kind_are_an_error(farm: Farm) -> None:
    farm.publish(5, (32, 64))
    error = farm.fails(farm.rig(frames="1-5"))
    assert str(error) == "encode: frame 5 is 32 × 64 pixels, frame 1 is 64 × 64"
    farm.folder = farm.folder / "again"
    farm.folder.mkdir()
    farm.publish(6, suffix=".jpg")
    error = farm.fails(farm.rig(frames="1-4,6"))
    assert str(error) == "encode: frame 6 is a .jpg, frame 1 a .png"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ({"frames": "4-1"}, "runs backwards"),
        ({"frames": "one"}, "is not a frame range"),
    ],
)
def test_what_makes_no_sense_is_refused(farm: Farm, command: dict[str, Any], reason: str) -> None:
    error = farm.fails(farm.rig(**command))
    assert reason in str(error)
    assert error.gives_up == "task"


def test_a_video_with_another_number_of_frames_is_none(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shorter(*arguments: Any) -> list[str]:
        told = known(*arguments)
        return [*told[:-1], "-frames:v", "3", told[-1]]

    known = module.encode_arguments
    monkeypatch.setattr(module, "encode_arguments", shorter)
    rig = farm.rig()
    assert str(farm.fails(rig)) == "encode: the video has 3 frames, the range has 4"


def test_an_ffmpeg_that_fails_says_why(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "encode_arguments", lambda *rest: ["-i", "/none", "-y", "/none/x"])
    error = farm.fails(farm.rig())
    assert re.match(r"encode: ffmpeg left with exit status \d+", str(error))
    assert any("No such file" in line for line in error.log_tail)


def test_an_ffmpeg_that_hangs_is_ended(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    # Stopped by itself, as one that waits for its own threads for ever.
    script = farm.folder / "ffmpeg"
    script.write_text("#!/bin/sh\ncase $* in *-encoders*) echo libx264;; *) kill -STOP $$;; esac\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{farm.folder}:{os.environ['PATH']}")
    monkeypatch.setattr(module, "SILENCE_SECONDS", 0.3)
    assert str(farm.fails(farm.rig())) == "encode: ffmpeg hung: it has said nothing for too long"


def test_a_full_disk_is_told_from_other_failures(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def to_nowhere(*arguments: Any) -> list[str]:
        return [*known(*arguments)[:-1], "-f", "mpegts", "/dev/full"]

    known = module.encode_arguments
    monkeypatch.setattr(module, "encode_arguments", to_nowhere)
    with pytest.raises(OSError, match="No space left on device"):
        farm.run(farm.rig())


def test_an_encode_ends_with_the_attempt(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(*arguments: Any) -> list[str]:
        told = ["-nostats", "-progress", "pipe:1", "-re", "-f", "lavfi", "-i", "testsrc"]
        return [*told, "-f", "null", "-"]

    rig = farm.rig()
    monkeypatch.setattr(module, "encode_arguments", endless)
    rig.told = Ending(rig.held.over)
    with pytest.raises(Interrupted):
        farm.run(rig)
    assert rig.told[-1][1] == "encode: encode"


class Ending(list[tuple[float | None, str]]):
    """Ends the attempt as soon as ffmpeg has said how far it is."""

    def __init__(self, over: threading.Event) -> None:
        super().__init__()
        self._over = over

    def append(self, told: tuple[float | None, str]) -> None:
        super().append(told)
        if told[1] == "encode: encode":
            self._over.set()


# ── With Blender's help ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("codec", "kind"), [("h264", "aac"), ("prores", "pcm_s16le")])
def test_sound_is_exactly_as_long_as_the_range(farm: Farm, codec: str, kind: str) -> None:
    farm.blender.sound = True
    rig = farm.rig(sound=True, codec=codec, name="a.mov", frames="2-4")
    (video,) = farm.run(rig)
    said = probe(video)
    assert f"Audio: {kind}" in said
    assert re.search(r"Duration: 00:00:00\.1[23],", said), said
    assert rig.lines[-1] == "a.mov: 3 frames, with sound"
    assert farm.blender.asked == ["load", "mixdown"]


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ({"frames": "1,3-4"}, "its frames, 1,3-4, do not follow each other"),
        ({"frames": "1-3x2"}, "its frames, 1-3x2, do not follow each other"),
        ({"fps": 12}, "it shows 12 frames a second, the scene has 24"),
    ],
)
def test_sound_that_would_not_fit_is_left_out_and_that_is_said(
    farm: Farm, command: dict[str, Any], reason: str
) -> None:
    farm.blender.sound = True
    rig = farm.rig(sound=True, **command)
    (video,) = farm.run(rig)
    assert "Audio" not in probe(video)
    assert rig.place.warnings == [f"the video has no sound: {reason}"]


def test_a_scene_without_sound_makes_a_video_without(farm: Farm) -> None:
    rig = farm.rig(sound=True)
    (video,) = farm.run(rig)
    assert "Audio" not in probe(video)
    assert rig.warnings == []


def test_frames_with_scene_light_are_converted_by_blender(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SCENE_LIGHT", {".png"})
    monkeypatch.setattr(module, "_AT_ONCE", 3)
    (video,) = farm.run(farm.rig(name="a.mp4"))
    assert farm.blender.asked == ["load", "convert", "convert"]
    assert [colour[1] // 10 for colour in colours(video)] == [9] * 4


def test_without_a_scene_nothing_shows_scene_light(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SCENE_LIGHT", {".png"})
    rig = farm.rig()
    rig.place.scene = None
    reason = "encode: .png frames are shown by the scene's view transform, and the job has no scene"
    assert str(farm.fails(rig)) == reason


def test_what_blender_was_to_write_and_is_no_file_is_not_followed(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def linked(path: Path, target: Path, layers: Any) -> None:
        target.write_bytes(b"")

    class Sly(Helper):
        def assist(self, doing: Any, answer: Any, ask: Any, folder: Path) -> dict[str, Any]:
            folder.mkdir()
            ask(folder)
            (folder / "0.png").symlink_to("/etc/hostname")
            return {}

    monkeypatch.setattr(module, "_SCENE_LIGHT", {".png"})
    monkeypatch.setattr(module, "_prepare", linked)
    farm.blender = Sly()
    assert str(farm.fails(farm.rig())) == "encode: Blender did not write 0.png"


def test_what_is_gone_from_a_bucket_or_changed_in_it_is_named(tmp_path: Path) -> None:
    farm = Farm(tmp_path, Remote)
    paths = {frame: farm.publish(frame) for frame in (1, 2, 3, 4)}
    paths[2].unlink()
    paths[3].write_bytes(paths[3].read_bytes()[::-1])
    error = farm.fails(farm.rig())
    assert str(error) == (
        "encode: frame 2 (shot_0002.png) is gone from the storage; "
        "frame 3 (shot_0003.png) is not what was published: its content has changed"
    )
    # It may be so for this worker alone.
    assert error.gives_up is None


def test_a_canceled_task_brings_no_more_pictures(tmp_path: Path) -> None:
    farm = Farm(tmp_path, Remote)
    for frame in (1, 2, 3, 4):
        farm.publish(frame)
    rig = farm.rig()
    real = farm.storage.fetch_all

    def cancel_and_fetch(*arguments: Any) -> None:
        rig.place.held.over.set()
        real(*arguments)

    farm.storage.fetch_all = cancel_and_fetch  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        farm.run(rig)
