"""A farm in containers on one machine: images/compose.yaml under the compose that is here.

docker's, where its service runs, else podman-compose beside this Python (Debian 12's own is too
old). The images are those of ``BURST_TEST_IMAGES``. Left out: what holds without containers.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from burst.config.images import ImageSettings
from burst.operations.images import image_names
from tests.fakes.blenders import real_blender
from tests.fakes.cluster import wait_until
from tests.fakes.emulator import free_port

pytestmark = pytest.mark.blender

ROOT = Path(__file__).resolve().parents[2]
NAMES = image_names(ImageSettings(image_blender="debian"))
LIMITS = ["nofile=16384:16384", "nproc=16384:16384"]
UP_SECONDS = 300
"""Until workers, whose Blender is asked what it can do, have registered on a busy machine."""


def find_compose() -> tuple[str, tuple[str, ...]]:
    """Return what runs containers, and the compose to use."""
    docker, podman = ("docker", "compose"), (sys.executable, "-m", "podman_compose")
    if shutil.which("docker") and works(*docker, "version") and works("docker", "info"):
        return "docker", docker
    if shutil.which("podman") and works(*podman, "--version"):
        return "podman", podman
    pytest.skip("no compose: neither a docker that runs nor podman with podman-compose")


def works(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


@dataclass(frozen=True)
class ComposedFarm:
    """What was started, and how it is asked."""

    engine: str
    compose: tuple[str, ...]
    folder: Path
    environment: dict[str, str]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of compose."""
        options = ("--env-file", str(self.folder / "farm.env"), "-f", "images/compose.yaml")
        return subprocess.run(
            [*self.compose, "-p", self.folder.name, *options, *arguments],
            cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=UP_SECONDS, check=False,
        )  # fmt: skip

    def burst(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of burst on this machine."""
        return subprocess.run(
            [sys.executable, "-m", "burst", *arguments],
            env=self.environment, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=UP_SECONDS, check=False,
        )  # fmt: skip

    def answer(self, **headers: str) -> int:
        """Return the status of the artists' API's answer."""
        url = f"{self.environment['BURST_CONSOLE_URL']}/api/burst/v1/jobs"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def is_there(self) -> bool:
        """Say whether anybody answers; before, the port is docker's or podman's own."""
        try:
            return bool(self.answer())
        except OSError:
            return False

    def containers(self) -> dict[str, str]:
        """Return the id of each container by its name without the project's."""
        listed = subprocess.run(
            [self.engine, "ps", "--format", "{{.ID}} {{.Names}}"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        rows = (line.split() for line in listed.stdout.splitlines())
        mine = re.compile(rf"^{re.escape(self.folder.name)}[_-]")
        return {mine.sub("", name): id_ for id_, name in rows if mine.match(name)}


@pytest.fixture
def farm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ComposedFarm]:
    archives = os.environ.get("BURST_TEST_IMAGES")
    if not archives:
        pytest.skip("no images: scripts/images builds them")
    engine, compose = find_compose()
    # What podman gives by itself may be more than a machine without rights to it has.
    settings = tmp_path / "containers.conf"
    settings.write_text(f"[containers]\ndefault_ulimits = {json.dumps(LIMITS)}\n")
    monkeypatch.setenv("CONTAINERS_CONF", str(settings))
    for part, name in (("manager", NAMES.manager), ("worker", NAMES.worker)):
        if not works(engine, "image", "inspect", name):
            load = [engine, "load", "--input", f"{archives}/{part}.tar"]
            subprocess.run(load, check=True, capture_output=True, timeout=UP_SECONDS)
    farm = ComposedFarm(engine, compose, tmp_path / f"burst-{secrets.token_hex(3)}", environment())
    prepare(farm)
    try:
        up = farm.run("up", "--detach")
        assert up.returncode == 0, up.stderr
        yield farm
    finally:
        farm.run("down")


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "BURST_CONSOLE_URL": f"http://127.0.0.1:{free_port()}",
        "BURST_CONSOLE_TOKEN": secrets.token_hex(8),
    }


def prepare(farm: ComposedFarm) -> None:
    """Make the folder and the file of settings, as the guide says."""
    for name in ("state", "storage"):
        (farm.folder / name).mkdir(parents=True)
    version = NAMES.manager.rpartition(":")[2]
    settings = {
        "BURST_VERSION": version,
        "BURST_IMAGE_BLENDER": NAMES.worker.removeprefix(f"localhost/burst-worker:{version}-"),
        "BURST_FOLDER": str(farm.folder),
        "BURST_USER": f"{os.getuid()}:{os.getgid()}",
        "BURST_WORKER_TOKEN": secrets.token_hex(8),
        "BURST_CONSOLE_TOKEN": farm.environment["BURST_CONSOLE_TOKEN"],
        "BURST_CONSOLE_PORT": farm.environment["BURST_CONSOLE_URL"].rpartition(":")[2],
        "BURST_COMPOSE_WORKERS": "2",
    }
    lines = "".join(f"{key}={value}\n" for key, value in settings.items())
    (farm.folder / "farm.env").write_text(lines)


def workers(farm: ComposedFarm) -> int:
    asked = farm.burst("status", "--json")
    return int(json.loads(asked.stdout)["workers"]) if asked.returncode == 0 else 0


def test_one_command_makes_a_farm_that_renders_and_is_guarded(
    farm: ComposedFarm, tmp_path: Path
) -> None:
    wait_until(farm.is_there, UP_SECONDS)
    assert farm.answer() == 401
    token = f"Bearer {farm.environment['BURST_CONSOLE_TOKEN']}"
    assert farm.answer(Authorization=token) == 200
    assert farm.answer(Authorization=token, Host="burst.example") == 403
    wait_until(lambda: workers(farm) == 2, UP_SECONDS)

    small = ("--width", "64", "--height", "36", "--samples", "1")
    blend = real_blender("binary", tmp_path).make_scene(tmp_path / "shot.blend", *small)
    done = farm.burst("render", str(blend), "--frames", "1-4", "-o", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    frames = sorted((tmp_path / "out").iterdir())
    assert len(frames) == 4
    for frame in frames:
        with Image.open(frame) as picture:
            assert picture.size == (64, 36)

    inside = farm.run("exec", "-T", "manager", "burst", "jobs", "list", "--json")
    assert "completed" in inside.stdout, inside.stderr
    assert farm.run("exec", "-T", "manager", "touch", "/opt/burst/x").returncode != 0
    assert len(farm.containers()) == 3
    asked = [farm.engine, "inspect", "--format", "{{json .HostConfig.PortBindings}}"]
    for name, container in farm.containers().items():
        said = subprocess.run([*asked, container], capture_output=True, text=True, check=True)
        bindings = json.loads(said.stdout) or {}
        published = {place["HostIp"] for places in bindings.values() for place in places or ()}
        assert published == ({"127.0.0.1"} if name.startswith("manager") else set())


def test_what_was_rendered_stays_when_it_is_taken_down(farm: ComposedFarm) -> None:
    wait_until(farm.is_there, UP_SECONDS)
    (farm.folder / "storage" / "kept").write_text("x")
    assert farm.run("down").returncode == 0
    assert farm.containers() == {}
    assert (farm.folder / "storage" / "kept").is_file()
    assert (farm.folder / "state" / "burst.db").is_file()
