"""What this machine has for rendering, and what it lacks."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from burst import __version__
from burst.config.farm import FarmSettings, default_cache_dir
from burst.config.machine import available_cores, memory_limit_bytes
from burst.domain.workers import FEATURE_NAMES, BlenderFacts
from burst.errors import BurstError
from burst.manager.state_dir import find_manager
from burst.operations.check import prove_writable
from burst.operations.connect import open_client
from burst.operations.local_farm import storage_url
from burst.storage import layout
from burst.storage.storage import open_storage
from burst.worker.discovery import find_blenders, probe_blender
from burst.worker.ffmpeg import ffmpeg_version

_DISK_FREE_BYTES = 2_000_000_000
"""Less than this is soon full: a scene, its copies in Blender's scratch, and its frames."""
_MEMORY_BYTES = 4_000_000_000

Verdict = Literal["good", "warning", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    verdict: Verdict
    """``bad`` prevents rendering."""
    text: str
    hint: str | None = None
    blender: str | None = None
    """Which Blender it is about, where it is one of them."""


def examine(settings: FarmSettings, environ: Mapping[str, str] = os.environ) -> list[Finding]:
    """Look at everything that rendering on this machine needs; tries Blender out. Blocks."""
    return [
        Finding("burst", "good", f"{__version__} in {Path(__file__).resolve().parents[1]}"),
        _python(),
        _machine(),
        *_blenders(settings),
        _ffmpeg(),
        *_state_dir(settings),
        _disk(settings),
        _farm(settings),
        *_ports(environ),
    ]


def blender_findings(program: Path, blender: BlenderFacts, *, alone: bool) -> list[Finding]:
    """Say what one Blender can do here.

    Args:
        program: it.
        blender: what was found out about it.
        alone: there is no other that renders something.
    """
    usable = [engine for engine, reason in blender.engines.items() if not reason]
    worst: Verdict = "bad" if alone and not usable else "warning"
    engines = [
        Finding(engine, worst if reason else "good", reason or "renders here")
        for engine, reason in sorted(blender.engines.items())
    ]
    about = [*engines, *_device_findings(blender), _features(blender)]
    return [
        Finding("blender", "good", f"{blender.label} ({program})"),
        *(replace(finding, blender=blender.label) for finding in about),
    ]


def _device_findings(blender: BlenderFacts) -> list[Finding]:
    found = [f"{kind} ({', '.join(names)})" for kind, names in blender.devices.items() if names]
    text = ", ".join(found) or "no GPU, Cycles computes on the processor"
    return [
        Finding("devices", "good", text),
        *(
            Finding("devices", "warning", f"can't look for {kind}: {trouble}")
            for kind, trouble in blender.device_troubles.items()
        ),
    ]


def _features(blender: BlenderFacts) -> Finding:
    """Say what this build has; what it lacks matters only to a scene that needs it."""
    has = [name for key, name in FEATURE_NAMES.items() if blender.features.get(key) == ""]
    lacks = [name for key, name in FEATURE_NAMES.items() if blender.features.get(key) != ""]
    said = [
        f"{word} {', '.join(names)}" for word, names in (("has", has), ("lacks", lacks)) if names
    ]
    return Finding("features", "good", "; ".join(said))


def _python() -> Finding:
    return Finding("python", "good", f"{platform.python_version()} ({sys.executable})")


def _machine() -> Finding:
    memory = memory_limit_bytes()
    text = f"{available_cores()} cores, {memory / 1e9:.1f} GB of memory"
    if memory < _MEMORY_BYTES:
        return Finding("machine", "warning", text, "large scenes may not fit")
    return Finding("machine", "good", text)


def _blenders(settings: FarmSettings) -> list[Finding]:
    try:
        programs = find_blenders(settings.blender)
    except BurstError as error:
        return [Finding("blender", "bad", error.message, error.hint)]
    found: list[tuple[Path, BlenderFacts]] = []
    errors: list[BurstError] = []
    for program in programs:
        try:
            found.append((program, probe_blender(program, cache=default_cache_dir())))
        except BurstError as error:
            errors.append(error)
    able = [any(not reason for reason in facts.engines.values()) for _, facts in found]
    findings = []
    for program, facts in found:
        findings += blender_findings(program, facts, alone=not any(able))
    worst: Verdict = "warning" if found else "bad"
    return findings + [Finding("blender", worst, error.message, error.hint) for error in errors]


def _ffmpeg() -> Finding:
    version = ffmpeg_version()
    if version:
        return Finding("ffmpeg", "good", version)
    return Finding("ffmpeg", "warning", "there is none, so no videos can be made", "install ffmpeg")


def _state_dir(settings: FarmSettings) -> list[Finding]:
    url = storage_url(settings)
    if url.startswith("gs://"):
        return [_folder("state", settings.state_dir), _bucket(url)]
    storage = Path(url.removeprefix("file://"))
    return [_folder("state", settings.state_dir), _folder("storage", storage)]


def _folder(subject: str, folder: Path) -> Finding:
    try:
        prove_writable(folder)
    except BurstError as error:
        hint = "name another folder with BURST_STATE_DIR or BURST_STORAGE_URL"
        return Finding(subject, "bad", error.message, hint)
    return Finding(subject, "good", f"{folder} can be written")


def _bucket(url: str) -> Finding:
    """Do once, to an object of our own, what a farm does to a bucket."""
    try:
        storage, name = open_storage(url), layout.incoming("doctor", secrets.token_hex(8))
        storage.put_bytes(b"", name)
        storage.get_bytes(name)
        storage.delete(name)
    except BurstError as error:
        return Finding("storage", "bad", error.message, error.hint)
    return Finding("storage", "good", f"{url} can be read and written")


def _disk(settings: FarmSettings) -> Finding:
    folder = settings.state_dir
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    text = f"{free / 1e9:.1f} GB free for the farm's state"
    if free < _DISK_FREE_BYTES:
        return Finding("disk", "warning", text, "free some space before you render")
    return Finding("disk", "good", text)


def _farm(settings: FarmSettings) -> Finding:
    address = find_manager(settings.state_dir)
    if address is None:
        return Finding("farm", "good", "none is running; a render starts one")
    try:
        with open_client(address.console_url) as client:
            status = client.status()
    except BurstError as error:
        return Finding("farm", "bad", error.message, "stop it with: burst down --local")
    kind = "started by a render" if address.implicit else "stays until burst down"
    if status.version != __version__:
        return Finding(
            "farm",
            "warning",
            f"runs at {address.console_url} as burst {status.version}, this is {__version__}",
            "stop it with: burst down --local",
        )
    return Finding("farm", "good", f"runs at {address.console_url} ({kind})")


def _ports(environ: Mapping[str, str]) -> list[Finding]:
    """Look whether the ports that were asked for are free; by default any free one is taken."""
    findings = []
    for variable in ("BURST_CONSOLE_LISTEN", "BURST_WORKER_LISTEN"):
        host, _, port = environ.get(variable, "").rpartition(":")
        if not port.isdigit() or port == "0":
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host.strip("[]") or "127.0.0.1", int(port)))
            except OSError as error:
                text = f"{variable} is {host}:{port}: {error.strerror}"
                findings.append(
                    Finding("port", "warning", text, "fine if the farm that runs has it")
                )
            else:
                findings.append(Finding("port", "good", f"{host}:{port} is free"))
    return findings
