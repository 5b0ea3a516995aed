"""A scene of many files laid out on a worker: over a mount, and by what `fetch` brings."""

from __future__ import annotations

import hashlib
import os
import random
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.upload.sink import BUCKET, running_sink
from burst.domain.jobs import SceneRef
from burst.scene.checkout import checkout
from burst.scene.manifest import FileEntry, Manifest
from burst.scene.source import open_source
from burst.storage import layout
from burst.storage.checksum import crc32c
from burst.storage.items import LocalBlob
from burst.storage.storage import Storage, open_storage

_LEAST_BYTES, _MOST_BYTES = 4 * 1024, 64 * 1024
_FOLDER = 100
"""Files of one folder of the scene."""


@dataclass(frozen=True, slots=True)
class Checkouts:
    """Seconds for laying out one scene; medians."""

    files: int
    mounted: float
    fetched: float
    """With an empty cache."""
    cached: float
    """From the cache, in another folder."""


def measure_checkouts(folder: Path, files: int, rounds: int) -> Checkouts:
    """Make a scene of so many files, and lay it out in turns."""
    blobs = _make_blobs(folder / "made", files)
    own = open_storage(str(folder / "storage"))
    kept = folder / "kept"
    kept.mkdir()
    mounted, fetched, cached = [], [], []
    with running_sink(folder, 0, keep=kept) as sink:
        os.environ["STORAGE_EMULATOR_HOST"] = sink.url
        try:
            bucket = open_storage(f"gs://{BUCKET}")
            scene = _upload(blobs, own)
            _upload(blobs, bucket)
            for number in range(rounds):
                place = folder / f"round-{number}"
                mounted.append(_lay_out(scene, own, place / "mounted"))
                fetched.append(_lay_out(scene, bucket, place / "fetched"))
                cached.append(_lay_out(scene, bucket, place / "cached"))
        finally:
            del os.environ["STORAGE_EMULATOR_HOST"]
    return Checkouts(files, *(statistics.median(found) for found in (mounted, fetched, cached)))


def _lay_out(scene: SceneRef, storage: Storage, target: Path) -> float:
    """Lay it out in a new folder, and return the seconds.

    Nothing is removed in between: ext4 looks past each inode that was freed a moment ago, which
    makes new files five times as slow.
    """
    os.sync()
    source = open_source(None, storage, target.with_name("cache"), 0)
    begun = time.perf_counter()
    checkout(scene, storage, source, target)
    seconds = time.perf_counter() - begun
    source.close()
    return seconds


def _make_blobs(folder: Path, files: int) -> list[LocalBlob]:
    chance = random.Random(7)
    folder.mkdir(parents=True)
    blobs = []
    for number in range(files):
        content = chance.randbytes(chance.randint(_LEAST_BYTES, _MOST_BYTES))
        path = folder / f"{number}"
        path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        blobs.append(LocalBlob(path, digest, len(content), crc32c(content)))
    return blobs


def _upload(blobs: list[LocalBlob], storage: Storage) -> SceneRef:
    storage.put_blobs(blobs)
    places = {
        f"sequence_{number // _FOLDER:03}/plate_{number % _FOLDER + 1:04}.png": blob
        for number, blob in enumerate(blobs[1:])
    }
    places["shot.blend"] = blobs[0]
    files = {place: FileEntry(blob.sha256, blob.size) for place, blob in places.items()}
    manifest = Manifest(name="shot", main="shot.blend", files=files)
    storage.put_bytes(manifest.to_bytes(), layout.manifest("shot", manifest.version))
    return SceneRef(name="shot", version=manifest.version)
