"""Finishes rendered frames while the next one renders: prove, upload, report, publish.

In this order for each frame:

1. every file is proven whole and hashed, and all are uploaded under the attempt's own name;
2. the frame is reported; the manager commits it and answers *publish*, or *drop*;
3. `Storage.publish` gives the files their final names: here a frame becomes visible;
4. that is reported too.

Two threads, so that no frame that is proven and uploaded waits for the names of another, and
the files of one frame go side by side. A storage that is away, or refuses, is waited for: what
is rendered stays in scratch as long as the attempt is ours.

The end of an attempt goes through here too: it is reported when every frame of it that was
handed in has its verdict, since the manager drops what comes after the end.

Whatever is repeated after a crash or a lost answer changes nothing.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal

from burst.errors import StorageAway, StorageConflict, StorageDenied, StorageError
from burst.protocol.messages import LogLine, OutputFile
from burst.protocol.worker_messages import (
    AttemptEnded,
    FrameFinished,
    FramePublished,
    Report,
    Verdict,
)
from burst.storage import layout
from burst.storage.storage import Storage
from burst.threads import side_by_side
from burst.worker.blender import LoadedScene, RenderedFrame
from burst.worker.courier import Courier
from burst.worker.held import Held, HeldAttempts
from burst.worker.lane import Lane, OpenSteps
from burst.worker.preview import make_preview
from burst.worker.proof import Color, NotWhole, deep, prove
from burst.worker.siblings import Siblings
from burst.worker.space import is_disk_full

log = logging.getLogger(__name__)

FRAMES_WAITING_MAX = 3
"""Rendered frames that may wait here; more, and rendering waits for the storage."""

UPLOAD_PAUSES_SECONDS = (0.5, 2.0, 5.0)
"""Pauses between tries of an upload that fails, before the attempt is given up."""

AWAY_PAUSE_SECONDS = 2.0
"""Pause before a storage is tried again that is away or refuses; it was patient before."""

PUBLISH_PAUSE_SECONDS = 2.0
"""Pause before a frame that could not be published is tried again, behind all others."""

PUBLISH_PAUSE_SECONDS_MAX = 30.0
"""It doubles up to this."""

LOOK_SECONDS = 0.2


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
        away_seconds: float,
    ) -> None:
        """Finish frames into ``storage``; call `start` before anything is handed in.

        Args:
            storage: where they go.
            held: the attempts that frames are of.
            verify: how they are proven.
            away_seconds: how long an upload waits for a storage that is away or refuses.
        """
        self._storage = storage
        self._held = held
        self._verify = verify
        self._away_seconds = away_seconds
        self._courier: Courier | None = None
        self._open = OpenSteps()
        self._finishing = Lane("finisher", self._open)
        self._publishing = Lane("publisher", self._open)
        self._places = threading.BoundedSemaphore(FRAMES_WAITING_MAX)
        self._handed_in: Counter[str] = Counter()
        self._siblings = Siblings()
        self._ends: dict[str, AttemptEnded] = {}
        self._lock = threading.Lock()
        """Guards what was handed in, ends, and troubles."""
        self._troubles: dict[str, str] = {}
        """Job → what its log was told about the storage, while that lasts."""
        self._stopping = threading.Event()

    def start(self, courier: Courier) -> None:
        """Start the threads; reports go out by ``courier``."""
        self._courier = courier
        self._finishing.start()
        self._publishing.start()

    def hand_in(self, rendered: Rendered) -> None:
        """Take a rendered frame; blocks while too many wait."""
        with self._lock:
            self._handed_in[rendered.held.assignment.attempt_id] += 1
        self._places.acquire()
        self._finishing.add(lambda: self._finish(rendered))

    def end(self, report: AttemptEnded) -> None:
        """Report the end of an attempt, after the verdicts on what was handed in of it."""
        with self._lock:
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
                self._publishing.add(lambda: self._publish(report, verdict, PUBLISH_PAUSE_SECONDS))
            elif verdict.answer == "drop":
                self._publishing.add(lambda: self._discard(report))
        elif isinstance(report, AttemptEnded):
            self._held.drop(report.attempt_id)

    def has(self, held: Held) -> bool:
        """Say whether rendered frames of an attempt await their verdict."""
        with self._lock:
            return self._handed_in[held.assignment.attempt_id] > 0

    def wait_until_idle(self, seconds: float) -> bool:
        """Return whether everything handed in is done, waiting for at most ``seconds``."""
        return self._open.wait_for_none(seconds)

    def stop(self) -> None:
        """Give up steps that are being tried again."""
        self._stopping.set()

    def _let_go(self, attempt_id: str) -> None:
        with self._lock:
            self._handed_in[attempt_id] -= 1
            if self._handed_in[attempt_id] > 0:
                return
            del self._handed_in[attempt_id]
            end = self._ends.pop(attempt_id, None)
        # One whose last frame has its verdict is not held any more: it has ended well.
        if end and self._held.get(attempt_id):
            self._report(end)

    def _finish(self, rendered: Rendered) -> None:
        """Steps 1 and 2."""
        try:
            self._report(self._prove_and_upload(rendered))
        except NotWhole as error:
            what = f"frame {rendered.frame.frame}" if rendered.scene else "what the task left"
            self._fail(rendered, f"{what} is not whole: {error}")
        except (OSError, StorageError) as error:
            if is_disk_full(error) or isinstance(error, (StorageAway, StorageDenied)):
                # No fault of the frame, and the next one would fare no better.
                self._at_courier.rest.begin()
                self._fail(rendered, _sentence(error), "interrupted")
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
        files = [_described(path, name) for path, name in zip(frame.files, names, strict=True)]
        calls: list[Callable[[], None]] = [
            partial(self._upload, rendered.held, path, file)
            for path, file in zip(frame.files, files, strict=True)
        ]
        doubts: tuple[str, ...] = ()
        if rendered.scene is not None:
            doubts = self._siblings.lacking(assignment.job_id, frame.frame, names)
            seen = make_preview(frame.files[0])
            doubts += seen.doubts
            if seen.jpeg is not None:
                calls.append(partial(self._put_preview, rendered, seen.jpeg))
        side_by_side(calls)
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

    def _put_preview(self, rendered: Rendered, jpeg: bytes) -> None:
        """Store a preview. None is good too: it is a courtesy.

        It stands under the attempt's own name from now on, so that whoever publishes the
        frame has it, and nobody has another attempt's.
        """
        assignment, frame = rendered.held.assignment, rendered.frame
        name = layout.preview(assignment.job_id, frame.frame, assignment.attempt_id)
        try:
            self._storage.put_bytes(jpeg, name)
        except StorageError as error:
            log.warning("no preview of frame %s: %s", frame.frame, error)

    def _upload(self, held: Held, path: Path, file: OutputFile) -> None:
        """Upload a file, again if that fails, and for long if the storage is away."""
        assignment = held.assignment
        name = layout.attempt(assignment.job_id, assignment.attempt_id, file.name)
        pauses, until = [*UPLOAD_PAUSES_SECONDS], time.monotonic() + self._away_seconds
        while True:
            try:
                self._storage.put_file(path, name, file.sha256)
            except (StorageAway, StorageDenied) as error:
                self._note_trouble(assignment.job_id, error)
                if not self._outlast(held, until):
                    raise
            except StorageError as error:
                if not pauses or self._stopping.wait(pauses.pop(0)):
                    raise
                log.warning("%s; trying again", error)
            else:
                self._note_well()
                return

    def _outlast(self, held: Held, until: float) -> bool:
        """Wait before a storage is tried again; say whether that is worth it.

        It is for as long as the attempt is ours: beats keep its lease, whatever the storage
        does, and what is rendered costs more than to wait.
        """
        again = time.monotonic() + AWAY_PAUSE_SECONDS
        while time.monotonic() < again:
            if held.over.is_set() or self._stopping.wait(min(LOOK_SECONDS, AWAY_PAUSE_SECONDS)):
                return False
        return time.monotonic() < until and not self._stopping.is_set()

    def _publish(self, report: FrameFinished, verdict: Verdict, pause: float) -> None:
        """Steps 3 and 4. Tried until it succeeds: the manager counts on it, or does it itself."""
        try:
            side_by_side(
                [
                    partial(
                        self._storage.publish,
                        layout.attempt(report.job_id, report.attempt_id, file.name),
                        layout.render(report.job_id, file.name),
                        file.sha256,
                        verdict.replaces.get(file.name),
                    )
                    for file in report.files
                ]
            )
        except StorageConflict:
            raise
        except StorageError as error:
            if self._stopping.is_set():
                raise
            self._note_trouble(report.job_id, error)
            # Not here and now: it may never succeed, and other frames wait.
            longer = min(PUBLISH_PAUSE_SECONDS_MAX, 2 * pause)
            self._publishing.add_later(lambda: self._publish(report, verdict, longer), pause)
            return
        self._note_well()
        self._report(
            FramePublished(
                job_id=report.job_id,
                attempt_id=report.attempt_id,
                token=report.token,
                frame=report.frame,
            )
        )

    def _note_trouble(self, job_id: str, error: StorageError) -> None:
        """Say in the job's log, once, what keeps its frames from the storage."""
        text = _sentence(error)
        log.warning("%s; trying again", text)
        with self._lock:
            is_known = self._troubles.get(job_id) == text
            self._troubles[job_id] = text
        self._at_courier.trouble = text
        if not is_known:
            self._tell(job_id, "warning", f"{text}; trying again")

    def _note_well(self) -> None:
        """Take note that the storage does what it is asked to."""
        with self._lock:
            told, self._troubles = self._troubles, {}
        if told:
            self._at_courier.trouble = ""
        for job_id in told:
            self._tell(job_id, "info", "the storage works again")

    def _tell(self, job_id: str, level: str, text: str) -> None:
        line = {"at": datetime.now(UTC), "level": level, "text": text[:4000], "job_id": job_id}
        self._at_courier.log(LogLine.model_validate(line))

    def _discard(self, report: FrameFinished) -> None:
        """Delete uploads of an attempt that is not current any more."""
        names = [layout.preview(report.job_id, report.frame, report.attempt_id)]
        names += [layout.attempt(report.job_id, report.attempt_id, f.name) for f in report.files]
        side_by_side([partial(self._storage.delete, name) for name in names])

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

    @property
    def _at_courier(self) -> Courier:
        assert self._courier is not None  # noqa: S101 - `start` comes first
        return self._courier

    def _report(self, report: Report) -> None:
        self._at_courier.report(report)


def _described(path: Path, name: str) -> OutputFile:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return OutputFile(name=name, size=path.stat().st_size, sha256=sha256)


def _sentence(error: Exception) -> str:
    """Return an error with what to do about it, as it can be sent: names may be no text."""
    hint = error.hint if isinstance(error, StorageError) else None
    text = f"{error}; {hint}" if hint else str(error)
    return text.encode("utf-8", "replace").decode("utf-8")
