"""Renders the tasks of one scene after the other, with a Blender that stays open.

Runs the commands of command tasks, too; nothing that was started for a task outlives it.

On the agent's main thread: Blender lives no longer than the thread that started it.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from burst.domain.jobs import SceneRef
from burst.errors import (
    BlobMissing,
    BurstError,
    DatabaseUnavailable,
    ManagerUnreachable,
    StorageAway,
    StorageDenied,
    StorageError,
)
from burst.protocol.messages import LogLine, RenderProgress
from burst.protocol.worker_messages import AttemptEnded
from burst.scene.blob_cache import NotWanted
from burst.scene.checkout import CheckedOut, checkout, remove_checkout
from burst.scene.source import SceneSource
from burst.storage.storage import Storage
from burst.worker.blender import BlenderFailed, LoadedScene, Progress, RenderedFrame
from burst.worker.blenders import Blenders
from burst.worker.commands import Allowed, CommandFailed, Interrupted, Place, run_commands
from burst.worker.courier import Courier
from burst.worker.finisher import Finisher, Rendered
from burst.worker.held import Held
from burst.worker.process import end_orphans
from burst.worker.space import is_disk_full
from burst.worker.talk import Talk
from burst.worker.watch import Watch

log = logging.getLogger(__name__)

LAST_LINES = 40
"""What Blender printed last, brought to the job's log once more as errors when it failed."""


class TaskRunner:
    """One Blender, and the scene that it has open."""

    def __init__(
        self,
        blender: Blenders,
        storage: Storage,
        source: SceneSource,
        courier: Courier,
        finisher: Finisher,
        home: Path,
        allowed: Allowed,
    ) -> None:
        """Check scenes out, render and run commands below ``home``."""
        self._blender = blender
        self._storage = storage
        self._source = source
        self._watch = Watch(source, home / "scratch" / "lookout", blender.kill)
        self._courier = courier
        self._finisher = finisher
        self._allowed = allowed
        self._scenes = home / "scenes"
        self._scratch = home / "scratch"
        self._lock = threading.Lock()
        self._current: Held | None = None
        self._frame: int | None = None
        self._checked_out: tuple[SceneRef, CheckedOut] | None = None
        self._folders: list[Path] = []
        """Of attempts that have run; the finisher empties them."""
        self._told: LoadedScene | None = None
        self._talk: Talk | None = None
        """Brings what Blender prints to the job's log, while there is an attempt."""

    def run(self, held: Held) -> None:
        """Render every frame of an attempt, or run its commands, or report why not."""
        with self._lock:
            self._current = held
        self._talk = talk = Talk(
            lambda level, text: self._log(level, text, held), lambda percent, step: None
        )
        try:
            if held.assignment.commands:
                self._run_commands(held)
            else:
                self._render_frames(held)
        except (Interrupted, NotWanted):
            log.info("attempt %s was stopped", held.assignment.attempt_id)
        except (BlenderFailed, CommandFailed, BurstError, OSError) as error:
            self._report_failure(held, self._look_behind(held, error))
        except Exception as error:
            # An edge: one task that a bug lies in wait for must not end worker after worker.
            log.exception("a bug in attempt %s", held.assignment.attempt_id)
            self._report_failure(held, RuntimeError(f"burst hit a bug: {error!r}"))
        finally:
            with self._lock:
                self._current = None
            self._talk = None
            talk.finish()
            self._frame = None
            self._courier.progress = None
            self._folders.append(self._scratch / held.assignment.attempt_id)
            self._folders = [folder for folder in self._folders if not _drop_empty(folder)]
            end_orphans()

    def cancel(self, attempt_ids: tuple[str, ...]) -> None:
        """Stop rendering attempts that are not current; from any thread."""
        with self._lock:
            current = self._current
            if current and current.assignment.attempt_id in attempt_ids:
                current.over.set()
                self._blender.kill()

    def stop(self) -> None:
        """Stop whatever is being rendered; from any thread."""
        self._blender.kill()

    def close(self) -> None:
        """Let Blender go, and the scene."""
        self._blender.close()
        self._watch.close()
        self._source.close()

    def hear(self, text: str) -> None:
        """Bring a line that Blender printed to the job's log."""
        self._watch.hear(text)
        if talk := self._talk:
            talk.hear(text)

    def _render_frames(self, held: Held) -> None:
        assert held.assignment.scene is not None  # noqa: S101 - frames are of a scene
        scene = self._check_out(held, held.assignment.scene)
        if held.over.is_set():
            # There was no Blender to kill yet, and to load a scene may take long.
            return
        with self._watch.reading():
            loaded = self._load(held, scene)
            for frame in held.assignment.frames:
                if held.over.is_set():
                    return
                self._render_frame(held, loaded, frame)

    def _run_commands(self, held: Held) -> None:
        """Run what the task has instead of frames, and hand in what that left."""
        assignment = held.assignment
        scene = self._check_out(held, assignment.scene) if assignment.scene else None
        started = time.monotonic()
        talk = Talk(
            lambda level, text: self._log(level, text, held),
            lambda percent, step: self._tell(held, percent, step, time.monotonic() - started),
        )
        place = Place(
            held=held,
            talk=talk,
            scene=scene,
            output=self._scratch / assignment.attempt_id / "output",
            own=self._scratch / assignment.attempt_id / "own",
            memory_limit_bytes=self._allowed.memory_limit_bytes,
            threads=self._allowed.threads,
        )
        try:
            with self._watch.reading() if scene else contextlib.nullcontext():
                files = run_commands(place, self._allowed.encode)
                if scene:
                    self._watch.vouch()
        except BaseException:
            shutil.rmtree(place.output, ignore_errors=True)
            raise
        finally:
            talk.finish()
            shutil.rmtree(place.own, ignore_errors=True)
        result = RenderedFrame(
            frame=assignment.frames[0],
            files=files,
            main_count=0,
            render_seconds=time.monotonic() - started,
            peak_memory_bytes=place.peak_memory_bytes,
            warnings=tuple(place.warnings),
        )
        self._finisher.hand_in(Rendered(held, None, result, place.output))

    def _load(self, held: Held, scene: CheckedOut) -> LoadedScene:
        assignment = held.assignment
        loaded = self._blender.load(
            scene.blend,
            assignment.settings,
            scene.remap,
            assignment.requirements,
            lambda: not held.over.is_set(),
        )
        if loaded is not self._told:
            self._told = loaded
            self._log("info", f"scene loaded in {loaded.load_seconds:.1f} s", held)
            for warning in loaded.warnings:
                self._log("warning", warning, held)
        return loaded

    def _check_out(self, held: Held, scene: SceneRef) -> CheckedOut:
        if self._checked_out and self._checked_out[0] == scene:
            return self._checked_out[1]
        folder = self._scenes / f"{scene.name}-{scene.version}"
        # Before its folder goes: if the next checkout fails, there is none.
        self._checked_out = None
        # One scene at a time: the disk of a worker is small.
        for part in self._scenes.glob(".*.part"):
            shutil.rmtree(part, ignore_errors=True)  # of a worker that was killed
        for former in self._scenes.glob("[!.]*"):
            if former != folder:
                self._blender.close()
                remove_checkout(former)
        wanted = lambda: not held.over.is_set()  # noqa: E731 - no name would say more
        checked_out = checkout(scene, self._storage, self._source, folder, wanted)
        self._watch.begin(checked_out)
        self._checked_out = scene, checked_out
        return checked_out

    def _render_frame(self, held: Held, loaded: LoadedScene, frame: int) -> None:
        folder = self._scratch / held.assignment.attempt_id / str(frame)
        self._frame = frame
        try:
            rendered = self._blender.render(frame, folder, lambda step: self._progress(held, step))
            self._watch.vouch()
        except BaseException:
            # Half a frame must not be what fills the disk.
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._log("info", f"rendered in {rendered.render_seconds:.2f} s", held)
        self._finisher.hand_in(Rendered(held, loaded, rendered, folder))

    def _progress(self, held: Held, progress: Progress) -> None:
        self._courier.progress = RenderProgress(
            attempt_id=held.assignment.attempt_id,
            job_id=held.assignment.job_id,
            frame=progress.frame,
            sample=progress.sample,
            samples=progress.samples,
            elapsed_seconds=progress.elapsed_seconds,
            memory_bytes=progress.memory_bytes,
            step=_sayable(progress.step[:200]),
        )

    def _tell(self, held: Held, percent: float | None, step: str, seconds: float) -> None:
        self._courier.progress = RenderProgress(
            attempt_id=held.assignment.attempt_id,
            job_id=held.assignment.job_id,
            elapsed_seconds=seconds,
            step=_sayable(step[:200]),
            percent=percent,
        )

    def _look_behind(self, held: Held, error: Exception) -> Exception:
        """Return the error of the scene's files that is behind another, or that one."""
        if held.over.is_set() or not self._checked_out:
            return error
        is_doubtful = isinstance(error, BlenderFailed) and error.outcome == "failed"
        if is_doubtful or self._watch.trouble:
            error = self._watch.explain(error)
        if self._watch.trouble or isinstance(error, StorageError):
            # This Blender may have half of it, and is not to blame.
            self._checked_out = None
            self._blender.close()
            self._blender.take_last_use()
        return error

    def _report_failure(self, held: Held, error: Exception) -> None:
        if held.over.is_set():
            # The manager, or the finisher, has ended it already.
            return
        held.over.set()
        reason, outcome, peak_memory_bytes, gives_up = str(error), "failed", 0, None
        if is_disk_full(error) or isinstance(error, (StorageAway, StorageDenied)):
            # The next one would fare no better, and a permission may be given back.
            self._courier.rest.begin()
            outcome = "interrupted"
            if isinstance(error, StorageError) and error.hint:
                reason = f"{reason}; {error.hint}"
        elif isinstance(error, (ManagerUnreachable, DatabaseUnavailable)):
            # No fault of the task, which asked it for something.
            outcome = "interrupted"
        elif isinstance(error, BlobMissing):
            # No worker has it.
            reason, gives_up = f"{reason}; {error.hint}", "job"
        elif isinstance(error, (BlenderFailed, CommandFailed)):
            outcome, peak_memory_bytes = error.outcome, error.peak_memory_bytes
            gives_up = error.gives_up
            self._log_last_lines(held, error)
        reason = _sayable(reason)
        log.warning("attempt %s %s: %s", held.assignment.attempt_id, outcome, reason)
        self._finisher.end(
            AttemptEnded.model_validate(
                {
                    "job_id": held.assignment.job_id,
                    "attempt_id": held.assignment.attempt_id,
                    "token": held.assignment.token,
                    "outcome": outcome,
                    "reason": reason,
                    "gives_up": gives_up,
                    "peak_memory_bytes": peak_memory_bytes,
                }
            )
        )

    def _log_last_lines(self, held: Held, error: BlenderFailed | CommandFailed) -> None:
        """Make findable, among all lines, those that may say why a program failed."""
        if error.outcome == "interrupted" or not error.log_tail:
            return
        who = "Blender" if isinstance(error, BlenderFailed) else "the program"
        self._log("error", f"{who}'s last lines:", held)
        for text in error.log_tail[-LAST_LINES:]:
            self._log("error", text, held)

    def _log(self, level: str, text: str, held: Held | None) -> None:
        if held is None:
            return
        line = {
            "at": datetime.now(UTC),
            "level": level,
            "text": _sayable(text[:4000]),
            "job_id": held.assignment.job_id,
            "attempt_id": held.assignment.attempt_id,
            "frame": self._frame,
        }
        self._courier.log(LogLine.model_validate(line))


def _drop_empty(folder: Path) -> bool:
    """Delete a folder with nothing in it; say whether it is gone."""
    with contextlib.suppress(OSError):
        folder.rmdir()
    return not folder.exists()


def _sayable(text: str) -> str:
    """Return a text that can be sent: the name of a file may hold bytes that are no text."""
    return text.encode("utf-8", "replace").decode("utf-8")
