"""A farm's way through a cluster: commands, steps timed, workers counted, and what stays."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from tests.fakes.blenders import RealBlender
from tests.fakes.cluster import Cluster, wait_until
from tests.fakes.emulator import Emulator
from tests.fakes.scenes_of_caches import pixels
from tests.kubernetes.test_cli_on_cluster import Farm

OF_EVERY_NAMESPACE = {"configmap/kube-root-ca.crt", "serviceaccount/default"}
WORKERS = 3
"""Most at a time."""
GONE_SECONDS = 120
EVENTS = {"events", "events.events.k8s.io"}
COLUMNS = (
    "TYPE:.type,NAME:.object.metadata.name,CSI:.object.spec.volumes[*].csi.driver,"
    'SCENES:.object.spec.containers[*].env[?(@.name=="BURST_SCENES")].value'
)


class Steps:
    """How long each step took; printed as one table."""

    def __init__(self) -> None:
        self._took: list[tuple[str, float]] = []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what is done inside."""
        began = time.monotonic()
        yield
        self._took.append((name, time.monotonic() - began))

    def table(self) -> str:
        """Return all steps, one a line."""
        width = max(len(name) for name, _ in self._took)
        return "\n".join(f"{name:<{width}}  {seconds:6.1f} s" for name, seconds in self._took)


class Studio(Farm):
    """A farm with one pool of real workers."""

    def choose(self, scenes_by: str, images: str = "") -> None:
        """Say in burst.toml how workers read scenes, and more of images."""
        emulator = f'[{{ name = "STORAGE_EMULATOR_HOST", value = "{self.endpoint}" }}]'
        self.configure(
            pools=f"[cluster.worker]\nextraEnv = {emulator}\n"
            f'[images]\nimage_blender = "debian"\n{images}\n'
            f'[pools.cpu]\ncores = 1\nmemory = "1500Mi"\nmaximum = {WORKERS}\n'
            f'scenes_by = "{scenes_by}"\n',
        )

    def result(self, *arguments: str) -> Any:
        """Return what a command prints that must succeed."""
        return json.loads(self.succeed(*arguments, "--json"))

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Run a command as long as this is open; it is interrupted if it is still there."""
        process = subprocess.Popen(
            [sys.executable, "-m", "burst", *arguments],
            cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=120)
            finally:
                process.kill()


@dataclass(frozen=True)
class Artwork:
    """A scene with the files around it, and what its Blender makes of it without burst."""

    blend: Path
    right: Mapping[int, bytes]
    """Pixels of each frame."""

    def wrong(self, folder: Path, first: int, last: int) -> list[int]:
        """Return which frames in a folder are not there, or have other pixels."""
        return [
            number
            for number in range(first, last + 1)
            if not (file := folder / f"shot_{number:04}.png").is_file()
            or pixels(file.read_bytes()) != self.right[number]
        ]


def make_artwork(blender: RealBlender, folder: Path, frames: int) -> Artwork:
    """Make a scene that links a library with a texture of its own, and render it plainly."""
    (folder / "props" / "paint").mkdir(parents=True)
    (folder / "shot").mkdir()
    texture = folder / "props" / "paint" / "wood.png"
    _chequered(texture)
    common = ("--relative", "--width", "240", "--height", "136", "--samples", "24")
    library = blender.make_scene(
        folder / "props" / "cube.blend", *common, "--texture", str(texture)
    )
    blend = blender.make_scene(folder / "shot" / "main.blend", *common, "--library", str(library))
    blender.animate(blend, str(folder / "plain_####"), 1, frames)
    numbers = range(1, frames + 1)
    right = {n: pixels((folder / f"plain_{n:04}.png").read_bytes()) for n in numbers}
    assert len(set(right.values())) == frames, "neighbours must differ to prove anything"
    return Artwork(blend, right)


def _chequered(file: Path) -> None:
    image = Image.new("RGB", (64, 64), (214, 160, 60))
    image.paste((40, 90, 150), (0, 0, 32, 32))
    image.paste((40, 90, 150), (32, 32, 64, 64))
    image.save(file)


@dataclass
class Seen:
    """What watches saw of workers: how many Jobs and pods there were after each change."""

    counts: dict[str, list[int]] = field(default_factory=dict)
    ways: set[str] = field(default_factory=set)
    """How pods had their scenes: ``csi`` or ``fetch``."""
    _now: dict[str, set[str]] = field(default_factory=dict)

    def take(self, kind: str, line: str) -> None:
        """Hear of a change."""
        event, name, driver, scenes = line.split()
        (self._now[kind].discard if event == "DELETED" else self._now[kind].add)(name)
        if scenes != "<none>":
            self.ways.add("csi" if "gcsfuse" in driver and scenes.startswith("mount:") else scenes)
        if self.counts[kind][-1] != len(self._now[kind]):
            self.counts[kind].append(len(self._now[kind]))

    def begin(self, kind: str) -> None:
        """Count things of a kind, of which there are none."""
        self._now[kind], self.counts[kind] = set(), [0]

    def wait_for_none(self) -> None:
        """Wait until all that came have gone."""
        wait_until(lambda: not any(self._now.values()), GONE_SECONDS, lambda: str(self._now))


@contextmanager
def watching(cluster: Cluster, namespace: str, label: str) -> Iterator[Seen]:
    """Watch Jobs and pods as long as it is open."""
    seen = Seen()
    with ExitStack() as stack:
        for kind in ("jobs", "pods"):
            seen.begin(kind)
            stack.enter_context(_watch(cluster, namespace, kind, label, seen))
        yield seen


@contextmanager
def _watch(cluster: Cluster, namespace: str, kind: str, label: str, seen: Seen) -> Iterator[None]:
    process = subprocess.Popen(
        ["kubectl", "get", kind, "-n", namespace, "-l", label, "--watch", "--output-watch-events",
         "--no-headers", f"--output=custom-columns={COLUMNS}"],
        env=cluster.environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    lines = process.stdout

    def read() -> None:
        for line in lines:
            seen.take(kind, line)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield
    finally:
        process.kill()
        process.wait(10)
        reader.join(10)
        lines.close()


def left_in(cluster: Cluster, namespace: str) -> set[str]:
    """Return all that is in a namespace, of whatever kind, but for what every one has."""
    listed = cluster.kubectl("api-resources", "--verbs=list", "--namespaced", "-o", "name")
    kinds = ",".join(sorted(set(listed.split()) - EVENTS))
    found = set(cluster.kubectl("get", kinds, "-n", namespace, "-o", "name").split())
    return found - OF_EVERY_NAMESPACE


def objects_of(emulator: Emulator) -> dict[str, str]:
    """Return what is in the bucket: a checksum of each object, by its name."""
    url = f"{emulator.endpoint}/storage/v1/b/{emulator.bucket}/o?maxResults=1000"
    with urllib.request.urlopen(url, timeout=20) as answer:
        return {one["name"]: one["md5Hash"] for one in json.load(answer).get("items", ())}
