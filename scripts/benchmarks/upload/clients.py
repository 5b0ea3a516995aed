"""Who uploads: `gcloud storage rsync`, Google's `transfer_manager` and burst, each as a program."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.upload.memory import PeakMemory
from benchmarks.upload.sink import BUCKET, Sink
from burst.errors import ToolError
from burst.worker.discovery import find_blenders, probe_blenders

HERE = Path(__file__).resolve().parent
_SECONDS = 3600
"""No single upload takes longer."""


class NotMeasured(Exception):
    """Why there is no figure."""


@dataclass(frozen=True, slots=True)
class Run:
    """One upload."""

    seconds: float
    cpu_seconds: float
    """Of the client and all that it started."""
    server_cpu_seconds: float
    blob_bytes: int
    """That arrived at the server: files, without manifests."""
    peak_mib: float = 0.0
    """Of all processes together; 0 where nobody looked."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How `transfer_manager` is told to work."""

    kind: str
    """``process`` or ``thread``."""
    workers: int

    def __str__(self) -> str:
        return f"{self.workers} {self.kind}{'es' if self.kind == 'process' else 's'}"


def has_gcloud() -> bool:
    """Tell whether this machine has it."""
    return shutil.which("gcloud") is not None


def run_gcloud(folder: Path, sink: Sink, home: Path) -> Run:
    """Copy a folder by `gcloud storage rsync`, with a configuration of its own in ``home``."""
    environment = {
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"{sink.url}/",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CONFIG": str(home),
        "CLOUDSDK_CORE_PROJECT": "bench",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "true",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
    }
    command = ["gcloud", "storage", "rsync", "--recursive", "--quiet"]
    return _measure([*command, str(folder), f"gs://{BUCKET}/copy"], environment, sink)


def run_transfer_manager(folder: Path, sink: Sink, setting: Setting) -> Run:
    """Copy a folder by google-cloud-storage's `transfer_manager`."""
    command = [sys.executable, str(HERE / "inside_transfer_manager.py")]
    command += [str(folder), BUCKET, setting.kind, str(setting.workers)]
    return _measure(command, {"STORAGE_EMULATOR_HOST": sink.url}, sink)


def new_home(folder: Path) -> Path:
    """Make a home in which only the Blenders of this machine are known: no hash, no scene."""
    with contextlib.suppress(ToolError):
        probe_blenders(find_blenders(None), cache=folder / "cache" / "burst")
    return folder


def run_burst(blend: Path, sink: Sink, home: Path, *, watched: bool = False) -> tuple[Run, Any]:
    """Upload a scene by `burst upload`, which remembers hashes in ``home``; and its JSON."""
    environment = {
        "STORAGE_EMULATOR_HOST": sink.url,
        "BURST_STORAGE_URL": f"gs://{BUCKET}",
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CONFIG_HOME": str(home / "config"),
    }
    output = home / "uploaded.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-P", "-m", "burst", "upload", str(blend), "--json"]
    run = _measure(command, environment, sink, output=output, watched=watched)
    return run, json.loads(output.read_text(encoding="utf-8"))


def _measure(
    command: list[str],
    environment: dict[str, str],
    sink: Sink,
    *,
    output: Path | None = None,
    watched: bool = False,
) -> Run:
    """Run one client from its start to its end, and see what it cost."""
    sink.restart_figures()
    log = sink.folder / "client.log"
    with log.open("wb") as messages, (output or Path(os.devnull)).open("wb") as answer:
        begun, before = time.perf_counter(), os.times()
        process = subprocess.Popen(
            command,
            env={**_plain_environment(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=answer,
            stderr=messages,
        )
        memory = PeakMemory(process.pid) if watched else None
        try:
            status = process.wait(_SECONDS)
        finally:
            process.kill()
            process.wait()
        seconds, after = time.perf_counter() - begun, os.times()
    if status != 0:
        text = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise NotMeasured(f"{command[0]} ended with {status}: {text}")
    figures = sink.figures()
    received = figures["bytes"] or {}
    return Run(
        seconds=seconds,
        cpu_seconds=after.children_user
        - before.children_user
        + after.children_system
        - before.children_system,
        server_cpu_seconds=figures["cpu_seconds"],
        blob_bytes=sum(received.get(first, 0) for first in ("blobs", "copy", "incoming")),
        peak_mib=memory.stop() if memory else 0.0,
    )


def _plain_environment() -> dict[str, str]:
    """Return what the machine gives, without what this user has set for burst, Google or Python."""
    mine = ("BURST_", "CLOUDSDK_", "GOOGLE_", "PYTHON", "STORAGE_EMULATOR_HOST", "XDG_")
    return {key: value for key, value in os.environ.items() if not key.startswith(mine)}
