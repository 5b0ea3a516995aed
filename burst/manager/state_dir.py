"""The manager's state directory: one manager at a time, and where it can be reached.

::

    manager.lock     held by the manager that uses the directory
    manager.json     its addresses and pid; true while the lock is held
    version          format of everything in here
    stopped          the farm was stopped on purpose; gone when one is started again
    burst.db         the database
    storage.url      the storage that the jobs' scenes and frames are in
    storage/         scenes, frames, logs (unless the storage is elsewhere)
    logs/            what the manager and the workers print, and jobs' logs while they run
    workers/<name>/  a local worker: lock, pid, outbox, scenes, scratch
    own-workers/     workers that were started by hand, the same way
    worker.token     secret of the workers' listener

Light on purpose: the CLI reads it on every command.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from burst.errors import FarmRunning, StateError, StateVersionError

_OWN_STORAGE = "storage"

STATE_VERSION = 1
"""Grows when an older burst could not use the directory any more."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a running manager can be reached."""

    pid: int
    console_url: str
    worker_url: str
    version: str
    implicit: bool
    """Started by a render, and leaves by itself when its last job has ended."""


def lock_path(state_dir: Path) -> Path:
    """Return the file that a running manager holds locked."""
    return state_dir / "manager.lock"


def database_path(state_dir: Path) -> Path:
    """Return where the database is."""
    return state_dir / "burst.db"


def workers_path(state_dir: Path) -> Path:
    """Return the folder of the local workers' folders."""
    return state_dir / "workers"


def logs_path(state_dir: Path) -> Path:
    """Return the folder of logs that are being written."""
    return state_dir / "logs"


def manager_log_path(state_dir: Path) -> Path:
    """Return where a manager that was started in the background writes its own log."""
    return logs_path(state_dir) / "manager.log"


def is_locked(path: Path) -> bool:
    """Say whether a living process holds the lock file at ``path``.

    Raises:
        StateError: the file can't be looked at.
    """
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError as error:
        raise StateError(
            f"can't look at {path}: {error.strerror}", hint="name another folder with --state-dir"
        ) from error
    return False


def find_manager(state_dir: Path) -> Address | None:
    """Return where the manager of this directory is, or None if none runs."""
    if not is_locked(lock_path(state_dir)):
        return None
    return last_address(state_dir)


def last_address(state_dir: Path) -> Address | None:
    """Return where the last manager of this directory was, alive or not."""
    try:
        return Address(**json.loads((state_dir / "manager.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_address(state_dir: Path, address: Address) -> None:
    """Say where this manager can be reached; appears whole."""
    temporary = state_dir / "manager.json.new"
    temporary.write_text(json.dumps(asdict(address), indent=2) + "\n", encoding="utf-8")
    temporary.replace(state_dir / "manager.json")


def check_version(state_dir: Path) -> None:
    """Check that what is in the directory, if anything, is of this burst's format.

    Raises:
        StateVersionError: it is of another's.
        StateError: it can't be read.
    """
    path = state_dir / "version"
    try:
        found = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return
    except OSError as error:
        raise StateError(
            f"can't use {state_dir} for the farm's state: {error.strerror}",
            hint="name another folder with --state-dir or BURST_STATE_DIR",
        ) from error
    if found != str(STATE_VERSION):
        raise StateVersionError(
            f"{state_dir} has state of format {found}, this burst writes {STATE_VERSION}",
            hint="use the burst that made it, or another folder with --state-dir",
        )


def bound_storage(state_dir: Path) -> str | None:
    """Return the URL of the storage that the jobs here have their files in; None without jobs."""
    try:
        bound = _storage_path(state_dir).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None
    return str(state_dir / _OWN_STORAGE) if bound == _OWN_STORAGE else bound or None


def bind_storage(state_dir: Path, url: str) -> None:
    """Write down which storage the jobs here have their files in; appears whole.

    Raises:
        StateError: it can't be written.
    """
    temporary = state_dir / "storage.url.new"
    try:
        # Its own goes where the directory goes.
        own = url == str(state_dir / _OWN_STORAGE)
        temporary.write_text((_OWN_STORAGE if own else url) + "\n", encoding="utf-8")
        temporary.replace(_storage_path(state_dir))
    except OSError as error:
        raise StateError(f"can't write {_storage_path(state_dir)}: {error.strerror}") from error


def check_storage(state_dir: Path, url: str) -> None:
    """Check that the jobs here have their files in the storage at ``url``, if there are jobs.

    Raises:
        StateError: they have them in another one, where this farm would not find them.
    """
    bound = bound_storage(state_dir)
    if bound is not None and bound != url:
        raise StateError(
            f"the jobs of the farm in {state_dir} have their scenes and frames in {bound}, not in "
            f"{url}",
            hint="let a farm over another storage have a folder of its own: --state-dir DIR or "
            "BURST_STATE_DIR",
        )


def _storage_path(state_dir: Path) -> Path:
    return state_dir / "storage.url"


@contextlib.contextmanager
def held_state_dir(state_dir: Path) -> Iterator[None]:
    """Hold the state directory for this manager alone, for as long as the block runs.

    Raises:
        FarmRunning: another manager holds it.
        StateVersionError: another version of burst wrote it.
        StateError: it can't be made or written.
    """
    check_version(state_dir)
    try:
        for folder in (state_dir, logs_path(state_dir), workers_path(state_dir)):
            folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(lock_path(state_dir), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(
            f"can't use {state_dir} for the farm's state: {error.strerror}",
            hint="name another folder with --state-dir or BURST_STATE_DIR",
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FarmRunning(
                f"another manager runs in {state_dir}",
                hint="use it as it is, or stop it with: burst down --local",
            ) from error
        _mark_version(state_dir)
        yield
    finally:
        os.close(lock)


def _mark_version(state_dir: Path) -> None:
    path = state_dir / "version"
    try:
        if not path.exists():
            path.write_text(f"{STATE_VERSION}\n", encoding="utf-8")
    except OSError as error:
        raise StateError(f"can't write {path}: {error.strerror}") from error
