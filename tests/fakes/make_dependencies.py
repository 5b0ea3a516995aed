"""Makes scenes that need files, one kind a case, when a Blender runs it.

``blender -b --factory-startup --python make_dependencies.py -- FOLDER [CASE…]``, or with the
Python of a ``bpy`` wheel. Each case gets a folder, with a scene (``film/shot/main.blend``, if
nothing else is said) and ``expected.json``: what is needed, what is missing, and which of the
needed files no render opens, with the reason. A case that this Blender can't make is left out.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from dependencies import caches, exchange, libraries, names, pictures, shaders
from dependencies.scenery import Case

CASES = {
    maker.__name__: maker
    for module in (libraries, pictures, names, shaders, exchange, caches)
    for maker in module.CASES
}


ABSOLUTE = "absolute_"
"""Before the name of a case: the same, with absolute names in the main .blend."""
CASES_WITH_NAMES = (
    *("multiview", "movie", "sequencer", "compositor", "light_profile", "script"),
    *("camera_script", "imported", "volume", "alembic", "usd", "mesh_cache", "multires"),
    *("fluid", "ocean", "baked_nodes"),
)


def main() -> None:
    folder, *wanted = sys.argv[sys.argv.index("--") + 1 :]
    for name in wanted or [*CASES, *(ABSOLUTE + name for name in CASES_WITH_NAMES)]:
        kind = name.removeprefix(ABSOLUTE)
        case = Case(Path(folder, name).absolute(), is_absolute=kind != name)
        if CASES[kind](case) is not False:
            case.write()
    sys.stdout.flush()
    # Some builds crash when they tidy up after a fluid.
    os._exit(0)


main()
