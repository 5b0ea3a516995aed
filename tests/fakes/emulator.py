"""A real fake-gcs-server on loopback, with its objects in a folder.

What it lacks is in docs/verification.md; preconditions are the business of `strict_gcs`. Its
program comes from `scripts/go-tool`; ``BURST_TEST_FAKE_GCS`` names it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

START_SECONDS = 120


@dataclass(frozen=True)
class Emulator:
    """An emulator that runs, with one bucket."""

    endpoint: str
    """What ``STORAGE_EMULATOR_HOST`` is set to."""
    bucket: str
    pid: int
    folder: Path
    """Where its objects lie."""

    @property
    def url(self) -> str:
        """The bucket as burst takes it."""
        return f"gs://{self.bucket}"

    @property
    def environment(self) -> dict[str, str]:
        """What a program that talks to it is given."""
        return {"STORAGE_EMULATOR_HOST": self.endpoint}


def program() -> Path:
    """Return the emulator's program; the test is skipped, with the reason, without one."""
    named = os.environ.get("BURST_TEST_FAKE_GCS")
    if not named:
        pytest.skip("no fake-gcs-server: scripts/go-tool could not build it here")
    return Path(named)


@contextmanager
def running_emulator(folder: Path, bucket: str = "farm", address: str = "") -> Iterator[Emulator]:
    """Run an emulator that keeps its objects below ``folder``, and stop it by its pid.

    It is asked on the loopback, or under the address that is given.
    """
    (folder / bucket).mkdir(parents=True, exist_ok=True)
    server = program()
    port = free_port()
    # By this name, not by number: gcsfuse speaks plain HTTP to localhost alone, unless told more.
    host = f"{address or 'localhost'}:{port}"
    with (folder.with_name(f"{folder.name}.log")).open("wb") as log:
        process = subprocess.Popen(
            [
                str(server), "-scheme", "http", "-host", address or "127.0.0.1", "-port", str(port),
                "-backend", "filesystem", "-filesystem-root", str(folder),
                "-public-host", host,
            ],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        emulator = Emulator(f"http://{host}", bucket, process.pid, folder)
        _wait_until_up(process, emulator)
        yield emulator
    finally:
        process.kill()
        process.wait(10)


def free_port() -> int:
    """Return a port of loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_up(process: subprocess.Popen[bytes], emulator: Emulator) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the emulator ended at once"
        try:
            with urllib.request.urlopen(f"{emulator.endpoint}/storage/v1/b/{emulator.bucket}"):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise AssertionError(f"the emulator does not answer within {START_SECONDS} s")
