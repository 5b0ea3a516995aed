"""`burst upload` killed at random moments, several at once, and a collection among them.

The bucket is the strict stand-in, which has a list of every request: what the next run sends can
be compared with what was whole before. The orders of calls that a test can force are in
tests/unit/scene/test_collection_races.py.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from burst.scene.manifest import Manifest
from burst.storage import layout
from tests.fakes.blend_bytes import BlendBytes
from tests.fakes.farm import poll
from tests.fakes.strict_gcs import StrictGcs, running_strict_gcs

MOMENTS = 20
PATIENCE_SECONDS = 120
MANY = 1800
"""So many files are sent by several processes."""
FEW = 40
LARGE_BYTES = 80 << 20
"""So large a file is sent in parts."""
START_SECONDS = 1.0
"""About what a run takes before its first request."""
SEQUENCE = 2
SENDING = ("insert", "start", "chunk")


@dataclass
class Artist:
    """Somebody with a scene, a machine and a bucket."""

    root: Path
    gcs: StrictGcs
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def burst(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the program in a process group of its own."""
        home = self.root / "home"
        environment = {
            **os.environ,
            "STORAGE_EMULATOR_HOST": self.gcs.endpoint,
            "HOME": str(home),
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_CACHE_HOME": str(home / "cache"),
        }
        with (self.root / "said").open("ab") as said, (self.root / "told").open("ab") as told:
            process = subprocess.Popen(
                [sys.executable, "-m", "burst", *arguments, "--storage", "gs://farm"],
                stdin=subprocess.DEVNULL, stdout=said, stderr=told, env=environment,
                start_new_session=True,
            )  # fmt: skip
        self.running.append(process)
        return process

    def upload(self) -> subprocess.Popen[bytes]:
        return self.burst("upload", str(self.root / "shot.blend"), "--blender", "none", "--json")

    def finish(self, process: subprocess.Popen[bytes]) -> None:
        assert process.wait(PATIENCE_SECONDS) == 0, (self.root / "told").read_text()

    def last_said(self) -> dict[str, Any]:
        """Return what the last upload said it did."""
        text = (self.root / "said").read_text()
        return dict(json.loads(text[text.rindex("{\n") :]))

    def make_scene(self, files: int, large: int) -> None:
        """Make a scene of an image sequence and a large picture."""
        chance = random.Random(self.root.name)
        folder = self.root / "frames"
        folder.mkdir(parents=True)
        for number in range(files):
            (folder / f"f.{number:04}.png").write_bytes(chance.randbytes(500 + number))
        blend = BlendBytes()
        blend.scene()
        blend.image("//frames/f.0000.png", source=SEQUENCE)
        if large:
            (self.root / "large.exr").write_bytes(chance.randbytes(1 << 20) * (large >> 20))
            blend.image("//large.exr")
        (self.root / "shot.blend").write_bytes(blend.bytes())

    def objects(self) -> dict[str, bytes]:
        """Return what is in the bucket."""
        return {name: one.content for name, one in self.gcs.buckets["farm"].items()}

    def check(self, files: int) -> None:
        """Every version in the bucket is whole, there is one at least, and no wrong blob."""
        objects = self.objects()
        blobs = {name for name in objects if name.startswith(layout.BLOBS)}
        for name in blobs:
            assert hashlib.sha256(objects[name]).hexdigest() == name.rpartition("/")[2]
        manifests = [name for name in objects if name.startswith(layout.SCENES)]
        assert manifests
        for name in manifests:
            entries = Manifest.from_bytes(objects[name]).files.values()
            assert len(entries) >= files
            assert {layout.blob(entry.sha256) for entry in entries} <= blobs


@pytest.fixture
def artist(tmp_path: Path) -> Iterator[Callable[[str], Artist]]:
    """Make an artist with a bucket of their own."""
    with contextlib.ExitStack() as stack:
        made: list[Artist] = []

        def make(name: str) -> Artist:
            gcs = stack.enter_context(running_strict_gcs("farm"))
            artist = Artist(tmp_path / name, gcs)
            artist.root.mkdir()
            made.append(artist)
            return artist

        yield make
        for one in made:
            for process in one.running:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait(PATIENCE_SECONDS)


def has_gone(group: int) -> bool:
    """Say whether no process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def settled(gcs: StrictGcs) -> int:
    """Wait until the server has done what it was asked, and return how much that was.

    On a busy machine it has much to do yet when those who asked are gone, and has not even
    seen some of them: one who comes after them is served after them.
    """
    where = urlsplit(gcs.endpoint)
    with socket.create_connection((where.hostname, where.port), timeout=PATIENCE_SECONDS) as last:
        last.shutdown(socket.SHUT_WR)
        assert last.recv(1) == b""
    poll(lambda: not gcs.connections, "somebody is still there", PATIENCE_SECONDS)
    return len(gcs.requests)


def kill(artist: Artist, process: subprocess.Popen[bytes], *, group: bool) -> int:
    """Kill an upload, and return how many requests were made by then."""
    if group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait(PATIENCE_SECONDS)
    # What it started must not go on for long without it.
    poll(lambda: has_gone(process.pid), "its helpers are still there", seconds=PATIENCE_SECONDS)
    return settled(artist.gcs)


def sent_again(artist: Artist, before: set[str], since: int) -> list[str]:
    """Return what was whole before, and has been sent since."""
    return [
        one.name
        for one in artist.gcs.requests[since:]
        if one.operation in SENDING and one.name in before
    ]


def repeated(artist: Artist, since: int) -> int:
    """Return how often a file was sent again, because no answer came in time.

    One that has come by then is found to be there, and not counted as sent.
    """
    names = [one.name for one in artist.gcs.requests[since:] if one.operation == "insert"]
    return len(names) - len(set(names))


def whole(artist: Artist) -> set[str]:
    """Return blobs, and parts of blobs, that are in the bucket."""
    return {
        name
        for name in artist.objects()
        if name.startswith((layout.BLOBS, layout.incoming("").rstrip("/")))
    }


def requests_of(make: Callable[[str], Artist], files: int, large: int) -> int:
    """Return how many requests an undisturbed upload makes."""
    artist = make(f"calm-{files}-{large}")
    artist.make_scene(files, large)
    artist.finish(artist.upload())
    artist.check(files + 1)
    assert artist.last_said()["sent_files"] == files + 1 + bool(large)
    return len(artist.gcs.requests)


def test_killed_at_any_moment_the_next_run_finishes_and_sends_nothing_twice(
    request: pytest.FixtureRequest, artist: Callable[[str], Artist]
) -> None:
    seed = request.config.getoption("--seed") or random.randrange(1_000_000)
    print(f"--seed {seed}")
    chance = random.Random(seed)
    kinds = [(FEW, 0), (FEW, LARGE_BYTES), (FEW, 0), (FEW, LARGE_BYTES), (MANY, 0)]
    requests = {kind: requests_of(artist, *kind) for kind in set(kinds)}
    interrupted = 0
    for number in range(MOMENTS):
        files, large = kind = kinds[number % len(kinds)]
        one = artist(f"{number}")
        one.make_scene(files, large)
        process = one.upload()
        moment = chance.randint(-requests[kind] // 4, requests[kind])
        if moment < 0:
            time.sleep(START_SECONDS * chance.random())
        while len(one.gcs.requests) < moment and process.poll() is None:
            time.sleep(0.0005)
        since = kill(one, process, group=number % 2 == 0)
        interrupted += not any(name.startswith(layout.SCENES) for name in one.objects())
        before = whole(one)
        one.finish(one.upload())
        one.check(files + 1)
        assert sent_again(one, before, since) == [], f"killed at {moment} of {requests[kind]}"
        came = sum(name.startswith(layout.BLOBS) for name in whole(one) - before)
        sent = one.last_said()["sent_files"]
        assert sent <= came <= sent + repeated(one, since)
    assert interrupted > MOMENTS // 2


def test_two_uploads_of_one_scene_side_by_side(artist: Callable[[str], Artist]) -> None:
    one = artist("both")
    one.make_scene(FEW, LARGE_BYTES)
    for process in [one.upload(), one.upload()]:
        one.finish(process)
    one.check(FEW + 2)
    versions = [name for name in one.objects() if name.startswith(layout.SCENES)]
    assert len(versions) == 1
    assert not [name for name in one.objects() if name.startswith(layout.PENDING)]


def test_collections_among_uploads_that_are_killed_lose_nothing(
    request: pytest.FixtureRequest, artist: Callable[[str], Artist]
) -> None:
    """What a killed upload had sent is held for the next run, and what nothing names goes."""
    seed = request.config.getoption("--seed") or random.randrange(1_000_000)
    print(f"--seed {seed}")
    chance = random.Random(seed)
    one = artist("all")
    one.make_scene(FEW, 0)
    other = one.root / "old.blend"
    other.write_bytes(BlendBytes(version=305).bytes())
    one.finish(one.burst("upload", str(other), "--blender", "none", "--json"))
    garbage = whole(one)
    for name in [name for name in one.objects() if name.startswith(layout.SCENES)]:
        del one.gcs.buckets["farm"][name]
    for _ in range(4):
        process = one.upload()
        collection = one.burst("scenes", "gc", "--older-than", "0", "--json")
        time.sleep(chance.uniform(0.8, 1.8))
        since = kill(one, process, group=True)
        collection.wait(60)
        before = whole(one) - garbage
        one.finish(one.burst("scenes", "gc", "--older-than", "0", "--json"))
        assert before <= whole(one)
        assert sent_again(one, before, since) == []
    one.finish(one.upload())
    one.check(FEW + 1)
    assert not garbage & whole(one)


@pytest.mark.parametrize("requests", [0, 3, 20, FEW])
def test_ctrl_c_says_how_to_go_on(artist: Callable[[str], Artist], requests: int) -> None:
    one = artist("stopped")
    one.make_scene(FEW, LARGE_BYTES)
    # It is never done with the large file, so that there is time to stop it.
    held = [one.gcs.fail(kind, status=503, name="incoming/", times=10**9) for kind in SENDING]
    process = one.upload()
    poll(lambda: len(one.gcs.requests) > requests, "it asks for nothing")
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(PATIENCE_SECONDS) == 130
    told = (one.root / "told").read_text()
    assert "go on with the same command: burst upload" in told
    assert "Traceback" not in told
    for fault in held:
        fault.times = 0
    since = settled(one.gcs)
    before = whole(one)
    one.finish(one.upload())
    one.check(FEW + 2)
    assert sent_again(one, before, since) == []
