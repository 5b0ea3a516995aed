"""The farm on this machine: find its manager, start one in the background, stop it.

The lock in the state directory decides: of two that start at once one wins, and both
callers end up with the same farm. Nothing here keeps state of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import burst
from burst.config.farm import FarmSettings
from burst.config.load import config_file
from burst.errors import BurstError, ManagerUnreachable, StateError
from burst.manager.state_dir import (
    Address,
    bound_storage,
    find_manager,
    is_locked,
    lock_path,
    manager_log_path,
)
from burst.operations.connect import open_client

START_SECONDS = 60.0
"""A manager is up in two seconds; a busy laptop with a large queue needs longer."""

STOP_SECONDS = 30.0
"""Workers get ten seconds for leaving, the database a moment."""

LEAVE_SECONDS = 10.0
"""What one that has no work any more may take to leave: open streams get three seconds."""

IDLE_EXIT_SECONDS = 5
"""How long a farm stays that was only started for one command."""

_POLL_SECONDS = 0.05
_LOG_LINES = 12
LOST_RACE = "another manager runs"
"""What a manager says that found the state directory held."""

_SPAWNS = 5
"""A manager that is just leaving may hold the lock against the new one, and one may be killed
before it has said where it is."""


@dataclass(frozen=True, slots=True)
class Farm:
    """A running farm."""

    address: Address
    started: bool
    """This call started it."""


def storage_url(settings: FarmSettings) -> str:
    """Return the storage that a farm started with these settings uses.

    What is set, or where the jobs that it has already have their files, or its own folder.
    """
    if settings.storage_url is not None:
        return settings.storage_url
    return bound_storage(settings.state_dir) or str(settings.state_dir / "storage")


def ensure_farm(
    settings: FarmSettings,
    *,
    implicit: bool,
    blenders: Sequence[Path] = (),
    tell: Callable[[str], None] = lambda text: None,
) -> Farm:
    """Return the local farm, started if none runs; blocks until it answers.

    Args:
        settings: where it lives, and what a new one is given.
        implicit: a new one leaves by itself when its last job has ended.
        blenders: those of a new one, where they were looked for already.
        tell: takes a line for people when a manager has to be started.

    Raises:
        StateError: it could not start; the message is the manager's own.
        ManagerUnreachable: it started, but does not answer.
    """
    try:
        settings.state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(settings.state_dir, error) from error
    state_dir = settings.state_dir
    starter = _Starter(settings, implicit, blenders, tell)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        address = find_manager(state_dir)
        # A new manager takes the ports of the last one: the address may be the old one's.
        if address is not None and _answers(address) and find_manager(state_dir) == address:
            return Farm(address, started=starter.is_ours(address))
        if not is_locked(lock_path(state_dir)):
            starter.keep_going()
        time.sleep(_POLL_SECONDS)
    raise ManagerUnreachable(
        f"the local farm in {state_dir} does not answer after {START_SECONDS:.0f} s",
        hint=f"see {manager_log_path(state_dir)}, or stop it with: burst down --local",
    )


def was_stopped(state_dir: Path) -> bool:
    """Say whether the last farm here was stopped by ``burst down``, rather than killed."""
    return _stop_mark(state_dir).exists()


def has_left(state_dir: Path) -> bool:
    """Say whether a manager that hung up on its callers has gone; waits until it has."""
    return _gone(state_dir, LEAVE_SECONDS)


@dataclass(frozen=True, slots=True)
class Stopped:
    """What stopping a farm took."""

    address: Address
    killed: bool
    """It did not leave when asked to."""


def stop_farm(state_dir: Path) -> Stopped | None:
    """Stop the local farm and wait until it has gone; None if none runs.

    Its queue stays on disk. A manager that does not leave is killed.

    Raises:
        StateError: what holds the lock is not to be found, or can't be stopped.
    """
    if not is_locked(lock_path(state_dir)):
        return None
    address = find_manager(state_dir)
    if address is None or not _is_manager(address.pid):
        raise StateError(
            f"something holds {lock_path(state_dir)}, but no manager said where it is",
            hint="it may be starting: try again in a moment",
        )
    _stop_mark(state_dir).touch()
    _send(address.pid, signal.SIGTERM)
    killed = not _gone(state_dir, STOP_SECONDS)
    if killed:
        _send(address.pid, signal.SIGKILL)
        if not _gone(state_dir, STOP_SECONDS):
            raise StateError(f"the manager (process {address.pid}) can't be stopped")
    return Stopped(address, killed)


def _stop_mark(state_dir: Path) -> Path:
    """Return the file by which a watching command knows that a farm was stopped on purpose.

    It is there from ``burst down`` to the next start.
    """
    return state_dir / "stopped"


class _Starter:
    """Starts the manager, again if it lost a race, and explains why it died."""

    def __init__(
        self,
        settings: FarmSettings,
        implicit: bool,
        blenders: Sequence[Path],
        tell: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._environment = manager_environment(settings, os.environ, implicit, blenders)
        self._tell = tell
        self._child: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._spawns = 0

    def is_ours(self, address: Address) -> bool:
        return self._child is not None and self._child.pid == address.pid

    def keep_going(self) -> None:
        """Start a manager, unless the one that was started is still on its way.

        Raises:
            StateError: it died, and another try would not help.
        """
        if self._child is not None:
            if self._child.poll() is None:
                return
            self._give_up_unless_worth_a_try(self._child.returncode)
        if not self._spawns:
            self._tell("starting a farm on this machine")
        self._spawn()

    def _spawn(self) -> None:
        log = manager_log_path(self._settings.state_dir)
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            _stop_mark(self._settings.state_dir).unlink(missing_ok=True)
            with log.open("ab") as sink:
                self._log_start = sink.tell()
                self._child = subprocess.Popen(
                    [sys.executable, "-P", "-m", "burst", "manager"],
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=sink,
                    env=self._environment,
                    start_new_session=True,
                )
        except OSError as error:
            raise _unusable(self._settings.state_dir, error) from error
        self._spawns += 1

    def _give_up_unless_worth_a_try(self, exit_status: int) -> None:
        """Return if the manager lost a race, or was killed: that says nothing about the next."""
        with manager_log_path(self._settings.state_dir).open("rb") as log:
            log.seek(self._log_start)
            words = log.read().decode(errors="replace").splitlines()
        message, hint = explain_death(words)
        was_unlucky = LOST_RACE in message or exit_status < 0
        if not was_unlucky or self._spawns >= _SPAWNS:
            log_hint = f"its log is {manager_log_path(self._settings.state_dir)}"
            raise StateError(f"the local farm could not start: {message}", hint=hint or log_hint)


def explain_death(words: list[str]) -> tuple[str, str | None]:
    """Return message and hint from a manager's last words: its own, else its last lines."""
    message, hint = "", None
    for line in words:
        if line.startswith("error: "):
            message, hint = line.removeprefix("error: "), None
        elif line.startswith("hint: "):
            hint = line.removeprefix("hint: ")
    if not message and not words:
        return "it ended without a word", "look whether the disk of the state directory is full"
    return message or "\n".join(words[-_LOG_LINES:]), hint


def manager_environment(
    settings: FarmSettings,
    environ: Mapping[str, str],
    implicit: bool,
    blenders: Sequence[Path] = (),
) -> dict[str, str]:
    """Return the environment of a manager in the background.

    Ports are any that are free, unless the user has set one.
    """
    ours: dict[str, Any] = {
        "BURST_STATE_DIR": settings.state_dir,
        "BURST_STORAGE_URL": storage_url(settings),
        "BURST_BLENDER": os.pathsep.join(map(str, blenders)) or settings.blender,
        "BURST_WORKERS": settings.workers,
    }
    if implicit and not environ.get("BURST_EXIT_WHEN_IDLE_SECONDS"):
        ours["BURST_EXIT_WHEN_IDLE_SECONDS"] = IDLE_EXIT_SECONDS
    in_file = _manager_table(environ)
    for field in ("console_listen", "worker_listen"):
        if field not in in_file and not environ.get(f"BURST_{field.upper()}"):
            ours[f"BURST_{field.upper()}"] = "127.0.0.1:0"
    set_values = {key: str(value) for key, value in ours.items() if value is not None}
    return {**environ, **_import_path(environ), **set_values}


def _manager_table(environ: Mapping[str, str]) -> Mapping[str, Any]:
    """Return what ``burst.toml`` says of the manager, which the environment would overrule."""
    path = config_file(environ)
    table = tomllib.loads(path.read_text(encoding="utf-8")).get("manager") if path else None
    return table if isinstance(table, dict) else {}


def _import_path(environ: Mapping[str, str]) -> dict[str, str]:
    """Let the child import this very burst, where it is not an installed one.

    The folder that the artist stands in must not be importable: it may hold a ``burst``.
    """
    root = str(Path(burst.__file__).resolve().parents[1])
    if root in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        return {}
    return {"PYTHONPATH": os.pathsep.join(filter(None, (root, environ.get("PYTHONPATH"))))}


def _unusable(state_dir: Path, error: OSError) -> StateError:
    return StateError(
        f"can't use {state_dir} for the farm's state: {error.strerror}",
        hint="name another folder with --state-dir or BURST_STATE_DIR",
    )


def _answers(address: Address) -> bool:
    try:
        with open_client(address.console_url) as client:
            client.status()
    except BurstError:
        return False
    return True


def _is_manager(pid: int) -> bool:
    """Say whether the process is a manager: an address may be left from one that died."""
    import psutil

    try:
        return "manager" in psutil.Process(pid).cmdline()
    except psutil.Error:
        return False


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except OSError as error:
        raise StateError(
            f"can't stop the manager (process {pid}): {error.strerror}",
            hint="it may belong to another user",
        ) from error


def _gone(state_dir: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while is_locked(lock_path(state_dir)):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
