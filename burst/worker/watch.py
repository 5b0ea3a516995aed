"""Watches the scene's files while Blender reads them, so that no picture lacks one unseen.

Blender says little of a file that it can't read, or nothing, and renders it pink. What may
go wrong is seen from outside: by a probe of the mount as long as Blender works, by a look at
every file before the first frame counts, and by Blender's words where it has some. Whatever
was seen, the frame is not believed. Called by the task runner; `burst.worker.lookout` reads.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from burst.config.machine import memory_limit_bytes
from burst.errors import BurstError, StorageAway, storage_error
from burst.scene.checkout import CheckedOut
from burst.scene.manifest import FileEntry
from burst.scene.source import MountedBlobs, SceneSource, closed, damaged
from burst.worker import lookout
from burst.worker.process import Child, Exited, Message

log = logging.getLogger(__name__)

SLOW_SECONDS = 3.0
"""A probe that took longer is a doubt: others may have been given up in that time."""
SLOW_MAX_SECONDS = 60.0
AWAY_SECONDS = 60.0
"""A mount that says nothing for so long is given up."""
AHEAD_SHARE = 4
"""Read ahead what fits in this part of the free memory: it has to stay there until it is used."""
RUN_MIN = 5
"""So many files that differ by a number only are a run, of which a frame needs one."""

_COMPLAINT = re.compile(
    r"(?i)can ?not|can't|could(n't| not)|unable|fail|error|does not exist|not found|no such"
)
_ERRNO = re.compile(r"\[Errno (\d+)\]")
_COMPLAINTS_MAX = 100
_PASSED_ON = ("LD_LIBRARY_PATH", "PATH")
_TICK_SECONDS = 0.2
_CLOSE_SECONDS = 1.0
_HINT = "look whether it is mounted, and whether the bucket answers"


class Watch:
    """Looks after the scene that is checked out. `hear` is for any thread, the rest for one."""

    def __init__(self, source: SceneSource, scratch: Path, on_away: Callable[[], None]) -> None:
        """Watch nothing yet.

        Args:
            source: where the links of a checkout lead.
            scratch: a folder.
            on_away: called from a thread when it is no use to go on rendering.
        """
        self._source = source
        self._scratch = scratch
        self._on_away = on_away
        self._changed = threading.Condition()
        self._scene: CheckedOut | None = None
        self._probe_file: tuple[str, FileEntry] | None = None
        self._child: Child | None = None
        self._number = 0
        self._looked: dict[int, list[Any]] = {}
        self._trouble: BurstError | None = None
        self._complaints: list[str] = []
        self._believed: set[str] = set()
        """Files that Blender could not read twice: it is the file, then."""
        self._slow_seconds = SLOW_SECONDS
        self._device: int | None = None
        self._is_reading = False
        self._heard_at = 0.0
        self._probe_number = 0
        self._answered = 0

    @property
    def trouble(self) -> BurstError | None:
        """What went wrong since the scene was last begun."""
        return self._trouble

    def begin(self, scene: CheckedOut) -> None:
        """Watch this scene from now on; Blender has nothing of it yet."""
        with self._changed:
            self._scene, self._trouble, self._device = scene, None, None
            self._complaints.clear()
            self._looked.clear()
            # The smallest: whoever asks for a piece is sent more than that.
            with_content = [(place, entry) for place, entry in scene.files.items() if entry.size]
            self._probe_file = min(with_content, key=lambda item: item[1].size, default=None)
        if self._source.is_remote:
            self._number += 1
            free = min(psutil.virtual_memory().available, memory_limit_bytes())
            ahead = read_ahead(scene.files, free // AHEAD_SHARE)
            self._send(
                {
                    "do": "look",
                    "number": self._number,
                    "blobs": str(self._source.blobs),
                    "files": _listed(scene.files),
                    "ahead": ahead,
                }
            )

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Watch closely, for as long as Blender may read."""
        if not self._source.is_remote or self._probe_file is None:
            yield
            return
        with self._changed:
            self._is_reading, self._heard_at = True, time.monotonic()
        self._probe()
        try:
            yield
        finally:
            self._is_reading = False
            self._send({"do": "rest"})

    def hear(self, text: str) -> None:
        """Take notice of what Blender says of a file of the scene."""
        scene = self._scene
        if scene is None or str(scene.folder) not in text or not _COMPLAINT.search(text):
            return
        with self._changed:
            if len(self._complaints) < _COMPLAINTS_MAX:
                self._complaints.append(text)

    def vouch(self) -> None:
        """Return if Blender can have read all it needed; call it while `reading`. May block.

        Raises:
            BlobMissing: a file is not in the storage, or damaged there.
            StorageAway: the source was away, or Blender could not read from it.
            StorageDenied: the source may not be read.
        """
        scene = self._scene
        assert scene is not None  # noqa: S101 - a scene is begun before it is rendered
        if not self._source.is_remote:
            if self._complaints or not self._source.is_in_place():
                self._recheck(scene)
            return
        self._wait_for_look(self._number)
        self._wait_for_probe()
        if places := self._unread(scene):
            self._recheck(scene)
            self._fail(StorageAway(f"Blender could not read {', '.join(places[:3])}", hint=_HINT))
        if self._trouble:
            raise self._trouble

    def explain(self, error: Exception) -> Exception:
        """Return what is behind a failure of Blender: the files of the scene, or what it says."""
        scene = self._scene
        if scene is None or self._trouble:
            return self._trouble or error
        try:
            if self._source.is_remote:
                self._wait_for_look(self._number)
            self._recheck(scene)
        except BurstError as trouble:
            self._fail(trouble)
            return trouble
        number = _ERRNO.search(str(error))
        if self._source.is_remote and number and int(number[1]) in _READ_ERRORS:
            self._fail(StorageAway(f"the scene could not be read: {error}", hint=_HINT))
        return self._trouble or error

    def close(self) -> None:
        """Watch no more."""
        child, self._child = self._child, None
        if child:
            child.close(_CLOSE_SECONDS)

    def _unread(self, scene: CheckedOut) -> list[str]:
        """Return files that Blender complained of for the first time."""
        with self._changed:
            said, self._complaints = self._complaints, []
        named = {
            place
            for text in said
            for place in scene.files
            if f"{scene.folder}/{place}" in text and place not in self._believed
        }
        self._believed |= named
        return sorted(named)

    def _recheck(self, scene: CheckedOut) -> None:
        if not self._source.is_remote:
            self._source.recheck(scene.files)
            return
        self._number += 1
        self._send(
            {
                "do": "check",
                "number": self._number,
                "blobs": str(self._source.blobs),
                "files": _listed(scene.files),
            }
        )
        self._wait_for_look(self._number)

    def _wait_for_look(self, number: int) -> None:
        """Wait until every file was looked at; raise what that brought to light."""
        with self.reading() if not self._is_reading else contextlib.nullcontext(), self._changed:
            self._changed.wait_for(lambda: number in self._looked or self._trouble is not None)
        if self._trouble:
            raise self._trouble
        assert self._scene is not None  # noqa: S101 - it was looked at
        for place, facts in self._looked[number]:
            raise self._named(place, self._scene.files[place], facts)

    def _probe(self) -> int:
        """Have a piece of a file read at once, and now and then; return the number of that."""
        assert self._probe_file is not None  # noqa: S101 - there is something to read
        self._probe_number += 1
        _, entry = self._probe_file
        self._send(
            {
                "do": "watch",
                "number": self._probe_number,
                "blobs": str(self._source.blobs),
                "name": entry.sha256,
                "size": entry.size,
            }
        )
        return self._probe_number

    def _wait_for_probe(self) -> None:
        """Wait until a probe has an answer that began after all that Blender has read."""
        if not self._is_reading:
            return
        number = self._probe()
        with self._changed:
            self._changed.wait_for(lambda: self._answered >= number or self._trouble is not None)

    def _named(self, place: str, entry: FileEntry, facts: Mapping[str, Any]) -> BurstError:
        if not facts["errno"]:
            return damaged(place)
        assert isinstance(self._source, MountedBlobs)  # noqa: S101 - nothing else is remote
        path = str(self._source.path(entry.sha256))
        return self._source.trouble(place, entry, OSError(facts["errno"], facts["reason"], path))

    def _fail(self, trouble: BurstError) -> None:
        with self._changed:
            if self._trouble is None:
                self._trouble = trouble
                log.warning("scenes can't be read: %s", trouble)
            self._changed.notify_all()

    def _send(self, command: Mapping[str, Any]) -> None:
        if self._child is None or self._child.exit_code is not None:
            self._child = child = self._start()
            threading.Thread(target=self._listen, args=(child,), daemon=True).start()
        self._child.send(command)

    def _start(self) -> Child:
        self._scratch.mkdir(parents=True, exist_ok=True)
        program = [sys.executable, "-I", "-S", lookout.__file__]
        return Child(
            lambda reads, writes: [*program, str(reads), str(writes)],
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            folder=self._scratch,
            on_line=lambda text: log.warning("lookout: %s", text),
        )

    def _listen(self, child: Child) -> None:
        """Hear the lookout; on a thread of its own."""
        while self._child is child:
            item = child.next_item(_TICK_SECONDS)
            if isinstance(item, Message):
                self._take(item.body)
            elif isinstance(item, Exited):
                if self._child is child:
                    self._give_up(StorageAway("whoever looked at the scene's files is gone"))
                return
            elif self._is_reading and time.monotonic() - self._heard_at > AWAY_SECONDS:
                self._give_up(
                    StorageAway(
                        f"{self._source.blobs} does not answer for {AWAY_SECONDS:.0f} s", hint=_HINT
                    )
                )

    def _take(self, news: Mapping[str, Any]) -> None:
        if news["event"] == "looked":
            with self._changed:
                self._looked[news["number"]] = news["troubles"]
                self._changed.notify_all()
        elif news["event"] == "read":
            mebibytes = news["bytes"] / 2**20
            log.info(
                "read %.0f MiB of the scene ahead in %.1f s, %d files",
                mebibytes, news["seconds"], news["files"],
            )  # fmt: skip
        elif news["event"] == "probe":
            self._heard_at = time.monotonic()
            if self._is_reading and (trouble := self._doubt(news)):
                self._give_up(trouble)
            with self._changed:
                self._answered = news.get("number", 0)
                self._changed.notify_all()

    def _doubt(self, probe: Mapping[str, Any]) -> BurstError | None:
        """Return what a probe says against the mount."""
        if probe.get("wrong"):
            number, path = probe["errno"], str(self._source.blobs)
            if number == errno.ENOENT:
                return self._vanished(probe)
            if number in (errno.EACCES, errno.EPERM):
                return closed("the scene", self._source.blobs)
            return storage_error(OSError(number, probe["reason"], path), "can't read scenes")
        if self._device not in (None, probe["device"]):
            # A caged Blender may read the old mount only.
            return StorageAway(f"{self._source.blobs} was mounted anew")
        self._device = probe["device"]
        if probe["seconds"] > self._slow_seconds:
            # Where the machine is merely slow it would be so again, and no frame be finished.
            self._slow_seconds = min(SLOW_MAX_SECONDS, 2 * self._slow_seconds)
            seconds = probe["seconds"]
            return StorageAway(
                f"{self._source.blobs} did not answer for {seconds:.1f} s", hint=_HINT
            )
        return None

    def _vanished(self, probe: Mapping[str, Any]) -> BurstError:
        """Return what it means that the probe's file is gone; asks the storage."""
        assert self._probe_file is not None  # noqa: S101 - it was read
        place, entry = self._probe_file
        try:
            return self._named(place, entry, probe)
        except BurstError as trouble:
            return trouble

    def _give_up(self, trouble: BurstError) -> None:
        is_first = self._trouble is None
        self._fail(trouble)
        if is_first and self._is_reading:
            self._on_away()


_READ_ERRORS = (
    errno.EIO, errno.ENOTCONN, errno.ESTALE, errno.ECONNREFUSED, errno.ECONNRESET, errno.ETIMEDOUT,
    errno.ECONNABORTED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENOENT, errno.EACCES,
    errno.EPERM,
)  # fmt: skip
"""What Python inside Blender may meet in a scene whose mount had trouble a moment ago."""


def read_ahead(files: Mapping[str, FileEntry], limit_bytes: int) -> list[str]:
    """Return the hashes of what to read ahead, the largest first.

    Runs of files that are numbered are left out, but for UDIM tiles: a frame needs one of them.
    """
    runs: dict[str, list[str]] = {}
    for place in files:
        runs.setdefault(_NUMBER.sub("#", place), []).append(place)
    chosen: dict[str, int] = {}
    for places in runs.values():
        if len(places) < RUN_MIN or all(map(_TILE.search, places)):
            chosen |= {files[place].sha256: files[place].size for place in places}
    order, left = [], limit_bytes
    for sha256 in sorted(chosen, key=lambda sha256: -chosen[sha256]):
        if chosen[sha256] <= left:
            order.append(sha256)
            left -= chosen[sha256]
    return order


_NUMBER = re.compile(r"\d+")
_TILE = re.compile(r"(?<!\d)10\d\d(?!\d)[^/]*$|u\d+_v\d+[^/]*$")


def _listed(files: Mapping[str, FileEntry]) -> list[Any]:
    return [[place, entry.sha256, entry.size] for place, entry in files.items()]
