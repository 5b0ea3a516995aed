"""Render data is kept between frames where that changes nothing: most of the speed is in it.

A real Blender tells at the start of each frame what it was set to, by a handler of the kind
that an add-on has. Left out: the wheel, which runs no script before ours.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from burst.domain.jobs import RenderSettings
from burst.worker.blender import Blender
from tests.fakes.blenders import real_blender

pytestmark = pytest.mark.blender

HOOK = """
import bpy

@bpy.app.handlers.persistent
def tell(scene, *others):
    print("keeps data:", scene.render.use_persistent_data, flush=True)

bpy.app.handlers.render_pre.append(tell)
"""


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        (RenderSettings(), True),
        (RenderSettings(trust_scripts=True), True),
        (RenderSettings(properties={"scene.render.use_motion_blur": True}), False),
        (RenderSettings(properties={"scene.render.use_persistent_data": False}), False),
        (RenderSettings(engine="BLENDER_WORKBENCH"), False),
    ],
)
def test_it_is_kept_unless_there_is_a_reason(
    tmp_path: Path, settings: RenderSettings, kept: bool
) -> None:
    real = real_blender("binary", tmp_path / "facts")
    if real.facts.engines.get(settings.engine or "CYCLES"):
        pytest.skip(f"{settings.engine} can't render here")
    hook, program = tmp_path / "hook.py", tmp_path / "blender"
    hook.write_text(HOOK, encoding="utf-8")
    start = f"exec {shlex.quote(str(real.program))} --python {shlex.quote(str(hook))}"
    program.write_text(f'#!/bin/sh\n{start} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    lines: list[str] = []
    blender = Blender(
        program,
        real.facts,
        scratch=tmp_path / "scratch",
        threads=1,
        memory_limit_bytes=0,
        on_line=lines.append,
    )
    try:
        blender.load(real.make_scene(tmp_path / "shot.blend"), settings, {})
        blender.render(1, tmp_path / "out", lambda progress: None)
    finally:
        blender.close()
    assert [line for line in lines if line.startswith("keeps data")] == [f"keeps data: {kept}"]
