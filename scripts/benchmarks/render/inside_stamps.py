"""Runs inside every measured Blender, before anything else: writes down when frames start and end.

One file a process, one JSON object a line: ``{"event", "at"}`` with the time of the system's
clock. ``started`` is this script's first line, ``pre`` the start of a frame (before Blender
changes to it), ``written`` the moment when its file is complete. Handlers that are called
this early must be persistent: opening a file forgets all others.

Under the bpy wheel the script to run comes as an argument and is run from here, as Python
has no second ``--python``.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import time
from typing import Any

_FILE = os.open(
    os.path.join(os.environ["BURST_BENCH_STAMPS"], f"{os.getpid()}.jsonl"),  # noqa: PTH118
    os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC,
    0o600,
)


def stamp(event: str) -> None:
    """Write one line; a system call, and nothing that could wait."""
    line = json.dumps({"event": event, "at": time.time()}) + "\n"
    os.write(_FILE, line.encode())


stamp("started")

import bpy  # noqa: E402 - after the stamp: importing the wheel is part of its start


def _on_pre(*arguments: Any) -> None:
    stamp("pre")


def _on_write(*arguments: Any) -> None:
    stamp("written")


bpy.app.handlers.render_pre.append(bpy.app.handlers.persistent(_on_pre))
bpy.app.handlers.render_write.append(bpy.app.handlers.persistent(_on_write))

if os.environ.get("BURST_BENCH_KIND") == "bpy":
    sys.argv.pop(0)
    runpy.run_path(sys.argv[0], run_name="__main__")
