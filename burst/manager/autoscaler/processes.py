"""Workers as child processes: the embedded default of the worker provider.

A worker's life is a lock: the provider opens ``workers/<name>/lock``, locks it, and hands
the open file to the child. The lock is free exactly when the child is dead, whoever
started it and whatever happened to the manager in between; no pid can be mistaken.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from burst.config.machine import available_cores, memory_limit_bytes
from burst.domain.pools import WorkerPool
from burst.errors import EXIT_FAILURE, ToolError
from burst.manager.autoscaler.provider import Order, StartedWorker
from burst.manager.state_dir import is_locked

BOOT_SECONDS = 3.0
"""Start of a worker to its first claim, Blender's probe included; measured, rounded up."""

PASSED_ON = (
    "BURST_CAGE",
    "BURST_SCENES",
    "BURST_SCENES_CACHE_BYTES",
    "BURST_SCENES_CACHE_DIR",
    "BURST_STORAGE_AWAY_SECONDS",
)
"""The artist's settings for a worker, which the manager itself has no use for."""

POOL = "local"
"""The one pool that a machine is."""

START_SECONDS = 180.0
"""To probe a bpy wheel on a cold disk takes up to two minutes."""

LOOK_SECONDS = 0.05

LEAVE_SECONDS = 10.0
"""What a worker has to sign off after SIGTERM."""


class ProcessProvider:
    """Workers on this machine, each in a session of its own, so that they outlive a manager."""

    def __init__(
        self, folder: Path, logs: Path, environment: Mapping[str, str], maximum: int
    ) -> None:
        """Keep workers below ``folder`` and what they print in ``logs``.

        Args:
            folder: one folder a worker, by its name.
            logs: one file a worker, kept when it is gone.
            environment: settings of every worker.
            maximum: most workers at a time.
        """
        self._folder = folder
        self._logs = logs
        self._environment = environment
        self._maximum = maximum
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def pools(self) -> Sequence[WorkerPool]:
        """Return the cores and the memory of this machine, or of the cgroup it gives us."""
        pool = WorkerPool(
            name=POOL,
            maximum=self._maximum,
            cores=available_cores(),
            memory_bytes=memory_limit_bytes(),
            boot_seconds=BOOT_SECONDS,
            start_seconds=START_SECONDS,
            is_shared=True,
        )
        return [pool]

    def start(self, orders: Sequence[Order]) -> Mapping[str, str]:
        """Start worker processes, each of which holds the lock of its name."""
        refused = {}
        for order in orders:
            try:
                self._start(order.name, order.threads)
            except OSError as error:
                refused[order.name] = f"can't start worker {order.name}: {error}"
        return refused

    def _start(self, name: str, threads: int) -> None:
        home = self._folder / name
        home.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with self.log_path(name).open("ab") as output:
                self._children[name] = self._spawn(name, home, threads, lock, output.fileno())
        except BlockingIOError:
            return
        finally:
            os.close(lock)

    def list(self) -> Sequence[StartedWorker]:
        """Return every worker that has a folder."""
        found = []
        for home in self._homes():
            child = self._children.get(home.name)
            status = child.poll() if child else None
            if is_locked(home / "lock"):
                found.append(StartedWorker(home.name, running=True, pool=POOL))
            else:
                failure, gave_up = self._failure(home.name, status), status == EXIT_FAILURE
                found.append(StartedWorker(home.name, False, failure, gave_up, POOL))
        return found

    def remove(self, names: Collection[str]) -> None:
        """Kill workers that run, and delete their folders; their logs stay."""
        for name in names:
            self._remove(name)

    def _remove(self, name: str) -> None:
        home = self._folder / name
        if is_locked(home / "lock"):
            with contextlib.suppress(OSError, ValueError):
                os.killpg(int((home / "pid").read_text(encoding="utf-8")), signal.SIGKILL)
        if child := self._children.pop(name, None):
            # Should its pid not be on disk, it is still known here.
            child.kill()
            child.wait()
        shutil.rmtree(home, ignore_errors=True)

    def log_path(self, name: str) -> Path:
        """Return the file that a worker prints to."""
        return self._logs / f"{name}.log"

    def stop_all(self) -> None:
        """Send SIGTERM to every worker and wait until they have left."""
        for worker in self.list():
            if worker.running:
                with contextlib.suppress(OSError, ValueError):
                    pid = (self._folder / worker.name / "pid").read_text(encoding="utf-8")
                    os.kill(int(pid), signal.SIGTERM)
        deadline = time.monotonic() + LEAVE_SECONDS
        while time.monotonic() < deadline and any(w.running for w in self.list()):
            time.sleep(LOOK_SECONDS)
        for worker in self.list():
            if worker.running:
                self._remove(worker.name)

    def _homes(self) -> Sequence[Path]:
        try:
            # Only folders: a desktop may put a file of its own into any folder that it shows.
            return sorted(path for path in self._folder.iterdir() if path.is_dir())
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise ToolError(f"can't look for workers in {self._folder}: {error}") from error

    def _spawn(
        self, name: str, home: Path, threads: int, lock: int, output: int
    ) -> subprocess.Popen[bytes]:
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith("BURST_") or key in PASSED_ON
        }
        child = subprocess.Popen(
            # -P: a folder named burst where the artist happens to be is not the program.
            [sys.executable, "-P", "-m", "burst", "worker"],
            env={
                **inherited,
                **self._environment,
                "BURST_WORKER_NAME": name,
                "BURST_WORK_DIR": str(home),
                "BURST_THREADS": str(threads),
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=(lock,),
        )
        # The child holds the lock from its first instruction on, so a pid that is read
        # while the lock is held is its own.
        try:
            (home / "pid").write_text(str(child.pid), encoding="utf-8")
        except OSError:
            child.kill()
            child.wait()
            raise
        return child

    def _failure(self, name: str, status: int | None) -> str:
        """Say why a worker that has ended did so; empty if it left as it should."""
        if status in (None, 0):
            return ""
        if status is not None and status < 0:
            return f"killed by {signal.Signals(-status).name}"
        with contextlib.suppress(OSError):
            lines = self.log_path(name).read_text("utf-8", "replace").strip().splitlines()
            errors = [line for line in lines if line.startswith("error:")]
            if errors:
                return errors[-1].removeprefix("error:").strip()
        return f"exit status {status}"
