"""A Blender that is kept open: loads one scene and renders frame after frame of it.

`Blender` starts ``driver.py`` inside a ``blender`` program or under the bpy wheel and tells
it what to do. It ends in a result or in a `BlenderFailed`, never in anything else, and
proves nothing about the files: `burst.worker.proof` does. Called by the worker's task runner.
"""

from __future__ import annotations

import errno
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from burst.domain.jobs import RenderSettings
from burst.domain.workers import BlenderFacts
from burst.worker.dialogue import ANSWERED, NOISE, BlenderFailed, Dialogue, Work, failed, is_full
from burst.worker.faults import Fault
from burst.worker.process import Child
from burst.worker.surroundings import crash_reports, forget, prepare
from burst.worker.trust import Cage, Inmate, StrayFileError, lent, ordinary_files, start_line
from burst.worker.words import is_progress, parse_progress

__all__ = ["Blender", "BlenderFailed", "LoadedScene", "Progress", "RenderedFrame"]

DRIVER = Path(__file__).with_name("driver.py")
_PROGRESS_SECONDS = 0.2
"""At most one progress in this time, but for the count of samples."""
_FIRST_SETTING = "BURST_FIRST_PROGRESS_SECONDS"
_LATER_SETTING = "BURST_PROGRESS_SECONDS"


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
    color_mode: str
    """``BW``, ``RGB`` or ``RGBA``, as it was asked for: not every format can do each."""
    color_depth: int
    """Bits a channel, as they were asked for."""
    warnings: tuple[str, ...]
    load_seconds: float


@dataclass(frozen=True, slots=True)
class RenderedFrame:
    """One frame as Blender left it; nothing is proven yet."""

    frame: int
    files: tuple[Path, ...]
    """Everything written below the folder, files of the main image first."""
    main_count: int
    """How many of them are the main image's: one, or one for each eye."""
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
        cage: Cage | None = None,
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
            cage: what it may reach; None is all that this user may.
        """
        self._program = program
        self._facts = facts
        self._scratch = scratch.absolute()
        self._threads = threads
        self._memory_limit_bytes = memory_limit_bytes
        self._first_progress_seconds = first_progress_seconds
        self._progress_seconds = progress_seconds
        self._on_line = on_line
        self._cage = cage
        self._lock = threading.Lock()
        self._interrupted = False
        self._dialogue: Dialogue | None = None
        self._loaded: tuple[object, LoadedScene] | None = None
        self._rendered_one = False
        self._ran_scripts = False

    @property
    def pid(self) -> int | None:
        """Process id, while a Blender is open."""
        dialogue = self._dialogue
        return dialogue.pid if dialogue else None

    def load(
        self,
        blend: Path,
        settings: RenderSettings,
        remap: Mapping[str, Path],
        device: str = "cpu",
        wanted: Callable[[], bool] = lambda: True,
        graphics: bool = False,
    ) -> LoadedScene:
        """Have this very scene loaded with these settings; returns at once if it is already.

        Starts the process if need be, and anew if another scene is in it. The calling
        thread must live as long as Blender may: on Linux it dies with that thread.

        Args:
            blend: the .blend, an absolute path.
            settings: what the job changes in it.
            remap: absolute path as the .blend names it → where that file is here.
            device: ``cpu`` or a `GpuKind`, for Cycles.
            wanted: asked when a `kill` from before is forgotten and one from then on counts:
                who says False before it calls `kill` is heard in any case.
            graphics: let it talk to an X server, which its engine may need.

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
            silence_setting=_FIRST_SETTING,
            folder=self._scratch,
        )
        if not wanted():
            raise failed(Fault.STOPPED, doing=work.doing)
        dialogue = self._start(work, blend, settings, graphics)
        dialogue.ask(work, None)
        request = {
            "do": "load",
            "blend": str(blend),
            "settings": settings.model_dump(mode="json"),
            "remap": {name: str(path) for name, path in remap.items()},
            "threads": self._threads,
            "device": device,
        }
        work = replace(work, doing=f"loading {blend.name}", answer="loaded")
        body = dialogue.ask(work, request)
        try:
            loaded = LoadedScene(
                blender_scene=str(body["blender_scene"]),
                engine=str(body["engine"]),
                width=int(body["width"]),
                height=int(body["height"]),
                file_format=str(body["file_format"]),
                color_mode=str(body["color_mode"]),
                color_depth=int(body["color_depth"]),
                warnings=tuple(map(str, body["warnings"])),
                load_seconds=float(body["load_seconds"]),
            )
        except (KeyError, TypeError, ValueError):
            raise dialogue.failure(work, Fault.GARBLED) from None
        self._rendered_one = False
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
            silence_seconds=self._progress_seconds
            if self._rendered_one
            else self._first_progress_seconds,
            silence_setting=_LATER_SETTING if self._rendered_one else _FIRST_SETTING,
            folder=folder,
            on_progress=_Reporter(frame, on_progress),
        )
        dialogue = self._dialogue
        if dialogue is None or dialogue.pid is None or self._loaded is None:
            raise failed(Fault.STOPPED if self._interrupted else Fault.GONE, doing=work.doing)
        _make(folder)
        body, place = self._ask_for(frame, dialogue, work)
        if is_full(folder):
            # 5.0 cuts a PNG short on a full disk and says nothing but "Saved:".
            raise dialogue.failure(work, Fault.DISK_FULL)
        try:
            rendered = RenderedFrame(
                frame=frame,
                files=tuple(Path(path) for path in body["files"]),
                main_count=int(body["main_count"]),
                render_seconds=float(body["render_seconds"]),
                peak_memory_bytes=max(int(body["peak_memory_bytes"]), dialogue.peak_memory_bytes),
                warnings=tuple(map(str, body["warnings"])),
            )
        except (KeyError, TypeError, ValueError):
            raise dialogue.failure(work, Fault.GARBLED) from None
        if not rendered.files:
            raise dialogue.failure(work, Fault.NO_FILE, frame=frame)
        try:
            files = ordinary_files(rendered.files, place, folder)
        except StrayFileError as stray:
            raise dialogue.failure(work, Fault.STRAY_FILE, path=stray.path) from None
        self._rendered_one = True
        return replace(rendered, files=files)

    def assist(
        self, doing: str, answer: str, ask: Callable[[Path], Mapping[str, Any]], folder: Path
    ) -> dict[str, Any]:
        """Have something done with the loaded scene beside rendering; blocks until it is done.

        Args:
            doing: as in "Blender crashed while …".
            answer: the driver's event that ends it.
            ask: makes the request; it is given an empty folder, where Blender finds what is
                put there, and where it can write.
            folder: where that folder is moved afterwards; must not be there.

        Raises:
            BlenderFailed: it can't be done; the process is gone.
        """
        dialogue = self._dialogue
        if dialogue is None or dialogue.pid is None or self._loaded is None:
            raise failed(Fault.STOPPED if self._interrupted else Fault.GONE, doing=doing)
        room = self._scratch / "assist"
        shutil.rmtree(room, ignore_errors=True)
        _make(room)
        work = Work(
            doing=doing,
            answer=answer,
            silence_seconds=self._first_progress_seconds,
            silence_setting=_FIRST_SETTING,
            folder=room,
        )
        body = dialogue.ask(work, dict(ask(room)))
        room.rename(folder)
        return body

    def kill(self) -> None:
        """End Blender at once, from any thread; a running `load` or `render` raises.

        The next `load` starts a new process, unless what it is told to ask says no.
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
        if self._ran_scripts:
            forget(self._scratch)

    def _ask_for(self, frame: int, dialogue: Dialogue, work: Work) -> tuple[dict[str, Any], Path]:
        """Return the driver's answer, and where the frame's folder was in the meantime."""
        try:
            with lent(work.folder, self._scratch / "frame" if self._cage else None) as place:
                request = {"do": "render", "frame": frame, "folder": str(place)}
                return dialogue.ask(work, request), place
        except OSError as error:
            fault, reason = _of_disk(error), error.strerror
            raise dialogue.failure(work, fault, reason=reason) from error

    def _start(self, work: Work, blend: Path, settings: RenderSettings, graphics: bool) -> Dialogue:
        try:
            env = prepare(self._scratch, graphics=graphics)
        except OSError as error:
            raise _not_written(self._scratch, error) from error
        self._ran_scripts = settings.trust_scripts
        simulates = settings.unbaked == "render"
        inmate = Inmate(self._program, self._facts, blend, self._scratch, env, graphics, simulates)
        try:
            with self._lock:
                if self._interrupted:
                    raise failed(Fault.STOPPED, doing=work.doing)
                child = Child(
                    lambda reads, writes: start_line(self._cage, inmate, DRIVER, (reads, writes)),
                    env=env,
                    folder=self._scratch,
                    on_line=self._hear,
                )
                self._dialogue = Dialogue(
                    child, self._memory_limit_bytes, crash_reports(self._scratch), self._on_line
                )
                return self._dialogue
        except OSError as error:
            reason = error.strerror
            raise failed(Fault.NOT_STARTED, program=self._program, reason=reason) from error

    def _hear(self, text: str) -> None:
        if text != ANSWERED and not is_progress(text) and not text.startswith(NOISE):
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
        # Of samples there is only now and then a word: the next may come in a minute.
        if now - self._told_at < _PROGRESS_SECONDS and "Sample " not in text:
            return
        self._told_at = now
        step = parse_progress(text)
        elapsed_seconds = now - self._started_at
        self._on_progress(
            Progress(
                self._frame, step.sample, step.samples, step.words, memory_bytes, elapsed_seconds
            )
        )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_written(folder, error) from error


def _not_written(folder: Path, error: OSError) -> BlenderFailed:
    return failed(_of_disk(error), folder=folder, reason=error.strerror)


def _of_disk(error: OSError) -> Fault:
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return Fault.DISK_FULL if is_full else Fault.NOT_WRITABLE


def _content(blend: Path) -> tuple[Path, int, int]:
    """Return what tells this .blend from any other, also from a later one of its name."""
    # Of a link it is the link's own: a blob never changes, and a mount may not answer.
    try:
        status = blend.lstat()
    except OSError as error:
        raise failed(Fault.NOT_READABLE, blend=blend, reason=error.strerror) from error
    return blend, status.st_size, status.st_mtime_ns
