"""Watch a job to its end: follow its events, bring its frames, outlive its manager."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from burst.config.farm import FarmSettings
from burst.errors import DatabaseUnavailable, ManagerUnreachable, StorageError
from burst.manager.state_dir import find_manager, is_locked, lock_path
from burst.operations.connect import open_client
from burst.operations.frames import FrameFolder, with_way_back
from burst.operations.local_farm import ensure_farm, was_stopped
from burst.operations.progress import (
    Note,
    WatchState,
    after_asking,
    after_event,
    after_frames,
    after_losing_touch,
)
from burst.protocol.artist_messages import JobView
from burst.protocol.client import ManagerClient

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
    """The connection to a local farm, made again when its manager goes away."""

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
        self._wait = wait
        self._pause_seconds = _FIRST_PAUSE_SECONDS
        self._told = False

    @contextmanager
    def client(self) -> Iterator[ManagerClient]:
        """Open a client for as long as the block runs."""
        with open_client(self.url) as client:
            yield client

    def made(self) -> None:
        """Note that the manager answered."""
        self._pause_seconds = _FIRST_PAUSE_SECONDS
        self._told = False

    def make_again(self, tell: Callable[[str], None]) -> None:
        """Wait a moment, or start the manager again if it was killed.

        Raises:
            ManagerUnreachable: the farm was stopped on purpose.
            StateError: it can't be started again.
        """
        state_dir = self._settings.state_dir
        if is_locked(lock_path(state_dir)):
            self._be_patient(tell)
            if (address := find_manager(state_dir)) is not None:
                self.url = address.console_url
            return
        if was_stopped(state_dir):
            raise ManagerUnreachable(
                "the local farm was stopped", hint="its queue is kept: burst watch last goes on"
            )
        tell("the manager is gone, starting it again")
        self.url = ensure_farm(self._settings, implicit=True).address.console_url

    def _be_patient(self, tell: Callable[[str], None]) -> None:
        if not self._told:
            tell("the manager does not answer, trying again")
            self._told = True
        self._wait(self._pause_seconds)
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
    return watcher.state


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
            self._touch.make_again(lambda text: self._view.note(Note(text, "trouble")))
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
            try:
                if self._folder is not None:
                    self._folder.bring(frames)
            except StorageError as error:
                raise with_way_back(error, job_id) from error
            self._take(*after_frames(self.state, frames))
        if self.state.failures_behind:
            self.state = replace(self.state, attempted=client.tasks(job_id))

    def _take(self, state: WatchState, notes: tuple[Note, ...]) -> None:
        self.state = state
        for note in notes:
            self._view.note(note)
        self._view.show(state)
