"""Makes the scene of ``make_scene.py`` with a text block that Blender runs when it may.

Run inside a Blender with ``-- SCRIPT`` and the options of ``make_scene.py``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import bpy

SCRIPT = Path(sys.argv.pop(sys.argv.index("--") + 1))
sys.path.append(str(Path(__file__).parent))
import make_scene  # noqa: E402, F401 - builds and saves

text = bpy.data.texts.new("attack.py")
text.write(SCRIPT.read_text("utf-8"))
text.use_module = True
bpy.ops.wm.save_mainfile()
