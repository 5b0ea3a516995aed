"""A job whose frames lie in the bucket, with the list that `burst download` reads."""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.upload.sink import BUCKET, Sink
from burst.storage import layout
from burst.storage.storage import open_storage

_THREADS = 8


@dataclass(frozen=True, slots=True)
class Published:
    """Frames of one job."""

    job: str
    count: int
    size: int
    """Bytes of each."""
    hashes: dict[str, str]
    """SHA-256 of each file, by its name."""

    @property
    def bytes(self) -> int:
        """Of all."""
        return self.count * self.size

    def __str__(self) -> str:
        return f"{self.count} frames of {self.size / 1024 / 1024:g} MiB"


def publish(sink: Sink, count: int, size: int) -> Published:
    """Put frames and their list into the bucket; all differ, and none can be compressed."""
    job = f"bench-{count}-{size}"
    content = random.Random(7).randbytes(size)
    with _emulator(sink):
        storage = open_storage(f"gs://{BUCKET}")

        def put(frame: int) -> tuple[str, str]:
            name = f"shot_{frame:05}.exr"
            frame_content = frame.to_bytes(8) + content[8:]
            storage.put_bytes(frame_content, layout.render(job, name))
            return name, hashlib.sha256(frame_content).hexdigest()

        with ThreadPoolExecutor(_THREADS) as pool:
            hashes = dict(pool.map(put, range(1, count + 1)))
        made = [{"name": name, "size": size, "sha256": digest} for name, digest in hashes.items()]
        index = {
            "job": job,
            "name": "shot",
            "status": "completed",
            "frames": f"1-{count}",
            "frame_count": count,
            "published": [
                {"frame": number, "attempt": "a", "files": [file]}
                for number, file in enumerate(made, 1)
            ],
            "results": [],
        }
        storage.put_bytes(json.dumps(index).encode(), layout.render_index(job))
    return Published(job, count, size, hashes)


@contextmanager
def _emulator(sink: Sink) -> Iterator[None]:
    """Let this process's own burst talk to the server."""
    os.environ["STORAGE_EMULATOR_HOST"] = sink.url
    try:
        yield
    finally:
        del os.environ["STORAGE_EMULATOR_HOST"]
