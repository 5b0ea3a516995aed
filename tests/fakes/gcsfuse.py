"""A bucket mounted by real gcsfuse, read-only, as worker pods have it.

Its program comes from `scripts/go-tool`; ``BURST_TEST_GCSFUSE`` names it. To mount needs root,
``/dev/fuse`` and Debian's ``fuse3``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

MOUNT_SECONDS = 120
LEAVE_SECONDS = 5
BOUNDED = ("--max-retry-attempts=2", "--max-retry-sleep=1s")
"""Lets a read end in an error, some seconds after the bucket went away."""
ENDLESS = ()
"""The default: a read waits until the bucket is back, and can't be killed."""


def program() -> Path:
    """Return gcsfuse; the test is skipped, with the reason, where it can't be used."""
    named = os.environ.get("BURST_TEST_GCSFUSE")
    if not named:
        pytest.skip("no gcsfuse: scripts/go-tool could not build it here")
    if not Path("/dev/fuse").exists():
        pytest.skip("no /dev/fuse on this machine")
    if os.geteuid() != 0:
        pytest.skip("to mount needs root")
    if not shutil.which("fusermount3"):
        pytest.skip("no fusermount3: scripts/setup --fuse installs it")
    return Path(named)


@contextmanager
def mounted(
    endpoint: str, bucket: str, folder: Path, flags: Sequence[str] = BOUNDED
) -> Iterator[int]:
    """Mount a bucket on ``folder``, and unmount it; yields gcsfuse's pid.

    Args:
        endpoint: of the emulator, or of a proxy before it; with the name ``localhost``.
        bucket: its name.
        folder: made if it is not there.
        flags: more of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        str(program()), "--foreground", f"--custom-endpoint={endpoint}/storage/v1/",
        "--anonymous-access", "--implicit-dirs", "-o", "ro", "-o", "allow_other",
        *flags, bucket, str(folder),
    ]  # fmt: skip
    with folder.with_name(f"{folder.name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _wait_until_mounted(process, folder)
        yield process.pid
    finally:
        unmount(process, folder)


def unmount(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Unmount, whoever still reads, and end gcsfuse, which sometimes stays."""
    subprocess.run(["fusermount3", "-u", "-z", str(folder)], check=False, capture_output=True)
    try:
        process.wait(LEAVE_SECONDS)
    except subprocess.TimeoutExpired:
        # With it goes the connection, so that whoever waits in it for ever gets an error.
        process.kill()
        process.wait(LEAVE_SECONDS)


def _wait_until_mounted(process: subprocess.Popen[bytes], folder: Path) -> None:
    log = folder.with_name(f"{folder.name}.log")
    deadline = time.monotonic() + MOUNT_SECONDS
    while not folder.is_mount():
        assert process.poll() is None, log.read_text(errors="replace")
        assert time.monotonic() < deadline, log.read_text(errors="replace")
        time.sleep(0.02)
