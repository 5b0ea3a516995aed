"""A real farm in a folder of its own, to be killed, frozen and cut off by tests.

Starts the real command line, manager and workers as a user would, with short settings and
the faults of ``tests/fakes/faults``. Whatever waits here has a bound. Only what names this
farm's state directory is ever killed, by its own pid.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil

from tests.fakes import checker
from tests.fakes.gate import Gate

ROOT = Path(__file__).parents[2]
FAULTS = Path(__file__).with_name("faults")
LOOK_SECONDS = 0.02
WIDTH, HEIGHT = 160, 90

SHORT_SETTINGS = {
    "BURST_LEASE_SECONDS": "3",
    "BURST_IDLE_EXIT_SECONDS": "2",
    "BURST_EXIT_WHEN_IDLE_SECONDS": "2",
}

_LINEAR = """
import bpy
for action in bpy.data.actions:
    for curve in action.fcurves:
        curve.extrapolation = "LINEAR"
bpy.context.scene.frame_end = 60
bpy.ops.wm.save_mainfile()
"""

_Found = TypeVar("_Found")


def make_scene(blend: Path, samples: int) -> None:
    """Save a scene whose frames 1 to 60 all differ; the samples decide how long one takes."""
    blender = str(shutil.which("blender"))
    start = [blender, "-b", "--factory-startup", "--python-exit-code", "1"]
    size = ["--width", str(WIDTH), "--height", str(HEIGHT), "--samples", str(samples)]
    script = str(Path(__file__).with_name("make_scene.py"))
    for command in (
        [*start, "--python", script, "--", str(blend), *size],
        [*start, str(blend), "--python-expr", _LINEAR],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


def poll(
    look: Callable[[], _Found | None], what: str | Callable[[], str], seconds: float = 120
) -> _Found:
    """Return what ``look`` finds, as soon as that is something; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            words = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {seconds:.0f} s: {words}")
        time.sleep(LOOK_SECONDS)


@dataclass
class Program:
    """One process that the test started."""

    process: subprocess.Popen[bytes]
    said: Path
    """What it wrote to stdout."""
    told: Path
    """What it wrote to stderr."""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def wait(self, seconds: float = 120) -> int:
        """Return its exit status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end; it told: {self.words()}") from None

    def words(self) -> str:
        """Return what it told people."""
        return self.told.read_text("utf-8", "replace")

    def result(self) -> dict[str, Any]:
        """Return what it printed with ``--json``."""
        return dict(json.loads(self.said.read_text("utf-8")))

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send it a signal; after SIGKILL it is waited for."""
        self.process.send_signal(number)
        if number is signal.SIGKILL:
            self.process.wait(10)


@dataclass
class Farm:
    """A farm below ``root``, and what the test knows of it."""

    root: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    gate: Gate | None = None
    """The way to the bucket that is its storage; without one that is a directory."""
    state_dir: Path = field(init=False)
    storage: Path = field(init=False)

    def __post_init__(self) -> None:
        self.state_dir = self.root / "state"
        self.storage = self.state_dir / "storage"
        self.temporary = self.root / "temporary"
        self.faults = self.root / "faults"
        self.killed: list[checker.KilledWorker] = []
        self._programs: list[Program] = []
        for folder in (self.temporary, self.faults):
            folder.mkdir(parents=True)

    # ── Programs ─────────────────────────────────────────────────────────────────────

    def environment(self, **more: str) -> dict[str, str]:
        """Return what every process of the farm is given."""
        ours = ("BURST_", "CHAOS_", "GOOGLE_", "STORAGE_EMULATOR_")
        clean = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        return {
            **clean,
            "PYTHONPATH": os.pathsep.join((str(FAULTS), str(ROOT))),
            "CHAOS_DIR": str(self.faults),
            "TMPDIR": str(self.temporary),
            "BURST_STATE_DIR": str(self.state_dir),
            "BURST_SCENES_CACHE_DIR": str(self.root / "scenes"),
            **SHORT_SETTINGS,
            **(self.gate.environment if self.gate else {}),
            **self.settings,
            **more,
        }

    def start(self, *words: str, **environment: str) -> Program:
        """Start ``burst`` with these words."""
        number = len(self._programs)
        said, told = self.root / f"{number}.out", self.root / f"{number}.err"
        with said.open("wb") as out, told.open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", "burst", *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=self.environment(**environment),
                cwd=self.root,
                start_new_session=True,
            )
        program = Program(process, said, told)
        self._programs.append(program)
        return program

    def start_render(self, scene: Path, frames: str, output: Path, *more: str) -> Program:
        """Start ``burst render`` on this machine."""
        words = ["render", str(scene), "--local", "--frames", frames, "--output", str(output)]
        blender = str(shutil.which("blender"))
        return self.start(*words, "--blender", blender, "--json", "--retries", "20", *more)

    def start_manager(self, **environment: str) -> Program:
        """Start a manager by hand, and wait until it is ready."""
        program = self.start(
            "manager", BURST_CONSOLE_LISTEN="127.0.0.1:0", BURST_WORKER_LISTEN="127.0.0.1:0",
            BURST_BLENDER=str(shutil.which("blender")), **environment,
        )  # fmt: skip
        poll(lambda: self.manager_pid() == program.pid, program.words)
        return program

    def start_worker(self, name: str, **environment: str) -> Program:
        """Start a worker by hand: nothing but the test will kill it."""
        surroundings = {
            "BURST_MANAGER_URL": self.address()["worker_url"],
            "BURST_WORKER_TOKEN": (self.state_dir / "worker.token").read_text("utf-8").strip(),
            "BURST_STORAGE_URL": self.gate.emulator.url if self.gate else str(self.storage),
            "BURST_BLENDER": str(shutil.which("blender")),
            "BURST_WORKER_NAME": name,
            "BURST_WORK_DIR": str(self.root / "by-hand" / name),
            "BURST_THREADS": "1",
        }
        return self.start("worker", **{**surroundings, **environment})

    def stop(self) -> None:
        """Kill whatever is left of this farm, by pid."""
        for program in self._programs:
            if program.running:
                program.process.kill()
            program.process.wait(10)
        deadline = time.monotonic() + 20
        while left := list(checker.processes_of(self.root)):
            for pid, _ in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            assert time.monotonic() < deadline, left
            time.sleep(LOOK_SECONDS)

    # ── What is there ────────────────────────────────────────────────────────────────

    def address(self) -> dict[str, Any]:
        """Return what the manager wrote about itself."""
        return dict(json.loads((self.state_dir / "manager.json").read_text("utf-8")))

    def manager_pid(self) -> int | None:
        """Return the manager's pid, while one runs and has said where it is."""
        try:
            pid = int(self.address()["pid"])
            words = psutil.Process(pid).cmdline()
        except (OSError, ValueError, psutil.Error):
            return None
        return pid if words[-1:] == ["manager"] and is_locked(self.lock) else None

    @property
    def lock(self) -> Path:
        """The file that a manager holds."""
        return self.state_dir / "manager.lock"

    def workers(self) -> dict[str, int]:
        """Return pids of the local workers that run, by name."""
        found = {}
        for home in (self.state_dir / "workers").glob("*"):
            try:
                pid = int((home / "pid").read_text("utf-8"))
                if psutil.Process(pid).cmdline()[-1:] == ["worker"] and is_locked(home / "lock"):
                    found[home.name] = pid
            except (OSError, ValueError, psutil.Error):
                continue
        return found

    def blenders(self, worker_pid: int) -> list[int]:
        """Return pids of the Blenders that a worker has open."""
        try:
            children = psutil.Process(worker_pid).children()
            return [child.pid for child in children if "blender" in child.name()]
        except psutil.Error:
            return []

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Ask the database, past the manager; nothing while there is none."""
        if not (self.state_dir / "burst.db").exists():
            return []
        with closing(checker.open_database(self.state_dir)) as database:
            try:
                return [dict(row) for row in database.execute(query, values)]
            except checker.sqlite3.OperationalError as error:
                if "no such table" in str(error):
                    return []
                raise

    def active_attempts(self) -> list[dict[str, Any]]:
        """Return the attempts that are active."""
        return self.rows("SELECT * FROM attempts WHERE status = 'active'")

    def published(self, job_id: str) -> int:
        """Return how many frames of a job are published."""
        query = "SELECT count(*) AS n FROM frames WHERE job_id = ? AND status = 'published'"
        rows = self.rows(query, job_id)
        return int(rows[0]["n"]) if rows else 0

    def job_status(self, job_id: str) -> str:
        """Return the status of a job."""
        rows = self.rows("SELECT status FROM jobs WHERE id = ?", job_id)
        return str(rows[0]["status"]) if rows else ""

    def was_active_at(self, at: float) -> bool:
        """Say whether an attempt was active at a moment."""
        with closing(checker.open_database(self.state_dir)) as database:
            return bool(checker.attempts_active_at(database, at))

    def wait_gone(self, seconds: float = 120) -> None:
        """Wait until no process of the farm is left."""
        poll(
            lambda: not list(checker.processes_of(self.state_dir)),
            lambda: f"{list(checker.processes_of(self.state_dir))} still there",
            seconds,
        )

    def logs(self) -> str:
        """Return the manager's log, for the message of a test that failed."""
        log = self.state_dir / "logs" / "manager.log"
        return log.read_text("utf-8", "replace")[-6000:] if log.exists() else "no log"

    def published_files(self, job_id: str) -> dict[str, tuple[str, bytes]]:
        """Return of each published frame what tells it from any other file, and its content."""
        if self.gate:
            emulator, prefix = self.gate.emulator, f"renders/{job_id}/"
            found = checker.objects_of(emulator.endpoint, emulator.bucket, prefix)
            return {
                one["name"].rpartition("/")[2]: (
                    str(one["generation"]),
                    checker.content_of(emulator.endpoint, emulator.bucket, one["name"]),
                )
                for one in found
                if one["name"].endswith(".png")
            }
        files = {}
        for path in (self.storage / "renders" / job_id).glob("*.png"):
            status = path.stat()
            files[path.name] = (f"{status.st_ino} {status.st_mtime_ns}", path.read_bytes())
        return files

    def left(self) -> checker.Left:
        """Return what the checker looks at; a bucket is brought here for it."""
        if self.gate:
            self.storage = self.root / "bucket"
            shutil.rmtree(self.storage, ignore_errors=True)
            emulator = self.gate.emulator
            checker.bring_bucket(emulator.endpoint, emulator.bucket, self.storage)
        return checker.Left(self.state_dir, self.storage, self.temporary, self.killed)

    # ── Faults ───────────────────────────────────────────────────────────────────────

    def arm(self, point: str, how: str = "KILL") -> None:
        """Let the next process that passes ``role.point`` end there, or freeze."""
        (self.faults / f"{point}.fired").unlink(missing_ok=True)
        (self.faults / f"{point}.new").write_text(how)
        (self.faults / f"{point}.new").rename(self.faults / f"{point}.armed")

    def fired(self, point: str) -> dict[str, Any] | None:
        """Return what a process said that ended at ``role.point`` and is dead or frozen."""
        path = self.faults / f"{point}.fired"
        if not path.exists():
            return None
        fact = dict(json.loads(path.read_text("utf-8")))
        return fact if not is_awake(fact["pid"]) else None

    def kill_worker(self, name: str, pid: int) -> float:
        """Kill a local worker; return when."""
        at = time.time()
        os.kill(pid, signal.SIGKILL)
        self.killed.append(checker.KilledWorker(name, at))
        return at


def is_locked(path: Path) -> bool:
    """Say whether a process holds a lock on a file."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def is_awake(pid: int) -> bool:
    """Say whether a process runs: it is neither dead nor frozen."""
    try:
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return False


def job_in(words: str) -> str | None:
    """Return the job's id in what ``burst render`` told."""
    found = re.search(r"(?m)^job (\S+?):? (?:does this already: |\d+ frame)", words)
    return found[1] if found else None


@contextmanager
def running_farm(root: Path, gate: Gate | None = None, **settings: str) -> Iterator[Farm]:
    """A farm that is stopped at the end, whatever happens."""
    farm = Farm(root, settings, gate)
    try:
        yield farm
    finally:
        farm.stop()
