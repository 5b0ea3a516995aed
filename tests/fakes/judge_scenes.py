"""Says what the driver thinks of scenes, without rendering them.

Run as ``blender -b … --python judge_scenes.py -- RESULTS BLEND…`` or with the Python of a bpy
environment. RESULTS gets a JSON object: name of the .blend → ``unbaked`` and ``history``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import bpy

sys.path.append(str(Path(__file__).parents[2]))
from burst.worker.inside.history import depends_on_history
from burst.worker.inside.simulations import unbaked
from burst.worker.inside.used import used_blocks


def main():
    """Open one after the other."""
    results, *blends = sys.argv[sys.argv.index("--") + 1 :]
    found = {}
    for blend in blends:
        bpy.ops.wm.open_mainfile(filepath=blend, load_ui=False, use_scripts=False)
        scene = bpy.context.scene
        used = used_blocks(bpy, scene)
        found[Path(blend).stem] = {
            "unbaked": unbaked(bpy, scene, used),
            "history": depends_on_history(bpy, scene, used),
        }
    Path(results).write_text(json.dumps(found), "utf-8")
    sys.stdout.flush()
    os._exit(0)


main()
