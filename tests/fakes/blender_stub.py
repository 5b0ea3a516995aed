"""A stand-in for ``blender`` that speaks the driver's protocol and misbehaves on demand.

What it does is chosen by the name of the .blend that it is told to load. A real Blender
can't be made to do these things at will; what both can do is tested on real ones.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

reads, writes = (int(number) for number in sys.argv[-2:])


def answer(event: str, **facts: object) -> None:
    """Answer as the driver does."""
    os.write(1, b"\nburst-answered\n")
    os.write(writes, json.dumps({"event": event, **facts}).encode() + b"\n")


def render(kind: str, frame: int, folder: Path) -> None:
    """Render, each kind in its way."""
    image = folder / f"{frame:04}.png"
    image.write_bytes(b"pixels")
    if kind == "progress":
        for step in (b"Synchronizing", b"Updating", b"Sample 0/4", b"Sample 1/4"):
            os.write(1, b"Fra:7 Mem:9.58M (Peak 10.29M) | Time:00:00.20 | Scene | " + step + b"\n")
        os.write(1, b"Something for the artist\n")
    if kind == "saved-on-full-disk":
        os.write(1, b"[Errno 28] No space left on device\nSaved: x\n")
    if kind == "malloc":
        os.write(1, b"Malloc returns null: len=9 in x, total 7\n")
        os.kill(os.getpid(), 11)
    if kind == "exits":
        os.write(1, b"last words\n")
        os._exit(3)
    if kind == "error":
        answer("failed", reason="Cannot render, no camera")
        return
    if kind.startswith("gives-up"):
        full = kind.endswith("full-disk")
        answer("failed", reason="No space left on device" if full else "garbage", gives_up="job")
        return
    if kind == "nonsense":
        answer("poem", text="roses are red")
        return
    if kind in ("stray", "upward"):
        image = Path("/etc/passwd") if kind == "stray" else folder / ".." / "passwd"
    files = [] if kind == "no-file" else [str(image)]
    seconds = "soon" if kind == "numberless" else 0.5
    facts = {"frame": frame, "files": files, "render_seconds": seconds, "warnings": ["w"]}
    answer("rendered", peak_memory_bytes=5, main_count=len(files), **facts)


def main() -> None:
    """Serve until the pipe closes."""
    kind = ""
    answer("ready")
    with os.fdopen(reads) as requests:
        for line in requests:
            request = json.loads(line)
            if request["do"] == "load":
                kind = Path(request["blend"]).stem
                size = {"width": 4, "height": 2, "file_format": "PNG"}
                size |= {"color_mode": "RGBA", "color_depth": 8}
                named = {"blender_scene": "Scene", "engine": "CYCLES"}
                if kind == "factless":
                    named = {}
                answer("loaded", warnings=[], load_seconds=0.1, **size, **named)
            else:
                render(kind, request["frame"], Path(request["folder"]))


main()
