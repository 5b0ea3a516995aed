"""Watching over real HTTP, with a fake manager that says what the test wants.

Starting a killed manager again needs a real one: tests/integration.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from burst.config.farm import FarmSettings
from burst.domain.transitions import JobStatus
from burst.errors import BlobMissing, ManagerUnreachable, NotFound, StorageAway, StorageError
from burst.manager.state_dir import Address, held_state_dir, write_address
from burst.operations.frames import FrameFolder
from burst.operations.progress import Note, WatchState
from burst.operations.watch import Touch, watch_job
from burst.protocol.artist_messages import FRAMES_MAX
from burst.protocol.client import ManagerClient
from burst.protocol.messages import OutputFile
from burst.storage import layout
from burst.storage.directory import DirectoryStorage
from burst.storage.items import Tell, Wanted, tell_nobody
from tests.fakes.manager import FakeManager, event, frame_view, job_view


class Recorder:
    """A view that keeps what it was shown."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def show(self, state: WatchState) -> None:
        """Show nothing."""

    def note(self, note: Note) -> None:
        """Keep the words."""
        self.notes.append(note.text)


@pytest.fixture
def settings(tmp_path: Path) -> FarmSettings:
    return FarmSettings(state_dir=tmp_path / "state")


@pytest.fixture
def folder(tmp_path: Path, storage_dir: Path) -> FrameFolder:
    return FrameFolder(
        tmp_path / "out", DirectoryStorage(storage_dir), "shot-abc234", tmp_path / "state"
    )


def publish(manager: FakeManager, frame: int) -> Callable[[], None]:
    """Return what publishes a frame, and completes the job with the second one."""

    def do() -> None:
        content = f"pixels of {frame}".encode()
        name = f"shot_{frame:04}.png"
        storage = DirectoryStorage(Path(manager.storage_url))
        storage.put_bytes(content, layout.render(manager.job.id, name))
        sha256 = hashlib.sha256(content).hexdigest()
        file = OutputFile(name=name, size=len(content), sha256=sha256)
        manager.frames.append(frame_view(frame, len(manager.frames) + 1, file))
        done = len(manager.frames)
        status = JobStatus.COMPLETED if done == 2 else JobStatus.ACTIVE
        manager.job = job_view(frames_published=done, status=status)

    return do


def frame_event(seq: int) -> object:
    return event("frame", seq=seq, job_id="shot-abc234")


def names(folder: FrameFolder) -> list[str]:
    return sorted(path.name for path in folder.folder.iterdir())


def test_a_job_is_watched_to_its_end_and_every_frame_is_brought(
    manager: FakeManager, settings: FarmSettings, folder: FrameFolder
) -> None:
    manager.streams = [
        [
            event("reset"),
            publish(manager, 1),
            frame_event(2),
            event("tick", seq=2),
            publish(manager, 2),
            event("job", seq=3, job_id="shot-abc234", job=job_view(frames_published=1)),
            event("reset", seq=4),
        ]
    ]
    view = Recorder()
    state = watch_job(job_view(), Touch(settings, manager.url), folder, view)
    assert state.job.status is JobStatus.COMPLETED
    assert names(folder) == ["shot_0001.png", "shot_0002.png"]
    assert "job shot-abc234 is completed" in view.notes


def test_a_job_that_ended_before_anybody_watched_still_brings_its_frames(
    manager: FakeManager, settings: FarmSettings, folder: FrameFolder
) -> None:
    publish(manager, 1)()
    publish(manager, 2)()
    manager.streams = [[event("reset")]]
    watch_job(job_view(), Touch(settings, manager.url), folder, Recorder())
    assert names(folder) == ["shot_0001.png", "shot_0002.png"]


def test_frames_published_while_nobody_listened_are_not_missed(
    manager: FakeManager, settings: FarmSettings, folder: FrameFolder
) -> None:
    # The first stream breaks off; everything happens before the second.
    manager.streams = [
        [event("reset", seq=5), publish(manager, 1), publish(manager, 2)],
        [event("tick", seq=6)],
    ]
    watch_job(job_view(), Touch(settings, manager.url), folder, Recorder())
    assert names(folder) == ["shot_0001.png", "shot_0002.png"]
    assert manager.listened_after[0] == "0"


def test_a_manager_that_does_not_answer_is_asked_again_more_and_more_slowly(
    manager: FakeManager, settings: FarmSettings, folder: FrameFolder
) -> None:
    pauses: list[float] = []
    address = Address(0, manager.url, "", "0", implicit=True)
    publish(manager, 1)()
    publish(manager, 2)()
    manager.streams = [[event("reset")]]

    def wait(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 5:
            write_address(settings.state_dir, address)

    view = Recorder()
    with held_state_dir(settings.state_dir):
        touch = Touch(settings, "http://127.0.0.1:1", wait=wait)
        watch_job(job_view(), touch, folder, view)
    assert pauses == [0.5, 1, 2, 4, 8]
    assert view.notes.count("the manager does not answer, trying again") == 1
    assert names(folder) == ["shot_0001.png", "shot_0002.png"]


def test_a_farm_that_was_stopped_on_purpose_is_not_started_again(
    settings: FarmSettings, folder: FrameFolder
) -> None:
    settings.state_dir.mkdir()
    (settings.state_dir / "stopped").touch()
    touch = Touch(settings, "http://127.0.0.1:1")
    with pytest.raises(ManagerUnreachable, match="stopped"):
        watch_job(job_view(), touch, folder, Recorder())


def test_a_job_that_was_deleted_ends_the_watching(
    manager: FakeManager, settings: FarmSettings, folder: FrameFolder
) -> None:
    gone = job_view(id="gone-xyz")
    with pytest.raises(NotFound):
        watch_job(gone, Touch(settings, manager.url), folder, Recorder())


def test_frames_that_can_not_be_brought_end_the_watching_with_the_way_back(
    manager: FakeManager, settings: FarmSettings, folder: FrameFolder
) -> None:
    folder.folder.write_text("in the way")
    publish(manager, 1)()
    with pytest.raises(StorageError) as caught:
        watch_job(job_view(), Touch(settings, manager.url), folder, Recorder())
    assert "burst download shot-abc234" in (caught.value.hint or "")


class FailingStorage(DirectoryStorage):
    """Fails to bring files as often as the test wants."""

    def __init__(self, root: Path, failures: list[Exception]) -> None:
        super().__init__(root)
        self.failures = failures

    def fetch_all(self, wanted: Iterable[Wanted], tell: Tell = tell_nobody) -> None:
        if self.failures:
            raise self.failures.pop()
        super().fetch_all(wanted, tell)


def test_a_storage_that_is_away_is_waited_for_while_following(
    manager: FakeManager, settings: FarmSettings, storage_dir: Path, tmp_path: Path
) -> None:
    publish(manager, 1)()
    publish(manager, 2)()
    manager.streams = [[event("reset")]]
    storage = FailingStorage(storage_dir, [StorageAway("gs://farm does not answer")] * 3)
    folder = FrameFolder(tmp_path / "out", storage, "shot-abc234", tmp_path / "state")
    pauses: list[float] = []
    view = Recorder()
    watch_job(job_view(), Touch(settings, manager.url, wait=pauses.append), folder, view)
    assert pauses == [0.5, 1, 2]
    assert view.notes.count("gs://farm does not answer, trying again") == 1
    assert names(folder) == ["shot_0001.png", "shot_0002.png"]


def test_a_frame_that_was_replaced_while_it_was_brought_is_brought_at_the_end(
    manager: FakeManager, settings: FarmSettings, folder: FrameFolder
) -> None:
    publish(manager, 1)()
    publish(manager, 2)()
    old = manager.frames[0]
    manager.frames[0] = old.model_copy(
        update={"files": (old.files[0].model_copy(update={"sha256": "0" * 64}),)}
    )
    manager.streams = [[event("reset")]]
    pauses: list[float] = []

    def wait(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            manager.frames[0] = old

    state = watch_job(job_view(), Touch(settings, manager.url, wait=wait), folder, Recorder())
    assert state.job.status is JobStatus.COMPLETED
    assert names(folder) == ["shot_0001.png", "shot_0002.png"]
    assert pauses == [0, 0.5]


def test_a_frame_that_stays_damaged_is_an_error_when_all_others_are_there(
    manager: FakeManager, settings: FarmSettings, folder: FrameFolder, storage_dir: Path
) -> None:
    publish(manager, 1)()
    publish(manager, 2)()
    DirectoryStorage(storage_dir).put_bytes(b"damaged", "renders/shot-abc234/shot_0001.png")
    manager.streams = [[event("reset")]]
    touch = Touch(settings, manager.url, wait=lambda seconds: None)
    with pytest.raises(BlobMissing, match=r"shot_0001\.png"):
        watch_job(job_view(), touch, folder, Recorder())
    assert names(folder) == ["shot_0002.png"]


def test_frames_are_asked_for_in_as_many_answers_as_it_takes(manager: FakeManager) -> None:
    count = 2 * FRAMES_MAX
    manager.frames = [frame_view(number, number) for number in range(1, count + 1)]
    with ManagerClient(manager.url) as client:
        assert [frame.frame for frame in client.frames("shot-abc234")] == [*range(1, count + 1)]
        assert [frame.frame for frame in client.frames("shot-abc234", count - 1)] == [count]
