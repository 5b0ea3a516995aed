"""Find a Blender on this machine, and find out by experiment what it can render here.

A probe runs in a process that is thrown away: a Blender that crashes, aborts or hangs
while it tries an engine is an answer. Called by the worker at its start, by ``burst render``
and by ``burst doctor``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from burst.domain.workers import BLENDER_OLDEST, BlenderFacts
from burst.errors import BlenderNotFound
from burst.worker.process import Child, Exited, Line, ask
from burst.worker.surroundings import command_line, prepare

PROBE = Path(__file__).with_name("inside") / "probe.py"
PROBE_VERSION = 1
"""Raised when the probe changes, so that remembered answers are asked for again."""

_NEWEST_BPY = "5.0.1"
_OLDEST = ".".join(map(str, BLENDER_OLDEST))
_HINT = (
    "apt-get install blender, or make an environment for the bpy wheel: "
    f"python3.11 -m venv ~/.cache/burst/bpy-{_NEWEST_BPY} && "
    f"~/.cache/burst/bpy-{_NEWEST_BPY}/bin/pip install bpy=={_NEWEST_BPY}"
)
_VERSION_SECONDS = 30.0
_START_SECONDS = 120.0
"""A wheel of 800 MB on a cold disk takes its time."""
_ENGINE_SECONDS = 60.0
"""For one engine's first tiny image; a GPU compiles its kernels then."""


def find_blender(wanted: str | None) -> Path:
    """Return the Blender to use.

    Args:
        wanted: a ``blender``, or the ``python`` of an environment with bpy; None looks for
            a ``blender`` in PATH and then for the newest environment in burst's cache.

    Raises:
        BlenderNotFound: there is none.
    """
    if wanted:
        found = shutil.which(os.path.expanduser(wanted))  # noqa: PTH111 - a Path would lose ./
        if found is None:
            raise BlenderNotFound(
                f"{wanted} is not a program",
                hint="set BURST_BLENDER to a blender program or to the python that has bpy",
            )
        return Path(found).absolute()
    program = shutil.which("blender")
    too_old = ""
    if program:
        version = _program_version(Path(program))
        if version[:2] >= BLENDER_OLDEST:
            return Path(program).absolute()
        named = ".".join(map(str, version)) or "unknown"
        too_old = f": {program} is of version {named}, burst needs {_OLDEST}"
    environments = _bpy_environments()
    if environments:
        return environments[-1]
    raise BlenderNotFound(f"no usable Blender on this machine{too_old}", hint=_HINT)


def probe_blender(program: Path, cache: Path | None = None) -> BlenderFacts:
    """Find out what a Blender is and which engines render here. Blocks for some seconds.

    Args:
        program: as `find_blender` returns it.
        cache: folder to remember the answer in, for this very program.

    Raises:
        BlenderNotFound: it is no Blender, too old, or does not start.
    """
    remembered = cache / f"blender-{_fingerprint(program)}.json" if cache else None
    if remembered:
        with contextlib.suppress(OSError, ValidationError):
            return BlenderFacts.model_validate_json(remembered.read_bytes())
    with tempfile.TemporaryDirectory(prefix="burst-probe-") as scratch:
        facts = _probe(program, Path(scratch))
    if remembered:
        # Only a saving: a cache that can't be written costs the next start a probe.
        with contextlib.suppress(OSError):
            remembered.parent.mkdir(parents=True, exist_ok=True)
            part = remembered.with_suffix(f".{os.getpid()}.part")
            part.write_text(facts.model_dump_json(), "utf-8")
            part.replace(remembered)
    return facts


def _probe(program: Path, scratch: Path) -> BlenderFacts:
    env = prepare(scratch)
    kind = _kind(program, env)
    try:
        child = Child(
            lambda reads, writes: command_line(program, kind, PROBE, (reads, writes)),
            env=env,
            folder=scratch,
        )
    except OSError as error:
        raise BlenderNotFound(f"{program} can't be started: {error.strerror}") from error
    try:
        return _listen(child, program, kind)
    finally:
        child.kill()
        child.close(0)


def _kind(program: Path, env: Mapping[str, str]) -> str:
    """Return ``binary`` or ``bpy``.

    Raises:
        BlenderNotFound: it is neither, or a Blender that is too old.
    """
    said = _version_text(program, env)
    if re.search(r"(?m)^Python 3", said):
        return "bpy"
    version = parse_version(said)
    if not version:
        raise BlenderNotFound(f"{program} is not a Blender", hint=_HINT)
    _check_age(program, version)
    return "binary"


def _check_age(program: Path, version: tuple[int, ...]) -> None:
    if version[:2] < BLENDER_OLDEST:
        named = ".".join(map(str, version))
        raise BlenderNotFound(
            f"{program} is Blender {named}, burst needs {_OLDEST} or newer", hint=_HINT
        )


@dataclass(slots=True)
class _Findings:
    """What a probe has said so far."""

    version: tuple[int, int, int] | None = None
    untried: list[str] = field(default_factory=list)
    engines: dict[str, str] = field(default_factory=dict)
    printed: deque[str] = field(default_factory=lambda: deque(maxlen=10))

    def note(self, body: Mapping[str, Any]) -> None:
        """Take in one message."""
        if body["event"] == "version":
            major, minor, patch = body["version"]
            self.version = (major, minor, patch)
            self.untried = list(body["engines"])
        elif body["event"] == "engine":
            self.engines[body["engine"]] = body["reason"]
            self.untried.remove(body["engine"])


def _listen(child: Child, program: Path, kind: str) -> BlenderFacts:
    """Collect what the probe says until it is done, dead, or silent for too long."""
    findings = _Findings()
    seconds = _START_SECONDS
    deadline = time.monotonic() + seconds
    while True:
        item = child.next_item(max(0.0, deadline - time.monotonic()))
        if item is None:
            why = f"Blender gave no answer within {seconds:.0f} seconds"
            break
        if isinstance(item, Exited):
            why = _why_gone(item.code)
            break
        if isinstance(item, Line):
            findings.printed.append(item.text)
            continue
        findings.note(item.body)
        seconds = _ENGINE_SECONDS
        deadline = time.monotonic() + seconds
    if findings.version is None:
        raise _no_blender(program, kind, why, findings.printed)
    _check_age(program, findings.version)
    # What killed the probe while it tried one engine holds for those behind it: they
    # need the same graphics.
    untried = dict.fromkeys(findings.untried, why)
    return BlenderFacts(
        version=findings.version, kind=kind, engines={**findings.engines, **untried}
    )


def _no_blender(program: Path, kind: str, why: str, printed: Iterable[str]) -> BlenderNotFound:
    text = "\n".join(printed)
    if kind == "bpy" and "No module named 'bpy'" in text:
        return BlenderNotFound(f"{program} is a Python without bpy", hint=_HINT)
    lines = text.splitlines()
    last = f" ({lines[-1].strip()})" if lines else ""
    return BlenderNotFound(f"{program} does not start: {why}{last}", hint=_HINT)


def _why_gone(code: int) -> str:
    if code == -signal.SIGABRT:
        return "Blender aborted: no GPU, or its driver or libEGL is missing"
    if code < 0:
        return f"Blender crashed ({signal.Signals(-code).name})"
    return f"Blender left with exit status {code}"


def _program_version(program: Path) -> tuple[int, ...]:
    with tempfile.TemporaryDirectory(prefix="burst-probe-") as scratch:
        return parse_version(_version_text(program, prepare(Path(scratch))))


def _version_text(program: Path, env: Mapping[str, str]) -> str:
    return ask([str(program), "--version"], env=env, timeout_seconds=_VERSION_SECONDS)


def parse_version(text: str) -> tuple[int, ...]:
    """Return the version that ``blender --version`` printed, or nothing."""
    match = re.search(r"(?m)^Blender (\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in match.groups()) if match else ()


def _bpy_environments() -> list[Path]:
    """Return the Pythons of burst's own bpy environments, the newest version last."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    found = [
        (tuple(int(part) for part in match[1].split(".")), path)
        for path in cache.glob("burst/bpy-*/bin/python")
        if (match := re.fullmatch(r"bpy-(\d+(?:\.\d+)*)", path.parent.parent.name))
    ]
    return [path for _, path in sorted(found)]


def _fingerprint(program: Path) -> str:
    """Return a key that changes when the program, its bpy or the probe does."""
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
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
