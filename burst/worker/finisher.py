"""Finishes rendered frames while the next one renders: prove, upload, report, publish.

One thread, one step at a time, in this order for each frame:

1. every file is proven whole, hashed, and uploaded under the attempt's own name;
2. the frame is reported; the manager commits it and answers *publish*, or *drop*;
3. `Storage.publish` gives the files their final names: here a frame becomes visible;
4. that is reported too.

The end of an attempt goes through here too: it is reported when every frame of it that was
handed in has its verdict, since the manager drops what comes after the end.

Whatever is repeated after a crash or a lost answer changes nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import queue
import shutil
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from burst.errors import StorageConflict, StorageError
from burst.protocol.messages import OutputFile
from burst.protocol.worker_messages import (
    AttemptEnded,
    FrameFinished,
    FramePublished,
    Report,
    Verdict,
)
from burst.storage import layout
from burst.storage.storage import Storage
from burst.worker.blender import LoadedScene, RenderedFrame
from burst.worker.courier import Courier
from burst.worker.held import Held, HeldAttempts
from burst.worker.preview import make_preview
from burst.worker.proof import Color, NotWhole, deep, prove
from burst.worker.siblings import Siblings
from burst.worker.space import is_disk_full

log = logging.getLogger(__name__)

FRAMES_WAITING_MAX = 3
"""Rendered frames that may wait here; more, and rendering waits for the storage."""

UPLOAD_PAUSES_SECONDS = (0.5, 2.0, 5.0)
"""Pauses between tries of an upload, before the attempt is given up."""

PUBLISH_PAUSE_SECONDS = 2.0
"""Pause before a frame that could not be published is tried again, behind all others."""

_Step = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A frame that Blender has written to scratch."""

    held: Held
    scene: LoadedScene | None
    """None for what commands left: each file is proven by its name's suffix alone."""
    frame: RenderedFrame
    folder: Path
    """Scratch folder of this frame alone."""


class Finisher:
    """The steps between Blender and a visible frame."""

    def __init__(
        self,
        storage: Storage,
        held: HeldAttempts,
        verify: Literal["structure", "deep"],
    ) -> None:
        """Finish frames into ``storage``; call `start` before anything is handed in."""
        self._storage = storage
        self._held = held
        self._verify = verify
        self._courier: Courier | None = None
        self._steps: queue.SimpleQueue[_Step] = queue.SimpleQueue()
        self._again: deque[tuple[float, _Step]] = deque()
        """Steps to try again and when, the first one first; for the finisher's thread alone."""
        self._places = threading.BoundedSemaphore(FRAMES_WAITING_MAX)
        self._open_steps = 0
        self._handed_in: Counter[str] = Counter()
        self._siblings = Siblings()
        self._ends: dict[str, AttemptEnded] = {}
        self._idle = threading.Condition()
        self._stopping = threading.Event()

    def start(self, courier: Courier) -> None:
        """Start the thread; reports go out by ``courier``."""
        self._courier = courier
        threading.Thread(target=self._run, name="finisher", daemon=True).start()

    def hand_in(self, rendered: Rendered) -> None:
        """Take a rendered frame; blocks while too many wait."""
        with self._idle:
            self._handed_in[rendered.held.assignment.attempt_id] += 1
        self._places.acquire()
        self._add(lambda: self._finish(rendered))

    def end(self, report: AttemptEnded) -> None:
        """Report the end of an attempt, after the verdicts on what was handed in of it."""
        with self._idle:
            if self._handed_in[report.attempt_id] > 0:
                # The first end is the one that counts.
                self._ends.setdefault(report.attempt_id, report)
                return
        self._report(report)

    def on_verdict(self, report: Report, verdict: Verdict) -> None:
        """Do what the manager answered to a report."""
        if isinstance(report, FrameFinished):
            self._held.settle_frame(report.attempt_id, report.frame)
            self._let_go(report.attempt_id)
            if verdict.answer == "publish":
                self._add(lambda: self._publish(report, verdict))
            elif verdict.answer == "drop":
                self._add(lambda: self._discard(report))
        elif isinstance(report, AttemptEnded):
            self._held.drop(report.attempt_id)

    def has(self, held: Held) -> bool:
        """Say whether rendered frames of an attempt await their verdict."""
        with self._idle:
            return self._handed_in[held.assignment.attempt_id] > 0

    def wait_until_idle(self, seconds: float) -> bool:
        """Return whether everything handed in is done, waiting for at most ``seconds``."""
        with self._idle:
            return self._idle.wait_for(lambda: self._open_steps == 0, seconds)

    def stop(self) -> None:
        """Give up steps that are being tried again."""
        self._stopping.set()

    def _let_go(self, attempt_id: str) -> None:
        with self._idle:
            self._handed_in[attempt_id] -= 1
            if self._handed_in[attempt_id] > 0:
                return
            del self._handed_in[attempt_id]
            end = self._ends.pop(attempt_id, None)
        # One whose last frame has its verdict is not held any more: it has ended well.
        if end and self._held.get(attempt_id):
            self._report(end)

    def _add(self, step: _Step) -> None:
        with self._idle:
            self._open_steps += 1
        self._steps.put(step)

    def _add_again(self, step: _Step, pause_seconds: float) -> None:
        with self._idle:
            self._open_steps += 1
        self._again.append((time.monotonic() + pause_seconds, step))

    def _next_step(self) -> _Step:
        while True:
            now = time.monotonic()
            while self._again and self._again[0][0] <= now:
                self._steps.put(self._again.popleft()[1])
            left = self._again[0][0] - now if self._again else None
            with contextlib.suppress(queue.Empty):
                return self._steps.get(timeout=left)

    def _run(self) -> None:
        while True:
            step = self._next_step()
            try:
                step()
            except (OSError, StorageError) as error:
                log.warning("finishing a frame: %s", error)
            except Exception:
                # The edge of this thread: it must go on. A committed frame that it could
                # not publish is published by the manager.
                log.exception("a bug while finishing a frame")
            finally:
                with self._idle:
                    self._open_steps -= 1
                    self._idle.notify_all()

    def _finish(self, rendered: Rendered) -> None:
        """Steps 1 and 2."""
        try:
            self._report(self._prove_and_upload(rendered))
        except NotWhole as error:
            what = f"frame {rendered.frame.frame}" if rendered.scene else "what the task left"
            self._fail(rendered, f"{what} is not whole: {error}")
        except (OSError, StorageError) as error:
            if is_disk_full(error):
                assert self._courier is not None  # noqa: S101 - `start` comes first
                self._courier.rest.begin()
                self._fail(rendered, str(error), "interrupted")
            else:
                self._fail(rendered, str(error))
        except Exception as error:  # the edge of this thread: it must go on
            log.exception("a bug while finishing frame %s", rendered.frame.frame)
            self._fail(rendered, f"burst hit a bug: {error!r}")
        finally:
            shutil.rmtree(rendered.folder, ignore_errors=True)
            self._places.release()

    def _prove_and_upload(self, rendered: Rendered) -> FrameFinished:
        assignment, frame = rendered.held.assignment, rendered.frame
        names = [path.relative_to(rendered.folder).as_posix() for path in frame.files]
        for number, (path, name) in enumerate(zip(frame.files, names, strict=True)):
            try:
                self._prove(path, rendered.scene if number < frame.main_count else None)
            except NotWhole as error:
                raise NotWhole(f"{name} {error}") from error
        doubts: tuple[str, ...] = ()
        if rendered.scene is not None:
            doubts = self._siblings.lacking(assignment.job_id, frame.frame, names)
            doubts += self._preview(rendered)
        files = []
        for path, name in zip(frame.files, names, strict=True):
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            upload = layout.attempt(assignment.job_id, assignment.attempt_id, name)
            self._upload(path, upload, sha256)
            files.append(OutputFile(name=name, size=path.stat().st_size, sha256=sha256))
        return FrameFinished(
            job_id=assignment.job_id,
            attempt_id=assignment.attempt_id,
            token=assignment.token,
            frame=frame.frame,
            files=tuple(files),
            render_seconds=frame.render_seconds,
            peak_memory_bytes=frame.peak_memory_bytes,
            warnings=(*frame.warnings, *doubts),
        )

    def _prove(self, path: Path, scene: LoadedScene | None) -> None:
        """Prove a file of the main image, whose scene says what it should be, or any other."""
        if scene is not None:
            color = Color(scene.color_mode, scene.color_depth)
            prove(path, scene.file_format, scene.width, scene.height, color)
        else:
            prove(path, None, None, None)
        if self._verify == "deep":
            deep(path, scene.file_format if scene else None)

    def _preview(self, rendered: Rendered) -> tuple[str, ...]:
        """Store a preview, and return what looks wrong. None is good too: it is a courtesy.

        It stands under the attempt's own name from now on, so that whoever publishes the
        frame has it, and nobody has another attempt's.
        """
        assignment, frame = rendered.held.assignment, rendered.frame
        seen = make_preview(frame.files[0])
        name = layout.preview(assignment.job_id, frame.frame, assignment.attempt_id)
        try:
            if seen.jpeg is not None:
                self._storage.put_bytes(seen.jpeg, name)
        except StorageError as error:
            log.warning("no preview of frame %s: %s", frame.frame, error)
        return seen.doubts

    def _upload(self, path: Path, name: str, sha256: str) -> None:
        for pause in (*UPLOAD_PAUSES_SECONDS, None):
            try:
                self._storage.put_file(path, name, sha256)
            except StorageError as error:
                if pause is None or self._stopping.wait(pause):
                    raise
                log.warning("%s; trying again", error)
            else:
                return

    def _publish(self, report: FrameFinished, verdict: Verdict) -> None:
        """Steps 3 and 4. Tried until it succeeds: the manager counts on it, or does it itself."""
        try:
            for file in report.files:
                self._storage.publish(
                    layout.attempt(report.job_id, report.attempt_id, file.name),
                    layout.render(report.job_id, file.name),
                    file.sha256,
                    verdict.replaces.get(file.name),
                )
        except StorageConflict:
            raise
        except StorageError as error:
            if self._stopping.is_set():
                raise
            log.warning("%s; trying again", error)
            # Not here and now: it may never succeed, and other frames wait.
            self._add_again(lambda: self._publish(report, verdict), PUBLISH_PAUSE_SECONDS)
            return
        self._report(
            FramePublished(
                job_id=report.job_id,
                attempt_id=report.attempt_id,
                token=report.token,
                frame=report.frame,
            )
        )

    def _discard(self, report: FrameFinished) -> None:
        """Delete uploads of an attempt that is not current any more."""
        for file in report.files:
            self._storage.delete(layout.attempt(report.job_id, report.attempt_id, file.name))
        self._storage.delete(layout.preview(report.job_id, report.frame, report.attempt_id))

    def _fail(
        self,
        rendered: Rendered,
        reason: str,
        outcome: Literal["failed", "interrupted"] = "failed",
    ) -> None:
        assignment = rendered.held.assignment
        rendered.held.over.set()
        self.end(
            AttemptEnded(
                job_id=assignment.job_id,
                attempt_id=assignment.attempt_id,
                token=assignment.token,
                outcome=outcome,
                reason=reason,
                peak_memory_bytes=rendered.frame.peak_memory_bytes,
            )
        )
        self._let_go(assignment.attempt_id)

    def _report(self, report: Report) -> None:
        assert self._courier is not None  # noqa: S101 - `start` comes first
        self._courier.report(report)
