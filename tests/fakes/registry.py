"""A real registry of container images, with its images in a folder.

Its program comes from `scripts/go-tool`; ``BURST_TEST_REGISTRY`` names it.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.emulator import free_port

START_SECONDS = 120


@dataclass(frozen=True)
class Registry:
    """A registry that runs, without TLS."""

    address: str
    """``HOST:PORT``, with which names of its images begin."""

    def trust(self) -> None:
        """Have buildah and podman speak to it without TLS, as the user of this test's home."""
        file = Path.home() / ".config" / "containers" / "registries.conf"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'[[registry]]\nlocation = "{self.address}"\ninsecure = true\n')

    def tags(self, repository: str) -> list[str]:
        """Return the tags that a repository has."""
        url = f"http://{self.address}/v2/{repository}/tags/list"
        try:
            with urllib.request.urlopen(url, timeout=START_SECONDS) as answer:
                return list(json.load(answer)["tags"] or ())
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.NOT_FOUND:
                raise
            return []


def program() -> Path:
    """Return the registry's program; the test is skipped, with the reason, without one."""
    named = os.environ.get("BURST_TEST_REGISTRY")
    if not named:
        pytest.skip("no registry: scripts/go-tool could not build it here")
    return Path(named)


@contextmanager
def running_registry(folder: Path, host: str, *, closed: bool = False) -> Iterator[Registry]:
    """Run a registry that keeps its images below ``folder``, and stop it by its pid.

    Args:
        folder: for all that it has.
        host: the address that it is asked under.
        closed: it wants a login, and there is none that it takes.
    """
    folder.mkdir(parents=True)
    server = program()
    address = f"{host}:{free_port()}"
    settings: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
        "http": {"addr": address, "secret": "of this test"},
    }
    if closed:
        nobody = folder / "nobody"
        nobody.touch()
        settings["auth"] = {"htpasswd": {"realm": "closed", "path": str(nobody)}}
    config = folder / "config.json"
    config.write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(server), "serve", str(config)],
            # It would tell others of what it does.
            env={"OTEL_TRACES_EXPORTER": "none"},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        _wait_until_up(process, address)
        yield Registry(address)
    finally:
        process.kill()
        process.wait(10)


def _wait_until_up(process: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the registry ended at once"
        try:
            urllib.request.urlopen(f"http://{address}/v2/", timeout=START_SECONDS).close()
        except urllib.error.HTTPError:
            # It answers, if only to say that it wants a login.
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"the registry does not answer within {START_SECONDS} s")
