"""Sending a scene: blobs that the storage lacks, then the manifest."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from burst.domain.jobs import SceneRef, slug
from burst.domain.text import printable
from burst.errors import MissingFiles, SceneError
from burst.scene.digest import Hashed, changed
from burst.scene.hashing import Hasher, OnLooked
from burst.scene.manifest import FileEntry, Manifest
from burst.scene.pending import Pause, Pledge, Tell
from burst.scene.trace import MissingFile, SceneTrace
from burst.storage import layout
from burst.storage.items import LocalBlob, Transferred
from burst.storage.storage import Storage

_SHOWN = 20
_USERS_SHOWN = 3
_RESERVED = ".well-known/acme-challenge/"
_PART_BYTES = 255
"""What a name has at most on Linux and macOS,"""
_NAME_BYTES = 900
"""and a path, with the folder of the checkout before it; an object of a bucket has 1024."""

_SENDINGS = 3
"""A file that is saved while it is sent is sent again, this often in all."""

Step = Literal["hashing", "sending"]


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """How far an upload is; told from the caller's thread."""

    step: Step
    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A scene version that is whole in the storage."""

    scene: SceneRef
    manifest: Manifest
    files: int
    bytes: int
    sent_files: int
    """Of these, how many the storage did not have yet."""
    sent_bytes: int


@dataclass(frozen=True, slots=True)
class Planned:
    """A scene version as an upload would make it."""

    manifest: Manifest
    lacking: frozenset[str]
    """SHA-256 of the content that the storage has not."""

    @property
    def lacking_bytes(self) -> int:
        """Bytes that would be sent."""
        sizes = {entry.sha256: entry.size for entry in self.manifest.files.values()}
        return sum(sizes[sha256] for sha256 in self.lacking)


Watcher = Callable[[UploadProgress], None]


def upload_scene(
    trace: SceneTrace,
    name: str,
    storage: Storage,
    hasher: Hasher,
    on_progress: Watcher | None = None,
    tell: Tell = lambda _line: None,
    pause: Pause = time.sleep,
) -> Uploaded:
    """Put all files of a scene into the storage; what is there already is not sent.

    Repeating it, also after it was killed, sends what is still lacking. Blocks.

    Args:
        trace: what the scene needs.
        name: of the scene; made safe for paths.
        storage: where to.
        hasher: knows the hashes of files that did not change.
        on_progress: told after each file, and while large ones are on their way.
        tell: takes a line for people when something is waited for.
        pause: waits so many seconds.

    Raises:
        SceneError: a file can't be read, or does not stop changing.
        StorageError: the storage can't be written.
    """
    return _Upload(trace, name, on_progress).send(hasher, storage, Pledge(storage, tell, pause))


def plan_upload(
    trace: SceneTrace,
    name: str,
    storage: Storage | None,
    hasher: Hasher,
    on_progress: Watcher | None = None,
) -> Planned:
    """Find out what `upload_scene` would do; writes nothing. Blocks.

    Without a storage everything is lacking.

    Raises:
        SceneError: a file can't be read, or does not stop changing.
        StorageError: the storage can't be asked.
    """
    return _Upload(trace, name, on_progress).plan(hasher, storage)


class _Upload:
    """One scene on its way."""

    def __init__(self, trace: SceneTrace, name: str, on_progress: Watcher | None) -> None:
        check_names(trace)
        self._trace = trace
        self._name = slug(name)
        self._watch = on_progress or (lambda _progress: None)
        self._places = {file.relative: file.path for file in trace.files}
        self._hashes: dict[Path, Hashed] = {}
        self._sent = _Meter(self._watch, "sending")
        self._whole: dict[str, int] = {}
        """SHA-256 and size of what was sent."""

    def plan(self, hasher: Hasher, storage: Storage | None) -> Planned:
        self._hash(hasher, self._places.values())
        if storage is None:
            lacking = frozenset(its.sha256 for its in self._hashes.values())
        else:
            lacking = frozenset(blob.sha256 for blob in self._lacking(storage))
        return Planned(self._manifest(), lacking)

    def send(self, hasher: Hasher, storage: Storage, pledge: Pledge) -> Uploaded:
        with contextlib.ExitStack() as readiness:
            # What burst has never read the storage will rarely have.
            self._hash(
                hasher,
                self._places.values(),
                lambda *much: readiness.enter_context(storage.expecting(*much)),
            )
            manifest = self._bring_blobs(hasher, storage, pledge)
        name = layout.manifest(manifest.name, manifest.version)
        storage.put_bytes(manifest.to_bytes(), name)
        pledge.release()
        return Uploaded(
            scene=SceneRef(name=manifest.name, version=manifest.version),
            manifest=manifest,
            files=len(manifest.files),
            bytes=manifest.size,
            sent_files=len(self._whole),
            sent_bytes=sum(self._whole.values()),
        )

    def _bring_blobs(self, hasher: Hasher, storage: Storage, pledge: Pledge) -> Manifest:
        """Return the manifest of what is whole in the storage now, and is held there."""
        sendings = 0
        while True:
            manifest = self._manifest()
            pledge.hold(manifest)
            restless = self._send_lacking(storage, pledge)
            if not restless and not pledge.lapsed:
                return manifest
            sendings += bool(restless)
            if sendings == _SENDINGS:
                raise changed(restless[0].path)
            # Whatever is remembered of them is wrong.
            self._hash(hasher.anew(), [blob.path for blob in restless])

    def _hash(
        self, hasher: Hasher, paths: Iterable[Path], on_lacking: OnLooked | None = None
    ) -> None:
        meter = _Meter(self._watch, "hashing")
        self._hashes |= hasher.hash_all(
            paths, lambda _path, count, whole: meter.add(count, whole), meter.begin, on_lacking
        )

    def _manifest(self) -> Manifest:
        hashes = {where: self._hashes[path] for where, path in sorted(self._places.items())}
        return Manifest(
            name=self._name,
            main=self._trace.main,
            files={
                where: FileEntry(hashed.sha256, hashed.size) for where, hashed in hashes.items()
            },
            outside=dict(sorted(self._trace.mapping.items())),
        )

    def _lacking(self, storage: Storage) -> list[LocalBlob]:
        """Ask what the storage has not; of several files with one content one is enough."""
        blobs = {layout.blob(its.sha256): its.of(path) for path, its in self._hashes.items()}
        return [blobs[name] for name in sorted(storage.missing(blobs))]

    def _send_lacking(self, storage: Storage, pledge: Pledge) -> list[LocalBlob]:
        """Send what lacks, and return those that are not what was hashed."""
        lacking = self._lacking(storage)
        meter = self._sent
        meter.begin(len(lacking), sum(blob.size for blob in lacking))

        def hear(news: Transferred) -> None:
            meter.add(news.bytes, news.whole)
            pledge.renew()

        restless = storage.put_blobs(lacking, hear) if lacking else []
        whole = {blob.sha256: blob.size for blob in lacking}
        for blob in restless:
            del whole[blob.sha256]
        self._whole |= whole
        return restless


def check_complete(trace: SceneTrace, allow_missing: bool) -> tuple[str, ...]:
    """Return the names of files that the scene lacks, for a warning.

    Raises:
        MissingFiles: there are some, and they are not allowed.
    """
    names = tuple(file.name for file in trace.missing)
    if not names or allow_missing:
        return names
    shown = [f"  {file.name}{_by(file, trace)}" for file in trace.missing[:_SHOWN]]
    if len(names) > _SHOWN:
        shown.append(f"  and {len(names) - _SHOWN} more")
    count = "1 file is" if len(names) == 1 else f"{len(names)} files are"
    raise MissingFiles(
        f"{count} missing:\n" + "\n".join(shown),
        files=names,
        hint="put them where the .blend expects them, or go on without: --allow-missing",
    )


def _by(file: MissingFile, trace: SceneTrace) -> str:
    """Return who names a missing file, in brackets."""
    users = list(file.blocks[:_USERS_SHOWN])
    if len(file.blocks) > _USERS_SHOWN:
        users.append(f"{len(file.blocks) - _USERS_SHOWN} more")
    if file.used_by != trace.main:
        users.append(f"named by {file.used_by}")
    return f" ({', '.join(users)})" if users else ""


def check_names(trace: SceneTrace) -> None:
    """See to it that every file can have its name on any worker, and in any storage.

    Raises:
        SceneError: some can't; the message has them all.
    """
    wrong = {file.relative: why for file in trace.files if (why := _unusable(file.relative))}
    if not wrong:
        return
    shown = [f"  {printable(name)}: {why}" for name, why in list(wrong.items())[:_SHOWN]]
    if len(wrong) > _SHOWN:
        shown.append(f"  and {len(wrong) - _SHOWN} more")
    count = "1 file has a name" if len(wrong) == 1 else f"{len(wrong)} files have names"
    raise SceneError(
        f"{count} that can't be used elsewhere:\n" + "\n".join(shown), hint="rename, and save again"
    )


_NOT_UTF8 = re.compile("[\udc80-\udcff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def _unusable(name: str) -> str | None:
    """Say what speaks against a file's place in the scene."""
    if name.isascii() and name.isprintable() and len(name) < _PART_BYTES and name[0] != ".":
        # Nothing does, as with nearly all of ten thousand.
        return None
    if _NOT_UTF8.search(name):
        return "not UTF-8"
    if _CONTROL.search(name):
        return "a control character"
    if name.startswith(_RESERVED):
        return "reserved in Cloud Storage"
    if any(len(part.encode()) > _PART_BYTES for part in name.split("/")):
        return "longer than 255 bytes"
    if len(name.encode()) > _NAME_BYTES:
        return "its path is too long"
    return None


class _Meter:
    """Adds up what is done and tells it."""

    def __init__(self, watch: Watcher, step: Step) -> None:
        self._watch = watch
        self._step: Step = step
        self._files, self._files_total = 0, 0
        self._bytes, self._bytes_total = 0, 0

    def begin(self, files: int, total: int) -> None:
        """Know that this much more is to be done."""
        self._files_total += files
        self._bytes_total += total

    def add(self, count: int, whole: bool) -> None:
        self._files += whole
        self._bytes += count
        self._watch(
            UploadProgress(
                self._step, self._files, self._files_total, self._bytes, self._bytes_total
            )
        )
