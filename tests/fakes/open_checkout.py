"""Opens a .blend in a Blender as a worker does, steps through frames, and says what it sees.

Options after ``--``: the .blend, a JSON file of keys of absolute names and where they are now,
and the file to write the answer to.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parents[2]))
from burst.worker.inside.files import remap_paths

blend, remap_path, answer_path = sys.argv[sys.argv.index("--") + 1 :]
remap = json.loads(Path(remap_path).read_text(encoding="utf-8"))
bpy.ops.wm.open_mainfile(filepath=blend, load_ui=False)
remap_paths(bpy, remap)
for frame in (1, 2, 3):
    bpy.context.scene.frame_set(frame)


def is_there(image):
    path = bpy.path.abspath(image.filepath, library=image.library)
    return Path(path.replace("<UDIM>", "1001")).is_file()


answer = {
    "images": {i.filepath: is_there(i) for i in bpy.data.images if i.source != "VIEWER"},
    "packed": [i.filepath for i in bpy.data.images if i.packed_files],
    "missing_data": [i.name for i in (*bpy.data.objects, *bpy.data.meshes) if i.is_missing]
    if hasattr(bpy.types.ID, "is_missing")
    else [],
    "libraries": {
        lib.filepath: Path(bpy.path.abspath(lib.filepath)).is_file() for lib in bpy.data.libraries
    },
    "caches": sorted(p.name for p in Path(blend).parent.glob("blendcache_main/*")),
}
Path(answer_path).write_text(json.dumps(answer), encoding="utf-8")
