"""What a program in the cage can't do, and can outside of it; how files get out of it.

Against the real kernel, with Python in Blender's place; older kernels are played by leaving
out what they lack. Left out: Blender in the cage, which is in tests/integration/test_trust.py,
and machines other than this one.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from burst.domain.workers import BlenderFacts
from burst.errors import ToolError
from burst.worker.inside import cage
from burst.worker.trust import (
    Cage,
    Inmate,
    StrayFileError,
    lent,
    open_cage,
    ordinary_files,
    start_line,
)

needs_landlock = pytest.mark.skipif(
    cage.landlock_version() == 0, reason="this kernel has no Landlock"
)
FACTS = BlenderFacts(version=(4, 2, 0), kind="bpy")
NEWEST = 7
READ = "open({secret!r}).read()"
ATTEMPTS = {
    "read a file": READ,
    "list a folder": "os.listdir({outside!r})",
    "write a file": "open({secret!r}, 'a').write('x')",
    "make a file": "open({outside!r} + '/new', 'w')",
    "delete a file": "os.unlink({victim!r})",
    "rename a file away": "os.rename({victim!r}, 'mine')",
    "link to a file": "os.link({secret!r}, 'mine')",
    "empty a file": "os.truncate({victim!r}, 0)",
    "change a file's rights": "os.chmod({secret!r}, 0o777)",
    "change a file's times": "os.utime({secret!r}, (1, 1))",
    "change a file's attributes": "os.setxattr({secret!r}, 'user.x', b'1')",
    "run a program of its own": "run_own()",
    "connect to a port": "socket.create_connection(('127.0.0.1', {port}))",
    "connect to a socket": "connect_unix({socket!r})",
    "send a datagram": "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))",
    "signal a process": "os.kill({pid}, 0)",
    "limit a process": "resource.prlimit({pid}, resource.RLIMIT_CORE, (0, 0))",
    "read a process's memory": "open('/proc/{pid}/environ').read()",
    "leave its process group": "os.setpgid(0, 0)",
    "leave its session": "os.setsid()",
}
HOLDS_SINCE = {
    "read a file": 1,
    "list a folder": 1,
    "write a file": 1,
    "make a file": 1,
    "delete a file": 1,
    "rename a file away": 1,
    "link to a file": 1,
    "run a program of its own": 1,
    "read a process's memory": 1,
}
"""Version of Landlock that it takes; without a word, the system call filter is enough."""
TRIAL = """
import json, os, resource, shutil, socket, subprocess, sys
def run_own():
    shutil.copyfile("/bin/true", "own")
    os.chmod("own", 0o755) if {bare} else None
    subprocess.run(["./own"], check=True)
def connect_unix(path):
    socket.socket(socket.AF_UNIX).connect(path)
found = {{}}
for name, code in json.loads(sys.argv[1]).items():
    # Each in a process of its own: some change the process that does it.
    child = os.fork()
    if not child:
        try:
            exec(code)
        except OSError as error:
            os._exit(1)
        os._exit(0)
    found[name] = os.waitpid(child, 0)[1] == 0
print(json.dumps(found))
"""


class Yard:
    """A folder with an inside and an outside, and somebody else's process and sockets."""

    def __init__(self, folder: Path) -> None:
        self.inside, self.outside = folder / "inside", folder / "outside"
        self.inside.mkdir()
        self.outside.mkdir()
        (self.outside / "secret").write_text("token")
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind(str(self.outside / "socket"))
        self.unix.listen()
        self.other = subprocess.Popen(["sleep", "600"], start_new_session=True)

    def close(self) -> None:
        self.tcp.close()
        self.unix.close()
        self.other.kill()
        self.other.wait()

    def try_all(self, version: int | None) -> dict[str, bool]:
        """Return for each attempt whether it came off; None is without a cage."""
        facts = {
            "secret": str(self.outside / "secret"),
            "victim": str(self.outside / "victim"),
            "outside": str(self.outside),
            "socket": str(self.outside / "socket"),
            "port": self.tcp.getsockname()[1],
            "pid": self.other.pid,
        }
        attempts = {}
        for name, code in ATTEMPTS.items():
            attempts[name] = code.format(**facts)
        (self.outside / "victim").write_text("whole")
        trial = TRIAL.format(bare=version is None)
        command = [sys.executable, "-I", "-c", trial, json.dumps(attempts)]
        if version is not None:
            command = self.caged(command, version)
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=self.inside, start_new_session=True
        )
        assert done.returncode == 0, done.stderr
        result: dict[str, bool] = json.loads(done.stdout)
        return result

    def caged(self, command: list[str], version: int = NEWEST) -> list[str]:
        inmate = Inmate(Path(sys.executable), FACTS, self.inside / "a.blend", self.inside, {})
        return Cage(Path("/nowhere"), version=version).command_line(command, inmate)


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    made = Yard(tmp_path)
    yield made
    made.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a cage")
def test_without_a_cage_a_program_does_all_of_it(yard: Yard) -> None:
    # The victim can be deleted, moved and emptied once only.
    once = {"rename a file away", "empty a file"}
    done = yard.try_all(None)
    assert {name for name, came_off in done.items() if not came_off} <= once | {
        "change a file's attributes"  # a tmpfs may have none
    }


@needs_landlock
@pytest.mark.parametrize("version", range(NEWEST + 1))
def test_in_the_cage_a_program_does_none_of_it(yard: Yard, version: int) -> None:
    done = yard.try_all(version)
    expected = {name for name, since in HOLDS_SINCE.items() if version < since}
    came_off = {name for name, ok in done.items() if ok}
    assert came_off <= expected
    if version:
        assert (yard.outside / "secret").read_text() == "token"
        assert (yard.outside / "victim").read_text() == "whole"


@needs_landlock
def test_in_the_cage_a_program_does_what_it_needs(yard: Yard) -> None:
    code = """
import os, pathlib, resource, shutil, subprocess, tempfile, threading
here = pathlib.Path("a"); here.mkdir(); (here / "x").write_text("1")
(here / "x").rename("y"); shutil.copyfile("y", "z"); os.truncate(os.open("z", os.O_RDWR), 0)
os.remove("z"); shutil.rmtree(here); pathlib.Path("/dev/null").write_text("x")
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
assert subprocess.check_output(["/bin/cat", "/proc/self/status", "/proc/cpuinfo"])
thread = threading.Thread(target=os.listdir, args=("/usr",)); thread.start(); thread.join()
child = subprocess.Popen(["/bin/sleep", "600"]); child.kill(); child.wait()
print("fine")
"""
    command = yard.caged([sys.executable, "-I", "-c", code])
    done = subprocess.run(command, capture_output=True, text=True, cwd=yard.inside)
    assert done.stdout == "fine\n", done.stderr


@needs_landlock
def test_a_program_that_turns_files_into_others_reaches_no_more(yard: Yard) -> None:
    source, made = yard.outside / "secret", yard.inside / "copy"

    def copy(readable: list[Path]) -> bool:
        command = ["/bin/cp", str(source), str(made)]
        line = Cage(Path("/nowhere")).program_line(command, readable, [yard.inside])
        return subprocess.run(line, capture_output=True).returncode == 0

    assert not copy([])
    assert copy([yard.outside])
    assert made.read_text() == "token"
    made.write_text("other")
    source, made = made, source
    assert not copy([yard.outside])


@needs_landlock
def test_a_daemon_dies_with_the_group_it_can_not_leave(yard: Yard) -> None:
    code = """
import os, sys, time
if not os.fork():
    try: os.setsid()
    except OSError: pass
    if os.fork(): os._exit(0)
    print(os.getpid(), flush=True)
    time.sleep(600)
os.wait()
time.sleep(600)
"""
    command = yard.caged([sys.executable, "-I", "-c", code])
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=yard.inside, start_new_session=True
    ) as program:
        assert program.stdout is not None
        daemon = int(program.stdout.readline())
        os.killpg(program.pid, signal.SIGKILL)
        # Its end of the pipe is closed only when it is gone.
        assert program.stdout.read() == b""
    assert (
        not Path(f"/proc/{daemon}/cmdline").exists()
        or not Path(f"/proc/{daemon}/cmdline").read_bytes()
    )


@needs_landlock
def test_a_program_that_can_not_be_run_in_the_cage_is_not_run_outside_of_it(yard: Yard) -> None:
    own = yard.outside / "program"
    own.write_text("#!/bin/sh\necho free\n")
    own.chmod(0o755)
    done = subprocess.run(yard.caged([str(own)]), capture_output=True, text=True, check=False)
    assert done.returncode == cage.EXIT_NO_CAGE
    assert done.stdout == ""
    assert "cage can't be built" in done.stderr


@needs_landlock
def test_a_blender_that_does_not_start_in_the_cage_is_refused_with_the_switch(
    tmp_path: Path,
) -> None:
    (tmp_path / "real").write_text("#!/bin/sh\necho Blender 4.2.0\n")
    (tmp_path / "real").chmod(0o755)
    script = tmp_path / "bin" / "blender"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\nexec {tmp_path}/real\n")
    script.chmod(0o755)
    binary = BlenderFacts(version=(4, 2, 0), kind="binary")
    with pytest.raises(ToolError, match="does not start in its cage") as refused:
        open_cage(tmp_path / "scenes", None, [(script, binary)])
    assert "BURST_CAGE=off" in str(refused.value.hint)
    made, lacks = open_cage(tmp_path / "scenes", None, [(tmp_path / "real", binary)])
    assert lacks == ""
    assert made.version == cage.landlock_version()


def test_a_program_that_is_gone_is_not_taken_for_one_that_failed(tmp_path: Path) -> None:
    program = tmp_path / "gone"
    inmate = Inmate(program, FACTS, tmp_path / "a.blend", tmp_path, {})
    with pytest.raises(FileNotFoundError):
        start_line(Cage(tmp_path), inmate, Path("driver.py"), (3, 4))
    assert str(program) in start_line(None, inmate, Path("driver.py"), (3, 4))


def test_what_a_kernel_can_not_hold_is_named() -> None:
    assert "no Landlock" in Cage(Path("/nowhere"), version=0).lacks()


def policy(made: Cage, inmate: Inmate) -> dict[str, list[str]]:
    launcher = made.command_line(["true"], inmate)
    paths: dict[str, list[str]] = json.loads(launcher[4])["paths"]
    return paths


def test_a_scene_can_not_replace_its_own_files_but_clears_its_caches(tmp_path: Path) -> None:
    checkout = tmp_path / "scenes" / "shot-1"
    for name in ("shot.blend", "blendcache_shot/a.bphys", "layers/a.usd", "tex/a.png"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).touch()
    blend = checkout / "shot.blend"
    made = Cage(tmp_path / "scenes", tmp_path / "blobs")
    paths = policy(made, Inmate(Path("/b/blender"), FACTS, blend, tmp_path / "own", {}))
    assert paths["grow"] == [str(checkout)]
    assert paths["write"] == [str(tmp_path / "own"), str(checkout / "blendcache_shot")]
    assert paths["by_name"] == [str(tmp_path / "blobs")]
    simulating = Inmate(Path("/b/blender"), FACTS, blend, tmp_path / "own", {}, simulates=True)
    assert policy(made, simulating)["write"] == [str(tmp_path / "own"), str(checkout)]


@pytest.mark.parametrize("kind", ["binary", "bpy"])
def test_the_folder_of_a_program_is_not_opened_as_a_whole(tmp_path: Path, kind: str) -> None:
    # It could be the artist's home.
    program = tmp_path / "bin" / "blender"
    facts = BlenderFacts(version=(4, 2, 0), kind=kind)
    inmate = Inmate(program, facts, tmp_path / "a" / "a.blend", tmp_path / "own", {})
    opened = [
        Path(place) for places in policy(Cage(tmp_path / "s"), inmate).values() for place in places
    ]
    assert program in opened
    assert not [place for place in opened if program != place and program.is_relative_to(place)]


def test_files_that_variables_name_are_readable(tmp_path: Path) -> None:
    env = {"OCIO": "/studio/aces/config.ocio", "LD_LIBRARY_PATH": "/studio/lib:rel", "HOME": "/me"}
    inmate = Inmate(Path("/b/blender"), FACTS, tmp_path / "a.blend", tmp_path / "own", env)
    read = policy(Cage(tmp_path / "s"), inmate)["read"]
    assert {"/studio/aces", "/studio/lib"} <= set(read)
    assert not {"/me", "rel"} & set(read)


def test_a_folder_is_lent_and_comes_back(tmp_path: Path) -> None:
    folder, room = tmp_path / "frame", tmp_path / "room"
    folder.mkdir()
    room.mkdir()
    (room / "of the frame before").touch()
    with lent(folder, room) as place:
        assert place == room
        assert not folder.exists()
        (place / "a.png").write_text("x")
    assert [path.name for path in folder.iterdir()] == ["a.png"]
    assert not room.exists()
    with lent(folder, None) as place:
        assert place == folder


def test_what_was_taken_away_in_the_cage_does_not_come_back(tmp_path: Path) -> None:
    folder, room = tmp_path / "frame", tmp_path / "room"
    folder.mkdir()
    with lent(folder, room) as place:
        place.rmdir()
    with pytest.raises(StrayFileError):
        ordinary_files([room / "a.png"], room, folder)


def test_only_ordinary_files_of_the_folder_are_believed(tmp_path: Path) -> None:
    room, folder, secret = tmp_path / "room", tmp_path / "frame", tmp_path / "worker.token"
    secret.write_text("token")
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "a.png").touch()
    (folder / "link.png").symlink_to(secret)
    (folder / "up").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.png")
    good = room / "inner" / "a.png"
    assert ordinary_files([good], room, folder) == (folder / "inner" / "a.png",)
    for bad in (
        *(secret, room / ".." / "worker.token", Path("worker.token"), room),
        *(room / "link.png", room / "up" / "worker.token", room / "pipe.png", room / "gone.png"),
    ):
        with pytest.raises(StrayFileError):
            ordinary_files([good, bad], room, folder)
