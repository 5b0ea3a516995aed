"""Holding a farm for one run, and putting in order what a run before left.

::

    PLACE/run.lock    locked as long as a run of this state directory lives
    PLACE/run.json    whose that is
    PLACE/terraform/  working copies of the roots

A run holds two locks: the file, which tells of this machine for sure, and `RUN` in the state
bucket, which tells others. Whatever ended a run, the next one of this machine goes on by itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import socket
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil

from burst.cloud.state_bucket import StateBucket
from burst.cloud.terraform import LOCK_FILE, Terraform, nobody_hears
from burst.cloud.terraform_copies import copy_roots
from burst.cloud.terraform_errors import ERRORED_STATE
from burst.cloud.terraform_events import Hear
from burst.cloud.terraform_locks import (
    RUN,
    Host,
    Run,
    is_gone,
    is_left_by,
    read_run,
    read_state_lock,
)
from burst.cloud.terraform_watch import Tell
from burst.errors import BurstError, FarmBusy, StateError
from burst.storage.objects import ABSENT

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PROCESSES = Path("/proc/self/ns/pid")
_OVERRIDE = ("burst_override.tf", 'terraform {\n  backend "local" {}\n}\n')
"""Has the state in the folder; Terraform merges files of this name into the others."""
_TAKES = 3
"""Tries to take the lock: somebody else may do so, or give it back, at the same time."""


@contextlib.contextmanager
def held_farm(bucket: StateBucket, place: Path, command: str, tell: Tell) -> Iterator[None]:
    """Hold a farm for as long as the block runs.

    Args:
        bucket: the farm's state bucket, which is there.
        place: folder of the farm in the state directory.
        command: what was typed: ``burst up``.
        tell: hears what was freed.

    Raises:
        FarmBusy: a living run holds it; the message says whose.
        StateError: the folder can't be written.
        StorageError: the bucket can't be.
    """
    with _held_place(place, command) as run:
        generation = _take(bucket, run, tell)
        try:
            yield
        finally:
            try:
                bucket.remove(RUN, generation)
            except BurstError as error:
                tell(f"the farm stays locked until the next run from here: {error.message}")


def open_root(
    terraform: Terraform,
    bucket: StateBucket,
    source: Path,
    prefix: str,
    *,
    tell: Tell,
    hear: Hear = nobody_hears,
) -> None:
    """Get a root ready to plan, with everything in order that an earlier run left.

    A call that is still at work is waited for; a lock that a dead one left is freed; a state
    that could not be written is.

    Args:
        terraform: in the root's working copy, which need not be there yet.
        bucket: of the state; the run holds the farm.
        source: the folder ``terraform/`` that came with burst.
        prefix: of the root's objects in the bucket.
        tell: hears what was found and done.
        hear: hears what a call that is still at work says.

    Raises:
        BurstError: it does not work; the message says why.
    """
    wait_for_call(terraform, tell, hear)
    _free_state(terraform, bucket, prefix, tell)
    copy_roots(source, terraform.folder.parents[1])
    _keep_lock_file(terraform, bucket, prefix, _init(terraform, bucket, prefix))
    pushed = terraform.push_errored_state()
    if pushed:
        tell("wrote the state that an earlier run could not write")
    elif pushed is False:
        tell(f"the state has changed since {ERRORED_STATE} was left: that was put aside")


def open_to_plan(
    terraform: Terraform, source: Path, bucket: StateBucket | None = None, prefix: str = ""
) -> None:
    """Get a root ready to be looked at: `Terraform.plan` without a lock, and nothing else.

    Nothing is written but the folder, which is not that of the farm's working copy. So it may be
    done beside a run that holds the farm, and before there is a bucket: then everything would be
    made.

    Args:
        terraform: in a working copy of the root, which need not be there yet.
        source: the folder ``terraform/`` that came with burst.
        bucket: of the state; None if there is none.
        prefix: of the root's objects in the bucket.

    Raises:
        BurstError: it does not work; the message says why.
    """
    copy_roots(source, terraform.folder.parents[1])
    if bucket is None:
        (terraform.folder / _OVERRIDE[0]).write_text(_OVERRIDE[1], "utf-8")
        terraform.init({})
    else:
        _init(terraform, bucket, prefix)


def wait_for_call(terraform: Terraform, tell: Tell, hear: Hear = nobody_hears) -> None:
    """Wait for a call of an earlier run that is still at work, if there is one.

    Raises:
        RunInterrupted: Ctrl-C was passed on to it.
    """
    call = terraform.last_call
    if call is not None and terraform.is_at_work:
        process = f" (process {call.pid})" if call.pid else ""
        tell(
            f"terraform {call.operation} of an earlier run{process} is still at work: "
            "waiting for it"
        )
        terraform.wait(hear)


def _free_state(terraform: Terraform, bucket: StateBucket, prefix: str, tell: Tell) -> None:
    """Free the state of the lock of a call that was killed."""
    call = terraform.last_call
    if call is None:
        return
    name = f"{prefix}/default.tflock"
    found = bucket.look(name)
    lock = read_state_lock(found[0]) if found else None
    if found and lock and is_left_by(lock, call, f"{_user()}@{socket.gethostname()}"):
        bucket.remove(name, found[1])
        tell(f"freed the state of the lock of {lock}: that process is gone")
    terraform.forget_last_call()


def _lock_file(prefix: str) -> str:
    return f"{prefix}/terraform.lock.hcl"


def _init(terraform: Terraform, bucket: StateBucket, prefix: str) -> bytes | None:
    """Get a root ready with the provider that the bucket names, and return what names it."""
    found = bucket.read(_lock_file(prefix))
    if found is not None:
        (terraform.folder / LOCK_FILE).write_bytes(found)
    terraform.init({"bucket": bucket.name, "prefix": prefix})
    return found


def _keep_lock_file(
    terraform: Terraform, bucket: StateBucket, prefix: str, found: bytes | None
) -> None:
    kept = terraform.folder / LOCK_FILE
    made = kept.read_bytes() if kept.exists() else None
    if made is not None and made != found:
        bucket.write(_lock_file(prefix), made)


@contextlib.contextmanager
def _held_place(place: Path, command: str) -> Iterator[Run]:
    """Hold a farm's folder, and yield the run that this is."""
    noted = place / "run.json"
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(place / "run.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(place, error) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            run = _this_run(place.parent, command)
            noted.write_bytes(run.to_json())
        except BlockingIOError as error:
            raise _busy(_read(noted)) from error
        except OSError as error:
            raise _unusable(place, error) from error
        yield run
    finally:
        os.close(lock)


def _unusable(place: Path, error: OSError) -> StateError:
    return StateError(
        f"can't use {place}: {error.strerror}",
        hint="name another folder with BURST_STATE_DIR, or free some space",
    )


def _take(bucket: StateBucket, run: Run, tell: Tell) -> int:
    """Take the lock in the bucket, and return its generation."""
    for _ in range(_TAKES):
        found = bucket.look(RUN)
        holder = read_run(found[0]) if found else None
        if found and (holder is None or not is_gone(holder, run.host, _started_at)):
            raise _busy(holder, f"gs://{bucket.name}/{RUN}")
        # That very one: of two who find it, one takes it over.
        generation = bucket.replace(RUN, run.to_json(), found[1] if found else ABSENT)
        if generation is not None:
            if holder:
                tell(f"freed the farm of the lock of {holder}: that process is gone")
            return generation
    raise _busy(None)


def _busy(holder: Run | None, lock: str | None = None) -> FarmBusy:
    freeing = f"; if that is gone for good: gcloud storage rm {lock}" if lock else ""
    return FarmBusy(
        f"{holder or 'another burst'} is at work on this farm",
        hint=f"wait for it, then try again{freeing}",
    )


def _this_run(places: Path, command: str) -> Run:
    process = psutil.Process()
    return Run(
        id=uuid.uuid4().hex,
        command=command,
        user=_user(),
        host=Host(socket.gethostname(), _state_id(places), _boot_id()),
        pid=process.pid,
        started_at=process.create_time(),
        began=f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
    )


def _state_id(places: Path) -> str:
    """Return what tells this state directory from every other; made up once."""
    path = places / "id"
    if not path.exists():
        made = places / f".{uuid.uuid4().hex}"
        made.write_text(uuid.uuid4().hex, "ascii")
        # It appears whole, and once.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(made)
        made.unlink()
    return path.read_text("ascii")


def _boot_id() -> str:
    try:
        return f"{_BOOT.read_text('ascii').strip()} {_PROCESSES.readlink()}"
    except OSError:
        return str(int(psutil.boot_time()))


def _user() -> str:
    # Of the process and not of the environment, as Terraform has it.
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return os.environ.get("USER", str(os.getuid()))


def _started_at(pid: int) -> float | None:
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None


def _read(path: Path) -> Run | None:
    try:
        return read_run(path.read_bytes())
    except OSError:
        return None
