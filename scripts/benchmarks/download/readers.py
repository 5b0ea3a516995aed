"""Who brings the frames: `burst download`, and a reader that does nothing else, in turns."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.download.published import Published
from benchmarks.upload.clients import NotMeasured
from benchmarks.upload.memory import PeakMemory
from benchmarks.upload.sink import BUCKET, Sink
from burst.config.machine import available_cores
from burst.storage import layout
from burst.storage.bulk import BYTES_A_SECOND, MOST_PROCESSES, START_SECONDS
from burst.storage.bulk_channels import THREAD_BYTES
from burst.storage.bulk_tasks import AT_ONCE

RAW = Path(__file__).with_name("inside_raw.py")
RAW_STREAMS = 8
"""Large frames at once in one process of the raw reader; it is faster so than with burst's 4."""
_SECONDS = 1800
"""No single download takes longer."""


@dataclass(frozen=True, slots=True)
class Run:
    """One download, from the start of the program to its end."""

    seconds: float
    cpu_seconds: float
    """Of the program and all that it started."""
    peak_mib: float = 0.0
    """Of all processes together; 0 where nobody looked."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Both, one right after the other."""

    raw: Run
    burst: Run
    raw_start: Run
    """The same program for one tiny frame: what it costs to start it."""
    burst_start: Run

    @property
    def whole(self) -> float:
        """Return what burst is of the raw reader, both from start to end: 1 is as fast."""
        return self.raw.seconds / self.burst.seconds

    @property
    def transfer(self) -> float:
        """Return the same without the starts."""
        raw = self.raw.seconds - self.raw_start.seconds
        return raw / (self.burst.seconds - self.burst_start.seconds)


def measure_pair(published: Published, tiny: Published, sink: Sink, folder: Path) -> Pair:
    """Bring the frames twice, each time into an empty folder; and one tiny frame twice."""
    return Pair(
        raw=_run_raw(published, sink, folder),
        burst=_run_burst(published, sink, folder),
        raw_start=_run_raw(tiny, sink, folder),
        burst_start=_run_burst(tiny, sink, folder),
    )


def watch_burst(published: Published, sink: Sink, folder: Path) -> Run:
    """Bring the frames by burst, and look at its memory meanwhile."""
    return _run_burst(published, sink, folder, watched=True)


def _run_raw(published: Published, sink: Sink, folder: Path) -> Run:
    """Run the raw reader as it is fastest: with processes, and at least burst's connections."""
    size_seconds = published.bytes / BYTES_A_SECOND
    processes = max(1, min(MOST_PROCESSES, available_cores(), int(size_seconds / START_SECONDS)))
    connections = RAW_STREAMS if published.size >= THREAD_BYTES else AT_ONCE
    given = [str(folder), sink.url, BUCKET, str(processes), str(connections)]
    return _measure([sys.executable, "-P", str(RAW), *given], published, sink, folder)


def _run_burst(published: Published, sink: Sink, folder: Path, *, watched: bool = False) -> Run:
    command = [sys.executable, "-P", "-m", "burst", "download", published.job]
    command += ["--storage", f"gs://{BUCKET}", "--output", str(folder), "--json"]
    return _measure(command, published, sink, folder, watched=watched)


def _measure(
    command: list[str], published: Published, sink: Sink, folder: Path, *, watched: bool = False
) -> Run:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    state = folder.with_name("state")
    shutil.rmtree(state, ignore_errors=True)
    # What one run left to be written is not the next one's to wait for.
    os.sync()
    names = "".join(f"{layout.render(published.job, name)}\n" for name in published.hashes)
    mine = ("BURST_", "GOOGLE_", "XDG_")
    plain = {key: value for key, value in os.environ.items() if not key.startswith(mine)}
    environment = {**plain, "STORAGE_EMULATOR_HOST": sink.url, "BURST_STATE_DIR": str(state)}
    begun, before = time.perf_counter(), os.times()
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    memory = PeakMemory(process.pid) if watched else None
    try:
        process.communicate(names.encode(), _SECONDS)
    finally:
        process.kill()
        process.wait()
    seconds, after = time.perf_counter() - begun, os.times()
    if process.returncode != 0:
        raise NotMeasured(f"{' '.join(command[:5])} ended with {process.returncode}")
    _check(published, folder)
    used = after.children_user - before.children_user
    used += after.children_system - before.children_system
    return Run(seconds, used, memory.stop() if memory else 0.0)


def _check(published: Published, folder: Path) -> None:
    """See that every frame is there, whole, and nothing else."""
    for name, digest in published.hashes.items():
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise NotMeasured(f"{name} is not what was published")
    if len(list(folder.iterdir())) != published.count:
        raise NotMeasured(f"there is more than frames in {folder}")
