"""Tries many overrides in one Blender, each on its own, and says what came of them.

Run as ``blender -b … --python try_overrides.py -- BLEND CASES RESULTS`` or with the Python of
a bpy environment. CASES is a file with a JSON list of pairs of path and value; RESULTS gets
a list of ``["set", what Blender then shows]`` or ``["refused", why]``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import bpy

sys.path.append(str(Path(__file__).parents[2]))
from burst.worker.inside.overrides import apply_overrides
from burst.worker.inside.refusals import Refused


def main():
    """Try all."""
    blend, cases, results = sys.argv[sys.argv.index("--") + 1 :]
    bpy.ops.wm.open_mainfile(filepath=blend, load_ui=False, use_scripts=False)
    tried = [attempt(path, value) for path, value in json.loads(Path(cases).read_text("utf-8"))]
    Path(results).write_text(json.dumps(tried), "utf-8")
    sys.stdout.flush()
    os._exit(0)


def attempt(path, value):
    """Set one property."""
    scene = bpy.context.scene
    try:
        apply_overrides(bpy, scene, {path: value})
    except Refused as error:
        return ["refused", str(error)]
    owners = {
        "scene": scene,
        "data": bpy.data,
        "world": scene.world,
        "camera": scene.camera,
        "view_layer": scene.view_layers[0],
    }
    name = next(name for name in owners if path.startswith(name))
    # The test's own words, so Python may read them.
    return ["set", shown(eval(f"owner{path[len(name) :]}", {"owner": owners[name]}))]


def shown(value):
    """Return a value as JSON can have it."""
    if isinstance(value, (bool, int, float, str)) or value is None:
        return value
    if isinstance(value, set):
        return sorted(value)
    return value.name if hasattr(value, "bl_rna") else [shown(part) for part in value]


main()
