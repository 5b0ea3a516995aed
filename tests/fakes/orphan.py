"""A worker that is about to be killed: opens a Blender, says its pid, and goes on.

Run as ``python orphan.py BLENDER FACTS SCENE FOLDER idle|render|trust``. With ``trust`` it
runs the scene's own Python, says how the frame ended, closes Blender, and leaves.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from burst.domain.jobs import RenderSettings
from burst.domain.workers import BlenderFacts
from burst.worker.blender import Blender, BlenderFailed
from burst.worker.process import adopt_orphans

program, facts, scene, folder, mode = sys.argv[1:]
blender = Blender(
    Path(program),
    BlenderFacts.model_validate_json(facts),
    scratch=Path(folder) / "scratch",
    threads=1,
    memory_limit_bytes=0,
    on_line=lambda text: print(text, flush=True) if mode == "trust" else None,
)
if mode == "trust":
    adopt_orphans()
blender.load(Path(scene), RenderSettings(trust_scripts=mode == "trust"), {})
if mode == "trust":
    try:
        blender.render(1, Path(folder) / "out", lambda progress: None)
    except BlenderFailed as error:
        print(error.reason, flush=True)
    blender.close()
    sys.exit()
if mode == "render":
    blender.render(1, Path(folder) / "out", lambda progress: print(blender.pid, flush=True))
print(blender.pid, flush=True)
threading.Event().wait()
