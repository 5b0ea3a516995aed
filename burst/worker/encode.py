"""The encode command: a video of the job's published frames, with the scene's sound.

Every frame of the range is one picture of it: what is missing or damaged is an error that
names the frames, or is shown by the one before it if the job allows gaps. When it is made, it
is decoded and its frames are counted. `burst.worker.ffmpeg` knows what ffmpeg is told,
`burst.worker.pictures` where the pictures come from.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from burst.domain.commands import Encode
from burst.domain.frames import FrameRange
from burst.errors import UsageError
from burst.protocol.worker_messages import AskInputs, Inputs
from burst.storage.storage import Storage
from burst.worker.blenders import Blenders
from burst.worker.commands import CommandFailed, Place, judge
from burst.worker.ffmpeg import (
    Film,
    count_arguments,
    encode_arguments,
    exact_rate,
    ffmpeg_version,
    find_encoder,
    find_ffmpeg,
)
from burst.worker.layers import extract_layer, main_layer
from burst.worker.pictures import Pictures, bring_pictures
from burst.worker.program import Allowance, run_program
from burst.worker.trust import Cage

__all__ = ["Encoder", "ffmpeg_version"]

SILENCE_SECONDS = 600.0
"""ffmpeg says how far it is twice a second, unless it hangs: SVT-AV1 does when a video can't be
begun, for ever."""

_SCENE_LIGHT = frozenset({".exr", ".hdr", ".dpx", ".cin"})
"""Images with light as the scene has it: the scene's view transform makes them visible."""
_AT_ONCE = 8
"""Images that Blender converts at once: few, so that progress is heard of."""
_FRAMES = re.compile(r"frame=\s*(\d+)$")
_FIGURE = re.compile(r"[a-z0-9_]+=\s*\S*$")
"""A line of ffmpeg's figures."""
_FULL = "No space left on device"


@dataclass(frozen=True, slots=True)
class _Job:
    """One video to make."""

    command: Encode
    place: Place
    frames: FrameRange
    program: Path
    readable: tuple[Path, ...] = ()
    """Folders of the pictures."""


class Encoder:
    """Makes videos for one worker; for one thread."""

    def __init__(
        self,
        storage: Storage,
        ask_inputs: Callable[[AskInputs], Inputs],
        blender: Blenders,
        cage: Cage | None = None,
    ) -> None:
        """Take frames from ``storage``, as ``ask_inputs`` names them; ``blender`` helps.

        In ``cage`` runs ffmpeg: what it reads was made by somebody's scene.
        """
        self._storage = storage
        self._ask_inputs = ask_inputs
        self._blender = blender
        self._cage = cage

    def encode(self, command: Encode, place: Place) -> None:
        """Make the video in the task's output folder.

        Raises:
            CommandFailed: a frame is missing or damaged, ffmpeg failed, or the video does not
                have as many frames as the range.
            ToolMissing: there is no ffmpeg that can make it.
            BlenderFailed: Blender could not mix the sound or convert the frames.
            StorageError: the storage can't be read.
            OSError: the disk can't be written.
            Interrupted: the attempt is over.
        """
        try:
            frames = FrameRange.parse(command.frames)
        except UsageError as error:
            raise CommandFailed(f"encode: {error}", gives_up="task") from error
        # A task may make several videos.
        own = replace(place, own=Path(tempfile.mkdtemp(prefix="encode-", dir=place.own)))
        try:
            self._encode(_Job(command, own, frames, find_ffmpeg()))
        finally:
            place.peak_memory_bytes = own.peak_memory_bytes
            shutil.rmtree(own.own, ignore_errors=True)

    def _encode(self, job: _Job) -> None:
        command, place, frames = job.command, job.place, job.frames
        assignment = place.held.assignment
        asked = AskInputs(
            job_id=assignment.job_id, attempt_id=assignment.attempt_id, token=assignment.token
        )
        inputs = self._ask_inputs(asked).frames
        pictures = bring_pictures(command, frames, inputs, self._storage, place)
        if pictures.suffix in _SCENE_LIGHT:
            pictures = self._convert(job, pictures)
        job = replace(job, readable=tuple({path.parent for path in pictures.paths}))
        film = Film(
            pattern=_link(pictures, place.own / "pictures"),
            count=len(frames),
            width=pictures.width,
            height=pictures.height,
            rate=exact_rate(command.fps),
            sound=self._mix_sound(job) if command.sound else None,
        )
        video = place.output / command.name
        video.parent.mkdir(parents=True, exist_ok=True)
        self._make(job, film, video)
        counted = self._count(job, film, video)
        if counted != len(frames):
            raise CommandFailed(
                f"encode: the video has {counted} frames, the range has {len(frames)}"
            )
        heard = "with sound" if film.sound else "without sound"
        place.talk.say("info", f"{command.name}: {counted} frames, {heard}")

    def _make(self, job: _Job, film: Film, video: Path) -> None:
        codec, place = job.command.codec, job.place
        encoder = find_encoder(job.program, codec, film.width, film.height)
        arguments = encode_arguments(film, codec, encoder, video, place.threads)
        self._run(job, arguments, lambda n: place.talk.progress(20 + 70 * n / film.count, "encode"))

    def _count(self, job: _Job, film: Film, video: Path) -> int:
        seen = [0]

        def count(number: int) -> None:
            seen.append(number)
            job.place.talk.progress(90 + 10 * number / film.count, "check")

        self._run(job, count_arguments(video), count)
        return seen[-1]

    def _run(self, job: _Job, arguments: Sequence[str], on_frame: Callable[[int], None]) -> None:
        place, full = job.place, [False]

        def listen(text: str) -> None:
            if match := _FRAMES.match(text):
                on_frame(int(match[1]))
            elif not _FIGURE.match(text):
                full[0] = full[0] or _FULL in text
                place.talk.hear(text)

        command = [str(job.program), *arguments]
        if self._cage:
            writable = (place.own, place.output)
            command = self._cage.program_line(command, job.readable, writable)
        ended = run_program(
            command,
            # SVT-AV1 tells its life's story otherwise.
            env=place.environment() | {"SVT_LOG": "1"},
            folder=place.own,
            on_line=listen,
            stop=place.held.over,
            allowance=Allowance(None, place.memory_limit_bytes, SILENCE_SECONDS),
        )
        if full[0]:
            place.check()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place.output))
        judge(job.command, "ffmpeg", ended, place)

    # ── What Blender helps with ──────────────────────────────────────────────────────

    def _load(self, place: Place, reason: str) -> None:
        assignment = place.held.assignment
        if place.scene is None:
            raise CommandFailed(f"encode: {reason}, and the job has no scene", gives_up="task")
        place.talk.progress(None, "loading the scene")
        self._blender.load(
            place.scene.blend,
            assignment.settings,
            place.scene.remap,
            assignment.requirements,
            lambda: not place.held.over.is_set(),
        )

    def _mix_sound(self, job: _Job) -> Path | None:
        """Return the sound of the frames, if there is any to be heard with them."""
        place, frames = job.place, job.frames
        if place.scene is None:
            return None
        self._load(place, "the sound is in the scene")
        first, last = frames.frame_at(0), frames.frame_at(len(frames) - 1)
        mixed = place.own / "sound"

        def ask(room: Path) -> dict[str, object]:
            return {"do": "mixdown", "target": str(room / "mix.wav"), "first": first, "last": last}

        body = self._blender.assist("mixing the scene's sound", "mixed", ask, mixed)
        place.check()
        if not body["sound"]:
            return None
        reason = _out_of_time(frames, float(body["fps"]), job.command.fps)
        if reason:
            place.warn(f"the video has no sound: {reason}")
            return None
        return _ordinary(mixed / "mix.wav")

    def _convert(self, job: _Job, pictures: Pictures) -> Pictures:
        """Return the pictures as the scene shows them."""
        place, codec = job.place, job.command.codec
        self._load(place, f"{pictures.suffix} frames are shown by the scene's view transform")
        layers = self._view_layers(place) if pictures.suffix == ".exr" else ()
        look = {"alpha": codec == "prores4444", "deep": codec != "h264"}
        seen: dict[Path, Path] = {}
        different = pictures.different
        for start in range(0, len(different), _AT_ONCE):
            place.check()
            batch = different[start : start + _AT_ONCE]

            def ask(room: Path, batch: Sequence[Path] = batch) -> dict[str, object]:
                pairs = []
                for number, path in enumerate(batch):
                    source = room / f"in-{number}{pictures.suffix}"
                    _prepare(path, source, layers)
                    pairs.append([str(source), str(room / f"{number}.png")])
                return {"do": "convert", "pairs": pairs, **look}

            folder = place.own / f"converted-{start}"
            self._blender.assist("converting frames for a video", "converted", ask, folder)
            for number, path in enumerate(batch):
                seen[path] = _ordinary(folder / f"{number}.png")
                (folder / f"in-{number}{pictures.suffix}").unlink(missing_ok=True)
            done = start + len(batch)
            place.talk.progress(10 + 10 * done / len(different), f"{done} frames converted")
        return replace(pictures, paths=tuple(seen[path] for path in pictures.paths), suffix=".png")

    def _view_layers(self, place: Place) -> tuple[str, ...]:
        folder = place.own / "layers"
        body = self._blender.assist(
            "listing view layers", "layers", lambda room: {"do": "layers"}, folder
        )
        return tuple(map(str, body["names"]))


def _prepare(path: Path, target: Path, layers: Sequence[str]) -> None:
    """Give Blender a copy of an image: it sees no published files."""
    layer = main_layer(path, layers) if path.suffix.lower() == ".exr" else None
    if layer is None:
        shutil.copyfile(path, target)
    else:
        extract_layer(path, layer, target)


def _ordinary(path: Path) -> Path:
    """Return the path of a file that Blender was to write, if that is what is there."""
    try:
        is_ordinary = stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        is_ordinary = False
    if not is_ordinary:
        raise CommandFailed(f"encode: Blender did not write {path.name}")
    return path


def _link(pictures: Pictures, folder: Path) -> str:
    """Give every picture its number in the video, and return the pattern of their names."""
    folder.mkdir()
    for number, path in enumerate(pictures.paths):
        (folder / f"{number:06d}{pictures.suffix}").symlink_to(path)
    # A percent sign is the pattern's own.
    return f"{str(folder).replace('%', '%%')}/%06d{pictures.suffix}"


def _out_of_time(frames: FrameRange, scene_fps: float, fps: float) -> str:
    """Say why sound would not fit the pictures, or nothing."""
    if len(frames.segments) != 1 or frames.segments[0].step != 1:
        return f"its frames, {frames}, do not follow each other"
    if exact_rate(scene_fps) != exact_rate(fps):
        return f"it shows {fps:g} frames a second, the scene has {scene_fps:g}"
    return ""
