"""Find the Blenders of this machine, and what each of them can do here.

What they can do is found out by experiment (`burst.worker.probing`) and remembered in
burst's cache. Called by the worker at its start, by ``burst render`` and ``burst doctor``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from burst.config.machine import available_cores
from burst.domain.workers import BlenderFacts
from burst.errors import BlenderNotFound
from burst.worker.probing import HINT, examine

log = logging.getLogger(__name__)

PROBE_VERSION = 2
"""Raised when the probe changes, so that remembered answers are asked for again."""

NO_BLENDER = "none"
"""Named in ``BURST_BLENDER``, it makes a worker that only runs commands."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A Blender on this machine."""

    program: Path
    facts: BlenderFacts


def find_blenders(wanted: str | None) -> tuple[Path, ...]:
    """Return the Blenders to use, without starting any.

    Args:
        wanted: programs separated as in PATH, each a ``blender`` or the ``python`` of an
            environment with bpy; ``none`` is no Blender at all. None looks for a
            ``blender`` in PATH and for every environment in burst's cache.

    Raises:
        BlenderNotFound: there is none.
    """
    if wanted == NO_BLENDER:
        return ()
    if wanted:
        return _named([name for name in wanted.split(os.pathsep) if name])
    program = shutil.which("blender")
    found = [Path(program).absolute()] if program else []
    found += _bpy_environments()
    if not found:
        raise BlenderNotFound("no usable Blender on this machine", hint=HINT)
    return tuple(found)


def _named(names: Sequence[str]) -> tuple[Path, ...]:
    found: dict[Path, None] = {}
    errors = []
    for name in names:
        program = shutil.which(os.path.expanduser(name))  # noqa: PTH111 - a Path would lose ./
        if program:
            found[Path(program).absolute()] = None
            continue
        errors.append(
            BlenderNotFound(
                f"{name} is not a program",
                hint="set BURST_BLENDER to a blender program or to the python that has bpy",
            )
        )
    _leave_out(errors, bool(found))
    return tuple(found)


def probe_blenders(
    programs: Sequence[Path], cache: Path | None = None, *, fresh: bool = False
) -> tuple[Installed, ...]:
    """Find out what each of several Blenders can do, one on each core; see `probe_blender`.

    One that is not usable is left out, as long as another is.

    Raises:
        BlenderNotFound: none of them is.
    """
    found: list[Installed] = []
    errors: list[BlenderNotFound] = []
    at_once = max(1, min(len(programs), available_cores()))
    with ThreadPoolExecutor(at_once, thread_name_prefix="probe") as threads:
        probes = [
            threads.submit(probe_blender, program, cache, fresh=fresh) for program in programs
        ]
        for program, probe in zip(programs, probes, strict=True):
            try:
                found.append(Installed(program, probe.result()))
            except BlenderNotFound as error:
                errors.append(error)
    _leave_out(errors, bool(found))
    return tuple(found)


def _leave_out(errors: Sequence[BlenderNotFound], others: bool) -> None:
    if errors and not others:
        raise errors[0]
    for error in errors:
        log.warning("a Blender is left out: %s", error)


def probe_blender(program: Path, cache: Path | None = None, *, fresh: bool = False) -> BlenderFacts:
    """Find out what a Blender is and what it can do here. Blocks for some seconds.

    Args:
        program: as `find_blenders` returns it.
        cache: folder to remember the answer in, for this very program.
        fresh: ask anew, whatever is remembered.

    Raises:
        BlenderNotFound: it is no Blender, too old, or does not start.
    """
    remembered = _memory(program, cache) if cache else None
    if remembered and not fresh:
        with contextlib.suppress(OSError, ValidationError):
            return BlenderFacts.model_validate_json(remembered.read_bytes())
    doubted = _doubted(remembered) if remembered else ""
    with tempfile.TemporaryDirectory(prefix="burst-probe-") as scratch:
        facts = examine(program, Path(scratch), doubted)
    for kind, trouble in facts.device_troubles.items():
        log.warning("Blender %s can't use %s: %s", facts.label, kind, trouble)
    if remembered and doubted not in facts.device_troubles:
        # Only a saving: a cache that can't be written costs the next start a probe.
        with contextlib.suppress(OSError):
            remembered.parent.mkdir(parents=True, exist_ok=True)
            part = remembered.with_suffix(f".{os.getpid()}.part")
            part.write_text(facts.model_dump_json(), "utf-8")
            part.replace(remembered)
            _doubt(remembered).unlink(missing_ok=True)
    return facts


def forget_blender(program: Path, device: str, cache: Path) -> None:
    """Forget what is remembered of a Blender, since it can't render on a device any more.

    Until it can, every probe tries that device.
    """
    with contextlib.suppress(OSError, BlenderNotFound):
        remembered = _memory(program, cache)
        _doubt(remembered).write_text(device, "utf-8")
        remembered.unlink()


def _doubt(remembered: Path) -> Path:
    return remembered.with_suffix(".doubt")


def _doubted(remembered: Path) -> str:
    with contextlib.suppress(OSError):
        return _doubt(remembered).read_text("utf-8")
    return ""


def _bpy_environments() -> list[Path]:
    """Return the Pythons of burst's own bpy environments, the newest version last."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    found = [
        (tuple(int(part) for part in match[1].split(".")), path)
        for path in cache.glob("burst/bpy-*/bin/python")
        if (match := re.fullmatch(r"bpy-(\d+(?:\.\d+)*)", path.parent.parent.name))
    ]
    return [path for _, path in sorted(found)]


def _memory(program: Path, cache: Path) -> Path:
    """Return the file for a program: another one if it, its bpy, the probe or a GPU changes."""
    try:
        status = program.stat()
    except OSError as error:
        raise BlenderNotFound(f"{program} can't be read: {error.strerror}") from error
    wheels = program.parent.parent.glob("lib/python*/site-packages/bpy-*.dist-info")
    parts = [
        str(program),
        status.st_mtime_ns,
        status.st_size,
        sorted(wheel.name for wheel in wheels),
        PROBE_VERSION,
        _graphics(),
    ]
    fingerprint = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
    return cache / f"blender-{fingerprint}.json"


def _graphics() -> list[str]:
    """Return what the kernel offers to compute on; drivers come and go with a machine's image."""
    dev = Path("/dev")
    nodes = [*dev.glob("nvidia[0-9]*"), *dev.glob("kfd"), *dev.glob("dri/renderD*")]
    versions = []
    with contextlib.suppress(OSError):
        versions.append(Path("/proc/driver/nvidia/version").read_text("utf-8"))
    return [*sorted(map(str, nodes)), *versions]
