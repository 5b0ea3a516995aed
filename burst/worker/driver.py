"""Runs inside Blender: loads a scene once and renders the frames it is told to.

Started as ``blender -b … --python driver.py -- <read> <write>`` or, with the bpy wheel, as
``python driver.py <read> <write>``. Both numbers are descriptors of pipes to
`burst.worker.blender`, which carry one JSON object a line; Blender's own output is no part
of it. Only Python's library and bpy may be used here and in `burst.worker.inside`.

In come ``{"do": "load", …}`` and ``{"do": "render", …}``. Out go ``ready``, ``loaded``,
``stats`` (Blender's own words while it renders), ``rendered`` and ``failed``, each as the
value of ``event``. The process leaves when the pipe closes, and dies with its parent.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import re
import resource
import sys
import time
import traceback
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[2]))
# Last in the path and only for this import: what else is installed beside burst belongs to
# another Python.
from burst.worker.inside import files, movie, outputs, scene
from burst.worker.inside.channel import Channel

sys.path.pop()

STATS_SECONDS = 0.2
"""At most one ``stats`` in this time."""

_ANSWERED = b"\nburst-answered\n"
"""Printed before each answer: what Blender said until then is known to be complete."""
_ERROR_LINE = re.compile(r"(?m)^(?:Error: )?(.*\S)")


class Driver:
    """One loaded scene."""

    def __init__(self, bpy: Any, channel: Channel) -> None:
        """Load nothing yet."""
        self._bpy = bpy
        self._channel = channel
        self._stats_at = 0.0

    def answer(self, event: str, **facts: Any) -> None:
        """Send the answer to a request, after everything that was printed before it."""
        sys.stdout.flush()
        # Blender prints through C, which keeps the text back when it goes to a pipe.
        ctypes.CDLL(None).fflush(None)
        os.write(1, _ANSWERED)
        self._channel.send(event, **facts)

    def load(self, request: dict[str, Any]) -> None:
        """Open the .blend, change what the job asks for, and say what it is."""
        bpy = self._bpy
        started = time.monotonic()
        trusted = request["settings"].get("trust_scripts", False)
        bpy.ops.wm.open_mainfile(filepath=request["blend"], load_ui=False, use_scripts=trusted)
        # Only now: opening a file forgets handlers.
        bpy.app.handlers.render_stats.append(self._on_stats)
        self._scene = scene.choose_scene(bpy, request["settings"].get("blender_scene"))
        files.remap_paths(bpy, request["remap"])
        scene.apply_settings(bpy, self._scene, request["settings"], request["threads"])
        self._output = outputs.Output(bpy, self._scene)
        width, height = scene.final_size(self._scene.render)
        image = self._scene.render.image_settings
        self.answer(
            "loaded",
            blender_scene=self._scene.name,
            engine=self._scene.render.engine,
            width=width,
            height=height,
            file_format=image.file_format,
            color_mode=image.color_mode,
            color_depth=int(image.color_depth),
            warnings=files.missing_files(bpy) + self._doubts(),
            load_seconds=time.monotonic() - started,
        )

    def render(self, request: dict[str, Any]) -> None:
        """Render one frame below a folder, and say which files appeared there."""
        frame, folder = request["frame"], Path(request["folder"])
        before = _written(folder)
        self._output.redirect(folder)
        self._scene.frame_start = self._scene.frame_end = frame
        started = time.monotonic()
        # Only an animation fills in the #### of the file name.
        self._bpy.ops.render.render(animation=True, scene=self._scene.name)
        seconds = time.monotonic() - started
        new = [path for path, state in _written(folder).items() if before.get(path) != state]
        paths, main_count = self._output.settle(frame, new)
        self.answer(
            "rendered",
            frame=frame,
            files=paths,
            main_count=main_count,
            render_seconds=seconds,
            peak_memory_bytes=_peak_memory_bytes(),
            warnings=self._script_warnings(),
        )

    def mix_down(self, request: dict[str, Any]) -> None:
        """Write the sound of some frames to a file, if there is any, and say how fast they go."""
        first, last = request["first"], request["last"]
        sound = movie.mix_down(self._bpy, self._scene, request["target"], first, last)
        self.answer("mixed", sound=sound, fps=movie.fps(self._scene))

    def convert(self, request: dict[str, Any]) -> None:
        """Write images as PNG, as the scene shows them."""
        look = {"alpha": request["alpha"], "deep": request["deep"]}
        movie.convert(self._bpy, self._scene, request["pairs"], **look)
        self.answer("converted")

    def list_view_layers(self, request: dict[str, Any]) -> None:
        """Say which view layers are rendered."""
        self.answer("layers", names=movie.view_layers(self._scene))

    def _doubts(self) -> list[str]:
        doubts = self._script_warnings()
        names = scene.unbaked(self._bpy)
        if names:
            doubts.append(
                f"a simulation is not baked ({', '.join(names)}): "
                "a frame may depend on the frames that were rendered before it"
            )
        return doubts

    def _script_warnings(self) -> list[str]:
        if not self._bpy.app.autoexec_fail:
            return []
        what = self._bpy.app.autoexec_fail_message
        return [f"Python in the scene was not run: {what}"]

    def _on_stats(self, *arguments: Any) -> None:
        # Up to 4.x the handler is told nothing, and Blender prints the text instead.
        text = next((argument for argument in arguments if isinstance(argument, str)), None)
        now = time.monotonic()
        if text and now - self._stats_at >= STATS_SECONDS:
            self._stats_at = now
            self._channel.send("stats", text=text)


def _written(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return every file below ``folder`` with what changes when it is written."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            status = path.stat()
            found[str(path)] = (status.st_ino, status.st_size, status.st_mtime_ns)
    return found


def _peak_memory_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _reason(error: Exception) -> str:
    """Return Blender's own words for an error, on one line."""
    if isinstance(error, RuntimeError):
        lines = _ERROR_LINE.findall(str(error))
        return "; ".join(dict.fromkeys(lines)) or "Blender gave no reason"
    if isinstance(error, scene.Refused):
        return str(error)
    return f"{type(error).__name__}: {error}"


def main(bpy: Any) -> None:
    """Serve until burst hangs up."""
    channel = Channel(*(int(number) for number in sys.argv[-2:]))
    channel.die_with_parent()
    # The wheel writes no report of a crash; this chains to the program's own, which does.
    faulthandler.enable(file=2)
    driver = Driver(bpy, channel)
    actions = {
        "load": driver.load,
        "render": driver.render,
        "mixdown": driver.mix_down,
        "convert": driver.convert,
        "layers": driver.list_view_layers,
    }
    driver.answer("ready")
    for request in channel.received():
        try:
            actions[request["do"]](request)
        except Exception as error:  # noqa: BLE001 - a process edge: burst hears every error
            if not isinstance(error, (RuntimeError, scene.Refused)):
                traceback.print_exc()
            channel.send("failed", reason=_reason(error))
    # Not an ordinary exit: Blender has nothing to save, and may crash while it tidies up.
    os._exit(0)


if __name__ == "__main__":
    import bpy

    main(bpy)
