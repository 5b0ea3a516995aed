"""Scenes that bring their own trouble, and a look at what became of a Blender that had it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from burst.domain.jobs import RenderSettings
from burst.worker.blender import Blender, BlenderFailed, Progress
from tests.fakes.blenders import RealBlender

MAKE_TROUBLE = Path(__file__).with_name("make_trouble.py")
TRUSTING = RenderSettings(trust_scripts=True)
PATIENCE_SECONDS = 120

Open = Callable[..., Blender]
"""Opens a Blender; takes what differs from the fixture's own."""


def make_trouble(real: RealBlender, folder: Path, kind: str, frame: int = 1) -> Path:
    """Save a scene with a trouble of ``make_trouble.py`` in one frame."""
    blend = folder / f"{kind}.blend"
    real.run(MAKE_TROUBLE, folder, str(blend), kind, str(frame))
    assert blend.is_file()
    return blend


def wrapped(real: RealBlender, folder: Path, *commands: str) -> Path:
    """Return a program that runs shell commands and then becomes the Blender."""
    program = folder / "blender"
    program.write_text("\n".join(["#!/bin/sh", *commands, f'exec {real.program} "$@"']))
    program.chmod(0o755)
    return program


def fail(blender: Blender, blend: Path, folder: Path, frame: int = 1) -> BlenderFailed:
    """Load and render one frame, trusting its Python; return how that failed."""
    blender.load(blend, TRUSTING, {})
    with pytest.raises(BlenderFailed) as caught:
        blender.render(frame, folder, lambda progress: None)
    assert blender.pid is None
    return caught.value


def fail_while_rendering(
    blender: Blender, scene: Path, folder: Path, strike: Callable[[], None]
) -> BlenderFailed:
    """Render, strike at the first progress, and return how it failed."""
    blender.load(scene, RenderSettings(), {})
    pid = blender.pid
    assert pid is not None
    struck: list[Progress] = []

    def on_progress(progress: Progress) -> None:
        if not struck:
            struck.append(progress)
            strike()

    with pytest.raises(BlenderFailed) as caught:
        blender.render(1, folder, on_progress)
    assert struck
    assert blender.pid is None
    assert_gone(pid)
    return caught.value


def assert_gone(pid: int) -> None:
    """Fail unless a process ends within reason."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return
        except psutil.NoSuchProcess:
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} is still there")
