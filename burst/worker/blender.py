"""A Blender that is kept open: loads one scene and renders frame after frame of it.

`Blender` starts ``driver.py`` inside a ``blender`` program or under the bpy wheel and tells
it what to do. It ends in a result or in a `BlenderFailed`, never in anything else, and
proves nothing about the files: `burst.worker.proof` does. Called by the worker's session.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from burst.domain.jobs import RenderSettings
from burst.domain.workers import BlenderFacts
from burst.worker.dialogue import ANSWERED, BlenderFailed, Dialogue, Work, disk_full
from burst.worker.process import Child
from burst.worker.surroundings import command_line, prepare
from burst.worker.words import is_progress, parse_progress

__all__ = ["Blender", "BlenderFailed", "LoadedScene", "Progress", "RenderedFrame"]

DRIVER = Path(__file__).with_name("driver.py")
_FULL_BYTES = 4096
"""A disk with less than a block left is full."""
_PROGRESS_SECONDS = 0.2
"""At most one progress in this time."""


@dataclass(frozen=True, slots=True)
class LoadedScene:
    """What was loaded, after the job's settings."""

    blender_scene: str
    engine: str
    width: int
    """Pixels of the file, after percentage and border."""
    height: int
    file_format: str
    """As Blender spells it; never a movie."""
    warnings: tuple[str, ...]
    load_seconds: float


@dataclass(frozen=True, slots=True)
class RenderedFrame:
    """One frame as Blender left it; nothing is proven yet."""

    frame: int
    files: tuple[Path, ...]
    """Everything written below the folder, files of the main image first."""
    render_seconds: float
    peak_memory_bytes: int
    """Of the process since it was started, which is since the scene was loaded."""
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a render stands."""

    frame: int
    sample: int
    samples: int
    """0 when the engine does not say."""
    step: str
    """Blender's own words."""
    memory_bytes: int
    """Resident memory of Blender and what it started."""
    elapsed_seconds: float


class Blender:
    """One warm Blender; `load` and `render` are for one thread, `kill` is for any."""

    def __init__(  # noqa: PLR0913 - one value each, all by name but two
        self,
        program: Path,
        facts: BlenderFacts,
        *,
        scratch: Path,
        threads: int,
        memory_limit_bytes: int,
        first_progress_seconds: float = 1800,
        progress_seconds: float = 600,
        on_line: Callable[[str], None],
    ) -> None:
        """Start nothing yet.

        Args:
            program: a ``blender``, or the ``python`` that has bpy.
            facts: what `probe_blender` found out about it.
            scratch: folder for this Blender's home and temporary files; made if missing.
            threads: CPU threads to render with.
            memory_limit_bytes: what Blender may take; it is killed at 90 %; 0 is no limit.
            first_progress_seconds: how long a load, or the first frame after it, may be
                silent without computing.
            progress_seconds: the same for every later frame.
            on_line: hears what Blender prints, except progress, on another thread.
        """
        self._program = program
        self._facts = facts
        self._scratch = scratch.absolute()
        self._threads = threads
        self._memory_limit_bytes = memory_limit_bytes
        self._first_progress_seconds = first_progress_seconds
        self._progress_seconds = progress_seconds
        self._on_line = on_line
        self._lock = threading.Lock()
        self._interrupted = False
        self._dialogue: Dialogue | None = None
        self._loaded: tuple[object, LoadedScene] | None = None
        self._silence_seconds = first_progress_seconds

    @property
    def pid(self) -> int | None:
        """Process id, while a Blender is open."""
        dialogue = self._dialogue
        return dialogue.pid if dialogue else None

    def load(
        self, blend: Path, settings: RenderSettings, remap: Mapping[str, Path], device: str = "cpu"
    ) -> LoadedScene:
        """Have this very scene loaded with these settings; returns at once if it is already.

        Starts the process if need be, and anew if another scene is in it. The calling
        thread must live as long as Blender may: on Linux it dies with that thread.

        Args:
            blend: the .blend, an absolute path.
            settings: what the job changes in it.
            remap: absolute path as the .blend names it → where that file is here.
            device: ``cpu`` or a `GpuKind`, for Cycles.

        Raises:
            BlenderFailed: it can't be loaded; the process is gone.
        """
        key = (_content(blend), settings, dict(remap), device)
        if self._loaded and self._loaded[0] == key and self.pid is not None:
            return self._loaded[1]
        self.close()
        work = Work(
            doing=f"starting to load {blend.name}",
            answer="ready",
            silence_seconds=self._first_progress_seconds,
            folder=self._scratch,
        )
        dialogue = self._start(work)
        dialogue.ask(work, None)
        request = {
            "do": "load",
            "blend": str(blend),
            "settings": settings.model_dump(mode="json"),
            "remap": {name: str(path) for name, path in remap.items()},
            "threads": self._threads,
            "device": device,
        }
        body = dialogue.ask(replace(work, doing=f"loading {blend.name}", answer="loaded"), request)
        loaded = LoadedScene(
            blender_scene=body["blender_scene"],
            engine=body["engine"],
            width=body["width"],
            height=body["height"],
            file_format=body["file_format"],
            warnings=tuple(body["warnings"]),
            load_seconds=body["load_seconds"],
        )
        self._silence_seconds = self._first_progress_seconds
        self._loaded = key, loaded
        return loaded

    def render(
        self, frame: int, folder: Path, on_progress: Callable[[Progress], None]
    ) -> RenderedFrame:
        """Render one frame of the loaded scene; blocks until it is done.

        Args:
            frame: its number.
            folder: absolute path; everything is written below it. Made if missing.
            on_progress: called on this thread, at most five times a second.

        Raises:
            BlenderFailed: there is no frame; the process is gone.
        """
        work = Work(
            doing=f"rendering frame {frame}",
            answer="rendered",
            silence_seconds=self._silence_seconds,
            folder=folder,
            on_progress=_Reporter(frame, on_progress),
        )
        dialogue = self._dialogue
        if dialogue is None or dialogue.pid is None or self._loaded is None:
            raise self._nothing_open(work)
        folder.mkdir(parents=True, exist_ok=True)
        body = dialogue.ask(work, {"do": "render", "frame": frame, "folder": str(folder)})
        if shutil.disk_usage(folder).free < _FULL_BYTES:
            # 5.0 cuts a PNG short on a full disk and says nothing but "Saved:".
            raise dialogue.failure(work, disk_full(folder))
        if not body["files"]:
            raise dialogue.failure(work, f"Blender wrote no file for frame {frame}")
        self._silence_seconds = self._progress_seconds
        return RenderedFrame(
            frame=frame,
            files=tuple(Path(path) for path in body["files"]),
            render_seconds=body["render_seconds"],
            peak_memory_bytes=max(body["peak_memory_bytes"], dialogue.peak_memory_bytes),
            warnings=tuple(body["warnings"]),
        )

    def kill(self) -> None:
        """End Blender at once, from any thread; a running `load` or `render` raises.

        The next `load` starts a new process, so a caller that wants no more work done must
        not call it.
        """
        with self._lock:
            self._interrupted = True
            if self._dialogue:
                self._dialogue.kill()

    def close(self) -> None:
        """Let Blender leave, and kill it if it does not within two seconds."""
        self._loaded = None
        with self._lock:
            self._interrupted = False
            dialogue, self._dialogue = self._dialogue, None
        if dialogue:
            dialogue.close()

    def _start(self, work: Work) -> Dialogue:
        try:
            env = prepare(self._scratch)
            with self._lock:
                if self._interrupted:
                    raise BlenderFailed(f"stopped while {work.doing}", (), "interrupted")
                child = Child(
                    lambda reads, writes: command_line(
                        self._program, self._facts.kind, DRIVER, (reads, writes)
                    ),
                    env=env,
                    folder=self._scratch,
                    on_line=self._hear,
                )
                self._dialogue = Dialogue(child, self._memory_limit_bytes)
                return self._dialogue
        except OSError as error:
            reason = f"{self._program} can't be started: {error.strerror}"
            raise BlenderFailed(reason) from error

    def _nothing_open(self, work: Work) -> BlenderFailed:
        if self._interrupted:
            return BlenderFailed(f"Blender was stopped before {work.doing}", (), "interrupted")
        return BlenderFailed(f"Blender was gone before {work.doing}")

    def _hear(self, text: str) -> None:
        if text != ANSWERED and not is_progress(text):
            self._on_line(text)


class _Reporter:
    """Turns Blender's words into `Progress`, not too often."""

    def __init__(self, frame: int, on_progress: Callable[[Progress], None]) -> None:
        """Start the frame's clock."""
        self._frame = frame
        self._on_progress = on_progress
        self._started_at = time.monotonic()
        self._told_at = 0.0

    def __call__(self, text: str, memory_bytes: int) -> None:
        now = time.monotonic()
        if now - self._told_at < _PROGRESS_SECONDS:
            return
        self._told_at = now
        step = parse_progress(text)
        elapsed_seconds = now - self._started_at
        self._on_progress(
            Progress(
                self._frame, step.sample, step.samples, step.words, memory_bytes, elapsed_seconds
            )
        )


def _content(blend: Path) -> tuple[Path, int, int]:
    """Return what tells this .blend from any other, also from a later one of its name."""
    try:
        status = blend.stat()
    except OSError as error:
        raise BlenderFailed(f"{blend} can't be read: {error.strerror}") from error
    return blend, status.st_size, status.st_mtime_ns
