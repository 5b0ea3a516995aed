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
from burst.worker.inside import (
    files,
    history,
    metadata,
    missing,
    movie,
    outputs,
    overrides,
    scene,
    scripts,
    simulations,
)
from burst.worker.inside.channel import Channel
from burst.worker.inside.refusals import FrameRefused, Refused
from burst.worker.inside.used import used_blocks

sys.path.pop()

STATS_SECONDS = 0.2
"""At most one ``stats`` in this time, but for the count of samples."""

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
        self._scripts = scripts.Scripts(bpy)

    def answer(self, event: str, **facts: Any) -> None:
        """Send the answer to a request, after everything that was printed before it."""
        sys.stdout.flush()
        # Blender prints through C, which keeps the text back when it goes to a pipe.
        ctypes.CDLL(None).fflush(None)
        os.write(1, _ANSWERED)
        self._channel.send(event, **facts)

    def load(self, request: dict[str, Any]) -> None:
        """Open the .blend, change what the job asks for, and say what it is."""
        bpy, settings = self._bpy, request["settings"]
        started = time.monotonic()
        # Those of add-ons are there for every scene, and change nothing in it.
        before = history.handlers(bpy)
        _open(bpy, Path(request["blend"]), settings["trust_scripts"])
        scripted = any(one not in before for one in history.handlers(bpy))
        # Only now: opening a file forgets handlers.
        bpy.app.handlers.render_stats.append(self._on_stats)
        self._scene = scene.choose_scene(bpy, settings["blender_scene"])
        files.remap_paths(bpy, request["remap"])
        scene.apply_settings(bpy, self._scene, settings, request["threads"], request["device"])
        overrides.apply_overrides(bpy, self._scene, settings["properties"])
        self._used = used_blocks(bpy, self._scene)
        warnings = self._check_files(settings["missing"]) + self._keep_data(settings, scripted)
        self._keeps_metadata = settings["keep_metadata"]
        if not self._keeps_metadata:
            warnings += metadata.strip(bpy)
        self._output = outputs.Output(bpy, self._scene)
        self._scripts.loaded(self._used)
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
            warnings=warnings + self._scripts.warnings(),
            load_seconds=time.monotonic() - started,
        )

    def render(self, request: dict[str, Any]) -> None:
        """Render one frame below a folder, and say which files appeared there."""
        frame, folder = request["frame"], Path(request["folder"])
        warnings = self._check_frame(frame)
        before = _written(folder)
        self._output.redirect(folder)
        started = time.monotonic()
        # Only an animation fills in the #### of the file name.
        self._bpy.ops.render.render(animation=True, scene=self._scene.name, **self._span(frame))
        seconds = time.monotonic() - started
        new = [path for path, state in _written(folder).items() if before.get(path) != state]
        paths, main_count = self._output.settle(frame, new)
        if not self._keeps_metadata:
            metadata.blank_names(paths)
        self.answer(
            "rendered",
            frame=frame,
            files=paths,
            main_count=main_count,
            render_seconds=seconds,
            peak_memory_bytes=_peak_memory_bytes(),
            warnings=warnings + self._scripts.warnings(),
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

    def _check_files(self, policy: str) -> list[str]:
        """Look for every file that the scene needs; what one frame needs is looked for then."""
        self._sequences = missing.Sequences(self._bpy, self._used)
        self._may_lack = policy == "warn"
        names = missing.missing_files(self._bpy, self._scene, self._used)
        if names and not self._may_lack:
            raise Refused(f"{missing.sentence(names)} (--allow-missing renders without)")
        return [f"{name} is missing" for name in names]

    def _check_frame(self, frame: int) -> list[str]:
        if frame < 0:
            # Its own frame_start would make a 0 of it, without a word.
            raise FrameRefused(f"frame {frame}: Blender renders no frame before 0")
        names = self._sequences.missing(frame)
        if not names:
            return []
        what = missing.sentence(names, f"frame {frame}")
        if not self._may_lack:
            raise FrameRefused(f"{what} (--allow-missing renders without)")
        return [what]

    def _keep_data(self, settings: dict[str, Any], scripted: bool) -> list[str]:
        """Keep the synchronised scene between frames, which is most of the work of a short one.

        Only where no frame's pixels can come to depend on that.
        """
        names = simulations.unbaked(self._bpy, self._scene, self._used)
        if names and settings["unbaked"] == "refuse":
            raise Refused(f"{', '.join(names)} is not baked: bake it, or render it with --force")
        render = self._scene.render
        if not any(path.endswith(".use_persistent_data") for path in settings["properties"]):
            keeps = render.engine == "CYCLES" and not names and not scripted
            render.use_persistent_data = keeps and not history.depends_on_history(
                self._bpy, self._scene, self._used
            )
        if render.use_persistent_data:
            missing.follow_frames(self._used)
        return [
            f"{name} is not baked: without one, Blender may render it as if time stood still"
            for name in names
        ]

    def _span(self, frame: int) -> dict[str, int]:
        """Return what has the render operator do one frame."""
        known = self._bpy.ops.render.render.get_rna_type().properties
        if "frame_start" in known:
            # The scene's own range stays: simulation nodes begin where it does.
            return {"frame_start": frame, "frame_end": frame}
        self._scene.frame_start = self._scene.frame_end = frame
        return {}

    def _on_stats(self, *arguments: Any) -> None:
        # Up to 4.x the handler is told nothing, and Blender prints the text instead.
        text = next((argument for argument in arguments if isinstance(argument, str)), None)
        now = time.monotonic()
        # Of samples there is only now and then a word: the next may come in a minute.
        if text and (" Sample " in text or now - self._stats_at >= STATS_SECONDS):
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


def _open(bpy: Any, blend: Path, trusted: bool) -> None:
    """Open the .blend, with the Python that it brings or without.

    Raises:
        Refused: Blender can't read it.
        OSError: this machine can't.
    """
    with blend.open("rb") as file:
        # Of a file that can't be read Blender says nothing else than of a damaged one.
        file.read(1)
    try:
        bpy.ops.wm.open_mainfile(filepath=str(blend), load_ui=False, use_scripts=trusted)
    except RuntimeError as error:
        raise Refused(f"Blender can't read the scene: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """Return Blender's own words for an error, on one line."""
    if isinstance(error, RuntimeError):
        lines = _ERROR_LINE.findall(str(error))
        return "; ".join(dict.fromkeys(lines)) or "Blender gave no reason"
    if isinstance(error, Refused):
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
            if not isinstance(error, (RuntimeError, Refused)):
                traceback.print_exc()
            gives_up = error.gives_up if isinstance(error, Refused) else None
            channel.send("failed", reason=_reason(error), gives_up=gives_up)
    # Not an ordinary exit: Blender has nothing to save, and may crash while it tidies up.
    os._exit(0)


if __name__ == "__main__":
    import bpy

    main(bpy)
