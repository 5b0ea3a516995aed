"""Watch a job to its end: follow its events, bring its frames, outlive its manager."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Protocol

from burst.config.cluster import ClusterFarm
from burst.config.farm import FarmSettings
from burst.errors import DatabaseUnavailable, ManagerUnreachable, StorageAway, StorageError
from burst.manager.state_dir import find_manager, is_locked, lock_path
from burst.operations.connect import open_client
from burst.operations.frames import FrameFolder, bring_all, with_way_back
from burst.operations.local_farm import ensure_farm, was_stopped
from burst.operations.progress import (
    Note,
    WatchState,
    after_asking,
    after_event,
    after_frames,
    after_losing_touch,
)
from burst.operations.reach import reach_again
from burst.protocol.artist_messages import FrameView, JobView
from burst.protocol.client import ManagerClient
from burst.protocol.messages import OutputFile

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 8.0


class View(Protocol):
    """What shows a job while it is watched."""

    def show(self, state: WatchState) -> None:
        """Show the state as it is now."""
        ...

    def note(self, note: Note) -> None:
        """Show one thing that happened."""
        ...


class Touch:
    """The connection to a farm, made again when its manager goes away."""

    def __init__(
        self,
        settings: FarmSettings,
        url: str,
        *,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """Talk to the manager at ``url``, of the farm that ``settings`` name."""
        self.url = url
        self._settings = settings
        self.wait = wait
        self._pause_seconds = _FIRST_PAUSE_SECONDS
        self._told = False

    @contextmanager
    def client(self) -> Iterator[ManagerClient]:
        """Open a client for as long as the block runs."""
        with open_client(self.url) as client:
            yield client

    def made(self) -> None:
        """Note that who was asked has answered."""
        self._pause_seconds = _FIRST_PAUSE_SECONDS
        self._told = False

    def make_again(self, tell: Callable[[str], None]) -> None:
        """Wait a moment, or start a local manager again if it was killed.

        Raises:
            ManagerUnreachable: the farm was stopped on purpose.
            StateError: it can't be started again.
        """
        if isinstance(self._settings, ClusterFarm):
            self.be_patient("the manager does not answer, trying again", tell)
            self.url = reach_again(self._settings)
            return
        if not self._settings.is_local:
            self.be_patient("the manager does not answer, trying again", tell)
            return
        state_dir = self._settings.state_dir
        if is_locked(lock_path(state_dir)):
            self.be_patient("the manager does not answer, trying again", tell)
            if (address := find_manager(state_dir)) is not None:
                self.url = address.console_url
            return
        if was_stopped(state_dir):
            raise ManagerUnreachable(
                "the local farm was stopped", hint="its queue is kept: burst watch last goes on"
            )
        tell("the manager is gone, starting it again")
        self.url = ensure_farm(self._settings, implicit=True).address.console_url

    def be_patient(self, why: str, tell: Callable[[str], None]) -> None:
        """Wait a moment, longer each time until somebody answers; say why the first time."""
        if not self._told:
            tell(why)
            self._told = True
        self.wait(self._pause_seconds)
        self._pause_seconds = min(2 * self._pause_seconds, _LONGEST_PAUSE_SECONDS)


def watch_job(job: JobView, touch: Touch, folder: FrameFolder | None, view: View) -> WatchState:
    """Watch a job until it has ended and every published frame is in ``folder``; blocks.

    Args:
        job: the job as it was last seen.
        touch: how to reach its manager.
        folder: where its frames go; None leaves them in the storage.
        view: shows how it goes.

    Raises:
        StorageError: the frames can't be brought.
        ManagerUnreachable: the farm was stopped on purpose.
        ManagerError: the manager refused, e.g. since the job was deleted.
    """
    watcher = _Watcher(job, touch, folder, view)
    while not watcher.state.ended:
        watcher.follow()
    watcher.look_again()
    return watcher.state


def files_of(frames: Iterable[FrameView]) -> list[OutputFile]:
    """Return the files of published frames and results."""
    return [file for frame in frames for file in frame.files]


class _Watcher:
    def __init__(self, job: JobView, touch: Touch, folder: FrameFolder | None, view: View) -> None:
        self.state = WatchState(job)
        self._touch = touch
        self._folder = folder
        self._view = view

    def follow(self) -> None:
        """Follow events until the job has ended or the manager is lost and found again."""
        try:
            with self._touch.client() as client:
                self._ask(client)
                for event in client.events(self.state.job.id, self.state.events_seq):
                    self._take(*after_event(self.state, event))
                    self._ask(client)
                    self._touch.made()
                    if self.state.ended:
                        return
        except (ManagerUnreachable, DatabaseUnavailable):
            self.state = after_losing_touch(self.state)
            self._touch.make_again(self._tell)
            return
        # The manager ended the stream: it is leaving, or was started anew.
        self.state = after_losing_touch(self.state)

    def _ask(self, client: ManagerClient) -> None:
        """Ask for whatever the state does not know."""
        job_id = self.state.job.id
        if self.state.all_behind:
            self._take(*after_asking(self.state, client.job(job_id), client.workers()))
        if self.state.frames_behind:
            frames = client.frames(job_id, after=self.state.frames_seq)
            if self._folder is not None:
                self._bring(self._folder, files_of(frames))
            self._take(*after_frames(self.state, frames))
        if self.state.failures_behind:
            self.state = replace(self.state, attempted=client.tasks(job_id))

    def _bring(self, folder: FrameFolder, files: list[OutputFile]) -> None:
        """Bring files, as soon as the storage can be reached."""
        while True:
            try:
                with _way_back(folder):
                    folder.bring(files)
            except StorageAway as error:
                self._touch.be_patient(f"{error.message}, trying again", self._tell)
            else:
                return

    def look_again(self) -> None:
        """Bring what could not be brought; it may have been replaced just then."""
        folder = self._folder
        if folder is None:
            return
        with _way_back(folder):
            if folder.damaged:
                with suppress(ManagerUnreachable), self._touch.client() as client:
                    bring_all(
                        folder, lambda: files_of(client.frames(folder.job_id)), self._touch.wait
                    )
            folder.check()

    def _tell(self, text: str) -> None:
        self._view.note(Note(text, "trouble"))

    def _take(self, state: WatchState, notes: tuple[Note, ...]) -> None:
        self.state = state
        for note in notes:
            self._view.note(note)
        self._view.show(state)


@contextmanager
def _way_back(folder: FrameFolder) -> Iterator[None]:
    """Say with what goes wrong how to get the frames later."""
    try:
        yield
    except StorageError as error:
        hint = f"the job goes on; when that is mended: burst download {folder.job_id}"
        raise with_way_back(error, hint) from error
