"""Makes a tiny .blend that brings its own trouble: a script that misbehaves at a chosen frame.

Run like ``make_scene.py``, with ``-- BLEND TROUBLE FRAME``. The script is a registered text
block, so it runs only where the job trusts the scene's Python; then it waits for its frame.
"""

from __future__ import annotations

import sys
import textwrap

import bpy

TROUBLES = {
    # A bug in C code, as an add-on or Blender itself may have it.
    "segfault": "import ctypes; ctypes.string_at(0)",
    "abort": "os.abort()",
    # Computes for some seconds without a word, and then goes on.
    "busy": "end = time.monotonic() + 4\nwhile time.monotonic() < end: pass",
    # Waits for as long, and does not compute.
    "sleeps": "time.sleep(4)",
    # Takes what there is, bit by bit.
    "eats": "hoard = []\nwhile True: hoard.append(bytearray(os.urandom(1 << 12) * 2048))",
    "exits-well": "os._exit(0)",
    "exits-badly": "os._exit(3)",
    "raises": "raise RuntimeError('the rig is broken')",
    "floods": "line = b'x' * 99 + b'\\n'\nfor _ in range(4000): os.write(1, line * 50)",
    # What is not of the driver's making goes down every pipe that is open.
    "garbage": (
        "import stat\n"
        "for number in range(3, 64):\n"
        "    try:\n"
        "        if stat.S_ISFIFO(os.fstat(number).st_mode): os.write(number, b'\\xff{]\\n')\n"
        "    except OSError: pass"
    ),
    "endless-line": (
        "import stat\n"
        "for number in range(3, 64):\n"
        "    try:\n"
        "        if stat.S_ISFIFO(os.fstat(number).st_mode):\n"
        "            for _ in range(40): os.write(number, b'[' * (1 << 20))\n"
        "    except OSError: pass"
    ),
    "daemon": (
        "child = subprocess.Popen(['sleep', '1000'], start_new_session=True)\n"
        "print('daemon', child.pid, flush=True)"
    ),
    "daemon-then-segfault": (
        "child = subprocess.Popen(['sleep', '1000'], start_new_session=True)\n"
        "print('daemon', child.pid, flush=True)\n"
        "import ctypes; ctypes.string_at(0)"
    ),
    "environment": "print('environment', json.dumps(dict(os.environ)), flush=True)",
    # What Cycles 5.0 prints when a card falls over; there is none here that could.
    "gpu-lost": "print('Illegal address in CUDA queue synchronize (integrator_reset)', flush=True)",
    "gpu-full": "print('System is out of GPU and shared host memory', flush=True)",
    "elsewhere": "scene.render.filepath = '/tmp/burst-elsewhere-####'",
}

DENSE = "dense"
"""Trouble without a script, in every frame: more geometry than fits into memory."""

SCRIPT = """
import bpy, json, os, subprocess, time

def trouble(scene, *more):
    if scene.frame_current == {frame}:
{body}

bpy.app.handlers.render_pre.append(trouble)
"""


def main() -> None:
    """Build and save."""
    blend, kind, frame = sys.argv[sys.argv.index("--") + 1 :]
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.cycles.use_denoising = False
    scene.render.resolution_x, scene.render.resolution_y = 64, 36
    scene.frame_start, scene.frame_end = 1, 10
    scene.render.image_settings.file_format = "PNG"
    scene.render.filepath = "//render/shot_####"
    if kind == DENSE:
        add_density(scene)
    else:
        text = bpy.data.texts.new("trouble.py")
        text.write(SCRIPT.format(frame=frame, body=textwrap.indent(TROUBLES[kind], " " * 8)))
        text.use_module = True
    bpy.ops.wm.save_as_mainfile(filepath=blend)


def add_density(scene):
    """Add a tetrahedron that becomes fifty million faces, and takes gigabytes, when rendered."""
    corners = [(0, 0, 1), (1, 0, -1), (-1, 1, -1), (-1, -1, -1)]
    mesh = bpy.data.meshes.new("Dense")
    mesh.from_pydata(corners, [], [(0, 1, 2), (0, 2, 3), (0, 3, 1), (1, 3, 2)])
    thing = bpy.data.objects.new("Dense", mesh)
    scene.collection.objects.link(thing)
    # More than one modifier of these is limited to.
    for _ in range(2):
        subdivision = thing.modifiers.new("Subdivision", "SUBSURF")
        subdivision.levels, subdivision.render_levels = 0, 6


main()
