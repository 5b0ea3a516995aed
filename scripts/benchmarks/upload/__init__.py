"""A scene of 10,020 files to a bucket: burst against gcloud and Google's transfer_manager.

docs/benchmarks.md says what is measured and how to read it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.upload.clients import (
    NotMeasured,
    Run,
    Setting,
    has_gcloud,
    new_home,
    run_burst,
    run_gcloud,
    run_transfer_manager,
)
from benchmarks.upload.scene import SEQUENCE, Made, make_scene
from benchmarks.upload.sink import Sink, running_sink
from burst.storage import layout
from burst.storage.checksum import crc32c

SMALL, LARGE, ROUNDS = 10_000, 20, 3
QUICK_SMALL, QUICK_LARGE, QUICK_ROUNDS = 3 * SEQUENCE, 2, 1
LATENCY_MS = 40
NEAR = (Setting("process", 4), Setting("process", 8), Setting("thread", 32))
FAR = (Setting("process", 8), Setting("process", 16), Setting("process", 32), Setting("thread", 64))
"""Settings of `transfer_manager` that may be its best, without and with latency: with it, more at
once are better, until their start costs more."""
QUICK = (Setting("process", 4),)


@dataclass(frozen=True, slots=True)
class Side:
    """What was measured at one distance."""

    gcloud: tuple[Run, Run] | None
    """First and second time."""
    managers: dict[str, Run]
    bursts: list[tuple[Run, Run]]
    watched: Run

    @property
    def manager(self) -> Run:
        """The best of `transfer_manager`."""
        return min(self.managers.values(), key=lambda run: run.seconds)

    @property
    def first(self) -> float:
        """Seconds of burst, the first time."""
        return statistics.median(first.seconds for first, _ in self.bursts)

    @property
    def second(self) -> float:
        """Seconds of burst when nothing has changed."""
        return statistics.median(second.seconds for _, second in self.bursts)


def main(arguments: list[str]) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="scripts/bench upload", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few files: does it work at all")
    parser.add_argument("--folder", type=Path, help="where 1 GiB has room [default: a new one]")
    options = parser.parse_args(arguments)
    small, large = (QUICK_SMALL, QUICK_LARGE) if options.quick else (SMALL, LARGE)
    folder = Path(tempfile.mkdtemp(prefix="burst-bench-upload-", dir=options.folder))
    try:
        print(f"Making {small} small and {large} large files …", file=sys.stderr)
        scene = make_scene(folder / "scene", small, large)
        expected = _expected(scene)
        near = _measure(scene, expected, folder, 0, quick=options.quick)
        far = _measure(scene, expected, folder, LATENCY_MS, quick=options.quick)
    except NotMeasured as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _report(scene, near, far)
    return 0


def _measure(
    scene: Made, expected: dict[str, tuple[int, int]], folder: Path, latency_ms: int, *, quick: bool
) -> Side:
    settings = QUICK if quick else (FAR if latency_ms else NEAR)
    with running_sink(folder, latency_ms) as sink:
        _say(f"{latency_ms} ms a request: gcloud storage rsync, twice …")
        gcloud = None
        if has_gcloud():
            home = folder / "gcloud"
            gcloud = tuple(run_gcloud(scene.folder, sink, home) for _ in range(2))
        else:
            _say("  skipped: there is no gcloud on this machine")
        managers = {}
        for setting in settings:
            sink.clear()
            _say(f"{latency_ms} ms a request: transfer_manager with {setting} …")
            managers[str(setting)] = run_transfer_manager(scene.folder, sink, setting)
        _say(f"{latency_ms} ms a request: burst upload …")
        bursts = []
        for number in range(QUICK_ROUNDS if quick else ROUNDS):
            home = new_home(folder / f"burst-{latency_ms}-{number}")
            sink.clear()
            first, _ = run_burst(scene.blend, sink, home)
            _check(sink, expected)
            second, _ = run_burst(scene.blend, sink, home)
            bursts.append((first, second))
        sink.clear()
        home = new_home(folder / f"watched-{latency_ms}")
        watched, _ = run_burst(scene.blend, sink, home, watched=True)
        _check(sink, expected)
    return Side(gcloud, managers, bursts, watched)


def _expected(scene: Made) -> dict[str, tuple[int, int]]:
    """Return size and CRC-32C of each blob that must be in the bucket afterwards."""
    blobs = {}
    for path in scene.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            name = layout.blob(hashlib.sha256(content).hexdigest())
            blobs[name] = (len(content), crc32c(content))
    return blobs


def _check(sink: Sink, expected: dict[str, tuple[int, int]]) -> None:
    """See that there is one object for each distinct content, with its checksum."""
    if sink.objects("blobs/") != expected:
        raise NotMeasured("what burst uploaded is not one object for each distinct content")
    if sink.objects("incoming/"):
        raise NotMeasured("burst left parts behind")


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _report(scene: Made, near: Side, far: Side) -> None:
    mib = scene.bytes / (1024 * 1024)
    print(f"{scene.files} files, {mib:.0f} MiB; seconds, processor seconds of client and server")
    for title, side in (("no latency", near), (f"{LATENCY_MS} ms a request", far)):
        print(f"\n{title}")
        if side.gcloud:
            _line("gcloud storage rsync", side.gcloud[0])
            _line("gcloud, again", side.gcloud[1])
        for setting, run in side.managers.items():
            _line(f"transfer_manager, {setting}", run)
        for first, second in side.bursts:
            _line("burst upload", first)
            _line("burst, again", second)
    print(f"\npeak memory of burst, all processes (PSS): {near.watched.peak_mib:.0f} MiB")
    figures = {
        **_ratios(near, ""),
        **_ratios(far, "_40ms"),
        "second_seconds": round(near.second, 2),
        "second_bytes": max(second.blob_bytes for _, second in near.bursts + far.bursts),
        "peak_mib": round(max(near.watched.peak_mib, far.watched.peak_mib), 1),
        "first_seconds": round(near.first, 2),
        "first_seconds_40ms": round(far.first, 2),
        "second_seconds_40ms": round(far.second, 2),
        "files": scene.files,
        "bytes": scene.bytes,
    }
    print(json.dumps(figures))


def _line(name: str, run: Run) -> None:
    print(
        f"  {name:<34} {run.seconds:6.1f} s   {run.cpu_seconds:6.1f}   "
        f"{run.server_cpu_seconds:5.1f}"
    )


def _ratios(side: Side, suffix: str) -> dict[str, float | None]:
    gcloud = round(side.gcloud[0].seconds / side.first, 2) if side.gcloud else None
    return {
        f"first_vs_gcloud_rsync{suffix}": gcloud,
        f"first_vs_transfer_manager{suffix}": round(side.manager.seconds / side.first, 2),
    }
