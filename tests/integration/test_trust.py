"""A scene that brings hostile Python, on a real farm: what it reaches in the cage, and without.

Every attempt is made with the cage off, too, where it must come off: otherwise it would
prove nothing. Left out: GPUs, X servers, and what `docs/security.md` names as not held.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from burst.worker.inside import cage
from burst.worker.surroundings import command_line, prepare
from tests.fakes.blenders import RealBlender, real_blender

pytestmark = [
    pytest.mark.blender,
    pytest.mark.skipif(cage.landlock_version() == 0, reason="this kernel has no Landlock"),
]

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 120
MAKE = ROOT / "tests" / "fakes" / "make_scene_with_script.py"
SCRIPT = """
import bpy, json, os, signal, socket, subprocess

STATE, HOME, PORTS = {state!r}, {home!r}, {ports!r}
agent = os.getppid()
scratch = os.path.dirname(os.environ["TMPDIR"])
worker = os.path.dirname(os.path.dirname(scratch))
storage = os.path.join(STATE, "storage")
blend = bpy.data.filepath

def read(path, start=0):
    with open(path, "rb") as file:
        file.seek(start)
        assert file.read(1)

def read_memory():
    for line in open("/proc/%d/maps" % agent):
        first, rights = line.split()[:2]
        if rights.startswith("rw"):
            return read("/proc/%d/mem" % agent, int(first.split("-")[0], 16))

def write_back(path):
    # The very byte that was there, so that what is rendered stays what it was.
    with open(path, "r+b") as file:
        byte = file.read(1)
        file.seek(0)
        file.write(byte)

def make(path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    open(path, "w").close()

def replace_own_scene():
    os.rename(blend, blend + ".bak")
    os.rename(blend + ".bak", blend)

def connect(port):
    socket.create_connection(("127.0.0.1", port), timeout=5).close()

def leave_daemon():
    print("DAEMON", subprocess.Popen(["/bin/sleep", "600"], start_new_session=True).pid)

attempts = {{
    "read the agent's environment": lambda: read("/proc/%d/environ" % agent),
    "read the agent's memory": read_memory,
    "read the workers' token": lambda: read(STATE + "/worker.token"),
    "read the database": lambda: read(STATE + "/burst.db"),
    "write the database": lambda: write_back(STATE + "/burst.db"),
    "read the worker's outbox": lambda: os.listdir(worker + "/outbox"),
    "list other attempts": lambda: os.listdir(os.path.dirname(scratch)),
    "write into another attempt": lambda: make(worker + "/scratch/other/1/shot_0001.png"),
    "list all blobs": lambda: os.listdir(storage + "/blobs"),
    "make a blob": lambda: make(storage + "/blobs/aa/" + "a" * 64),
    "write to renders": lambda: make(storage + "/renders/other/shot_0001.png"),
    "write to uploads": lambda: make(storage + "/attempts/other/shot_0001.png"),
    "change a blob by its link": lambda: write_back(blend),
    "change a blob's rights": lambda: os.chmod(blend, 0o444),
    "replace a file of the checkout": replace_own_scene,
    "connect to the console": lambda: connect(PORTS[0]),
    "connect to the workers' listener": lambda: connect(PORTS[1]),
    "signal the agent": lambda: os.kill(agent, signal.SIGCONT),
    "leave a daemon behind": leave_daemon,
    "read the artist's home": lambda: read(HOME + "/diary"),
    "write to the artist's settings": lambda: make(HOME + "/.config/autostart/evil.desktop"),
}}

def came_off(attempt):
    try:
        attempt()
    except OSError:
        return False
    return True

print("CHILD", subprocess.Popen(["/bin/sleep", "600"]).pid)
print("ATTEMPTS", json.dumps({{name: came_off(one) for name, one in attempts.items()}}), flush=True)
"""


@dataclass
class Outcome:
    """What a job came to, and what its scene's script said."""

    words: dict[str, Any]
    log: str
    frames: list[str]


class Stranger:
    """A farm of one worker, and a scene that attacks it."""

    def __init__(self, blender: RealBlender, folder: Path) -> None:
        self._blender, self._folder = blender, folder
        self._home = folder / "artist"
        self._home.mkdir()
        (self._home / "diary").write_text("private")
        self._ports = [_free_port(), _free_port()]

    def render(self, *options: str, **environment: str) -> Outcome:
        """Render two frames of the scene on a farm of its own."""
        state = self._folder / "state"
        blend = self._make_scene(state)
        mine = {key: value for key, value in os.environ.items() if not key.startswith("BURST_")}
        output = self._folder / "frames"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "burst", "render", str(blend), "--local", "--json"),
                *("--frames", "1-2", "--output", str(output), "--workers", "1"),
                *("--blender", str(self._blender.program), *options),
            ],
            env={
                **mine,
                "HOME": str(self._home),
                "PYTHONPATH": str(ROOT),
                "BURST_STATE_DIR": str(state),
                "BURST_EXIT_WHEN_IDLE_SECONDS": "0.5",
                "BURST_CONSOLE_LISTEN": f"127.0.0.1:{self._ports[0]}",
                "BURST_WORKER_LISTEN": f"127.0.0.1:{self._ports[1]}",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        logs = [*state.glob("storage/logs/*/job.jsonl"), *state.glob("logs/jobs/*.jsonl")]
        lines = [
            json.loads(line)["text"] for log in logs for line in log.read_text("utf-8").splitlines()
        ]
        words = dict(line.split(" ", 1) for line in lines if " " in line)
        workers = "".join(path.read_text() for path in state.glob("logs/workers/*.log"))
        return Outcome(words, workers, sorted(path.name for path in output.glob("*.png")))

    def _make_scene(self, state: Path) -> Path:
        blend, script = self._folder / "shot.blend", self._folder / "attack.py"
        facts = {"state": str(state), "home": str(self._home), "ports": self._ports}
        script.write_text(SCRIPT.format(**facts))
        # A descriptor pair is what command_line puts last, where options begin.
        command = command_line(self._blender.program, self._blender.facts.kind, MAKE, (0, 0))[:-2]
        if self._blender.facts.kind == "bpy":
            command.append("--")
        subprocess.run(
            [*command, str(script), str(blend), "--samples", "1"],
            env=prepare(self._folder / "maker"),
            check=True,
            capture_output=True,
        )
        return blend


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@pytest.fixture(params=["binary", "bpy"])
def stranger(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> Stranger:
    blender = real_blender(request.param, tmp_path_factory.getbasetemp() / "facts")
    return Stranger(blender, tmp_path)


def wait_until_gone(pid: int) -> None:
    """Wait for the end of a sleep: Blender stays open for a while after the last frame."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while lives(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.05)


def lives(pid: int) -> bool:
    """Say whether it is still the sleep that a script started."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"/bin/sleep")
    return False


def test_a_trusted_script_reaches_nothing_of_the_farm(stranger: Stranger) -> None:
    outcome = stranger.render("--trust-scripts")
    attempts = json.loads(outcome.words["ATTEMPTS"])
    assert {name for name, came_off in attempts.items() if came_off} == set()
    assert "DAEMON" not in outcome.words
    wait_until_gone(int(outcome.words["CHILD"]))
    assert outcome.frames == ["shot_0001.png", "shot_0002.png"]
    assert "without a cage" not in outcome.log


def test_without_the_cage_it_reaches_everything(stranger: Stranger) -> None:
    outcome = stranger.render("--trust-scripts", BURST_CAGE="off")
    attempts = json.loads(outcome.words["ATTEMPTS"])
    assert {name for name, came_off in attempts.items() if not came_off} == set()
    # It left its group and its session, and the worker found it all the same.
    wait_until_gone(int(outcome.words["CHILD"]))
    wait_until_gone(int(outcome.words["DAEMON"]))
    assert outcome.frames == ["shot_0001.png", "shot_0002.png"]
    assert "Blender runs without a cage: BURST_CAGE is off" in outcome.log


def test_a_script_that_is_not_trusted_does_not_run(stranger: Stranger) -> None:
    outcome = stranger.render(BURST_CAGE="off")
    assert not {"ATTEMPTS", "CHILD"} & set(outcome.words)
    assert outcome.frames == ["shot_0001.png", "shot_0002.png"]
