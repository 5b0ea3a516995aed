"""Brings the pictures that a video is made of, each proven to be what was published.

One for each frame of the range, in its order: a frame that is missing or damaged is an error
that names it, or is shown by the one before it where that is allowed. Called by
`burst.worker.encode`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from burst.domain.commands import Encode
from burst.domain.frames import FrameRange
from burst.errors import BlobMissing, StorageError
from burst.protocol.messages import OutputFile
from burst.protocol.worker_messages import InputFrame
from burst.storage import layout
from burst.storage.items import Transferred, Wanted
from burst.storage.storage import Storage
from burst.worker.commands import CommandFailed, Place
from burst.worker.dialogue import GivesUp
from burst.worker.proof import NotWhole, prove

_GONE = "is gone from the storage"
_CHANGED = "is not what was published: its content has changed"


@dataclass(frozen=True, slots=True)
class Pictures:
    """What is shown, one path for each frame; all of one kind and size."""

    paths: tuple[Path, ...]
    suffix: str
    """Of all of them, in lower case."""
    width: int
    height: int

    @property
    def different(self) -> tuple[Path, ...]:
        """Each path once."""
        return tuple(dict.fromkeys(self.paths))


class Gaps:
    """Frames that can't be shown, and why; decides what is shown in their place."""

    def __init__(self, command: Encode, frames: FrameRange) -> None:
        """Lack nothing yet."""
        self._command = command
        self._frames = frames
        self._damage: dict[int, str] = {}

    def note(self, frame: int, reason: str) -> None:
        """Take note that a published frame is damaged."""
        self._damage[frame] = reason

    def fill(self, found: Mapping[int, Path]) -> tuple[tuple[Path, ...], list[str]]:
        """Return a path for every frame, and what the artist must know about it.

        Raises:
            CommandFailed: a frame is missing or damaged and may not be, or all of them are.
        """
        lacking = [frame for frame in self._frames if frame not in found]
        # What is damaged or gone may be so on this machine only, whose disk may be at fault.
        gives_up: GivesUp | None = None if self._damage else "task"
        if lacking and not self._command.allow_gaps:
            raise CommandFailed(f"encode: {self._why(lacking)}", gives_up=gives_up)
        if not found:
            raise CommandFailed("encode: there is not one frame to show", gives_up=gives_up)
        shown, paths = found[min(found)], []
        for frame in self._frames:
            shown = found.get(frame, shown)
            paths.append(shown)
        if not lacking:
            return tuple(paths), []
        told = f"{self._why(lacking)}; the one before is shown instead"
        if lacking[0] == self._frames.frame_at(0):
            told += f", and frame {min(found)} before there is one"
        return tuple(paths), [told]

    def _why(self, lacking: Sequence[int]) -> str:
        missing = [frame for frame in lacking if frame not in self._damage]
        what = []
        if missing:
            word, verb = ("frame", "is") if len(missing) == 1 else ("frames", "are")
            what.append(
                f"{word} {FrameRange.of(missing)} {verb} missing "
                f"({len(missing)} of {len(self._frames)})"
            )
        what += [f"frame {frame} {reason}" for frame, reason in self._damage.items()]
        return "; ".join(what)


def bring_pictures(
    command: Encode,
    frames: FrameRange,
    inputs: Sequence[InputFrame],
    storage: Storage,
    place: Place,
) -> Pictures:
    """Have every picture at hand, read in place where the storage can.

    Raises:
        CommandFailed: one is missing or damaged and may not be, or they differ in kind.
        StorageError: the storage can't be read.
        Interrupted: the attempt is over.
    """
    published = {one.frame: one.files[0] for one in inputs if one.files}
    files = {frame: published[frame] for frame in frames if frame in published}
    gaps = Gaps(command, frames)
    found: dict[int, Path] = {}
    sizes: dict[int, tuple[int, int]] = {}
    for number, (frame, path) in enumerate(_bring(files, gaps, storage, place).items(), 1):
        place.check()
        try:
            sizes[frame] = _check(path, files[frame])
        except NotWhole as error:
            gaps.note(frame, f"({files[frame].name}) {error}")
            continue
        found[frame] = path
        place.talk.progress(5 + 5 * number / len(frames), f"{number} of {len(frames)} frames read")
    paths, warnings = gaps.fill(found)
    for warning in warnings:
        place.warn(warning)
    _check_alike(sizes, {f: PurePosixPath(published[f].name).suffix.lower() for f in found})
    first = min(found)
    return Pictures(paths, found[first].suffix.lower(), *sizes[first])


def _bring(
    files: Mapping[int, OutputFile], gaps: Gaps, storage: Storage, place: Place
) -> dict[int, Path]:
    """Return where each frame's file can be read, and note those that are gone."""
    found: dict[int, Path] = {}
    wanted: dict[int, Wanted] = {}
    for frame, file in files.items():
        place.check()
        name = layout.render(place.held.assignment.job_id, file.name)
        try:
            path = storage.read_path(name)
        except StorageError:
            if not storage.missing([name]):
                raise
            gaps.note(frame, f"({file.name}) {_GONE}")
            continue
        if path is None:
            target = place.own / "inputs" / f"{frame}{PurePosixPath(file.name).suffix.lower()}"
            wanted[frame] = Wanted(name, target, file.size, file.sha256)
        found[frame] = path or target
    for frame, reason in _fetch(wanted, storage, place).items():
        gaps.note(frame, f"({files[frame].name}) {reason}")
        del found[frame]
    return found


def _fetch(wanted: Mapping[int, Wanted], storage: Storage, place: Place) -> dict[int, str]:
    """Bring files here in parallel, and say what is wrong with those that can't be."""
    brought = 0

    def tell(news: Transferred) -> None:
        nonlocal brought
        place.check()
        brought += news.whole
        place.talk.progress(5 * brought / len(wanted), f"{brought} of {len(wanted)} frames brought")

    try:
        storage.fetch_all(wanted.values(), tell)
    except BlobMissing:
        # One of them; which, and whether others are too, is found one by one.
        return _fetch_what_is_there(wanted, storage, place)
    return {}


def _fetch_what_is_there(
    wanted: Mapping[int, Wanted], storage: Storage, place: Place
) -> dict[int, str]:
    wrong = {}
    for frame, one in wanted.items():
        place.check()
        if one.target.exists():
            continue
        try:
            storage.fetch_all([one])
        except BlobMissing:
            wrong[frame] = _GONE if storage.missing([one.name]) else _CHANGED
    return wrong


def _check(path: Path, file: OutputFile) -> tuple[int, int]:
    with path.open("rb") as opened:
        if hashlib.file_digest(opened, "sha256").hexdigest() != file.sha256:
            raise NotWhole(_CHANGED)
    size = prove(path, None, None, None)
    if size is None:
        raise CommandFailed(f"encode: {file.name} is no image that burst knows", gives_up="task")
    return size


def _check_alike(sizes: Mapping[int, tuple[int, int]], suffixes: Mapping[int, str]) -> None:
    first = min(sizes)
    for frame, size in sizes.items():
        if size != sizes[first]:
            raise CommandFailed(
                f"encode: frame {frame} is {size[0]} × {size[1]} pixels, "
                f"frame {first} is {sizes[first][0]} × {sizes[first][1]}",
                gives_up="task",
            )
        if suffixes[frame] != suffixes[first]:
            raise CommandFailed(
                f"encode: frame {frame} is a {suffixes[frame]}, frame {first} a {suffixes[first]}",
                gives_up="task",
            )
