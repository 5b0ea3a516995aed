"""Sending a scene: blobs that the storage lacks, then the manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from burst.domain.jobs import SceneRef, slug
from burst.errors import MissingFiles
from burst.scene.hashing import Hashed, Hasher, Signature, changed, hash_file
from burst.scene.manifest import FileEntry, Manifest
from burst.scene.trace import SceneTrace
from burst.storage import layout
from burst.storage.storage import Storage

SEND_THREADS = 4
"""A directory is limited by its disk, a bucket by the line; either is busy with a few."""

_MISSING_SHOWN = 20


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """How far an upload is; told from the caller's thread."""

    step: Literal["hashing", "sending"]
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


Watcher = Callable[[UploadProgress], None]


def upload_scene(
    trace: SceneTrace,
    name: str,
    storage: Storage,
    hasher: Hasher,
    on_progress: Watcher | None = None,
) -> Uploaded:
    """Put all files of a scene into the storage; what is there already is not sent.

    Repeating it, also after it was killed, sends what is still lacking. Blocks.

    Args:
        trace: what the scene needs.
        name: of the scene; made safe for paths.
        storage: where to.
        hasher: knows the hashes of files that did not change.
        on_progress: told after each file.

    Raises:
        SceneError: a file can't be read, or does not stop changing.
        StorageError: the storage can't be written.
    """
    watch = on_progress or (lambda _progress: None)
    paths = {file.relative: file.path for file in trace.files}
    sources = {path: Signature.of(path) for path in paths.values()}
    total = sum(signature.size for signature in sources.values())
    meter = _Meter(watch, "hashing", len(sources), total)
    hashes = hasher.hash_all(sources, lambda _path, size, whole: meter.add(size, whole))
    sent = _send_lacking(hashes, sources, storage, watch)
    manifest = Manifest(
        name=slug(name),
        main=trace.main,
        files={
            where: FileEntry(hashes[path].sha256, hashes[path].size)
            for where, path in sorted(paths.items())
        },
        outside=dict(sorted(trace.mapping.items())),
    )
    storage.put_bytes(manifest.to_bytes(), layout.manifest(manifest.name, manifest.version))
    return Uploaded(
        scene=SceneRef(name=manifest.name, version=manifest.version),
        manifest=manifest,
        files=len(manifest.files),
        bytes=manifest.size,
        sent_files=len(sent),
        sent_bytes=sum(sent),
    )


def check_complete(trace: SceneTrace, allow_missing: bool) -> tuple[str, ...]:
    """Return the names of files that the scene lacks, for a warning.

    Raises:
        MissingFiles: there are some, and they are not allowed.
    """
    names = tuple(file.name for file in trace.missing)
    if not names or allow_missing:
        return names
    shown = [
        f"  {file.name}" + (f" (named by {file.used_by})" if file.used_by != trace.main else "")
        for file in trace.missing[:_MISSING_SHOWN]
    ]
    if len(names) > _MISSING_SHOWN:
        shown.append(f"  and {len(names) - _MISSING_SHOWN} more")
    count = "1 file is" if len(names) == 1 else f"{len(names)} files are"
    raise MissingFiles(
        f"{count} missing:\n" + "\n".join(shown),
        files=names,
        hint="put them where the .blend expects them, or render without: --allow-missing",
    )


class _Meter:
    """Adds up what is done and tells it."""

    def __init__(
        self, watch: Watcher, step: Literal["hashing", "sending"], files: int, total: int
    ) -> None:
        self._watch = watch
        self._step: Literal["hashing", "sending"] = step
        self._files, self._files_total = 0, files
        self._bytes, self._bytes_total = 0, total

    def add(self, size: int, whole: bool = True) -> None:
        self._files += whole
        self._bytes += size
        self._watch(
            UploadProgress(
                self._step, self._files, self._files_total, self._bytes, self._bytes_total
            )
        )


def _send_lacking(
    hashes: dict[Path, Hashed],
    sources: dict[Path, Signature],
    storage: Storage,
    watch: Watcher,
) -> list[int]:
    """Send what lacks, and return the sizes.

    ``hashes`` and ``sources`` are put right for files that changed after they were hashed;
    those are sent in a second round, and there is no third.
    """
    sent: list[int] = []
    restless: list[Path] = []
    for _ in range(2):
        by_blob = {layout.blob(hashed.sha256): path for path, hashed in hashes.items()}
        lacking = [by_blob[name] for name in sorted(storage.missing(by_blob))]
        restless = []
        meter = _Meter(watch, "sending", len(lacking), sum(sources[p].size for p in lacking))
        for path, whole in _send_in_parallel(lacking, hashes, storage):
            if whole:
                sent.append(sources[path].size)
                meter.add(sources[path].size)
            else:
                restless.append(path)
        if not restless:
            return sent
        for path in restless:
            sources[path], hashes[path] = hash_file(path, lambda _count: None)
    raise changed(restless[0])


def _send_in_parallel(
    paths: list[Path], hashes: dict[Path, Hashed], storage: Storage
) -> Iterator[tuple[Path, bool]]:
    """Send blobs, and yield each file with whether it still was what was hashed."""
    with ThreadPoolExecutor(SEND_THREADS, thread_name_prefix="send") as pool:
        futures = {pool.submit(storage.put_blobs, [hashes[path].of(path)]): path for path in paths}
        try:
            for future in as_completed(futures):
                yield futures[future], not future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
