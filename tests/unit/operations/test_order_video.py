"""A video that is ordered: which task it is, and what comes back when it is made or is not.

The farm that makes it is in ``tests/integration/test_video.py``.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from burst.domain.commands import CommandTask, Echo, Encode
from burst.domain.frames import RESULT_MIN
from burst.domain.transitions import AttemptStatus, FrameStatus, JobStatus, TaskStatus
from burst.errors import JobFailed
from burst.operations.frames import FrameFolder
from burst.operations.progress import WatchState
from burst.operations.video import OrderedVideo, bring_video, order_video
from burst.protocol.artist_messages import AttemptView, MakeVideo, TaskView
from burst.protocol.messages import OutputFile
from burst.storage.directory import DirectoryStorage
from tests.fakes.manager import frame_view, job_view


def task(name: str, video: str) -> CommandTask:
    encode = Encode(name=video, fps=24, frames="1-2")
    return CommandTask(name=name, commands=(encode,), after=("frames",))


def command(name: str) -> CommandTask:
    return CommandTask(name=name, commands=(Echo(text="said"),))


def folder(tmp_path: Path, storage: DirectoryStorage) -> FrameFolder:
    return FrameFolder(tmp_path / "out", storage, ORDERED.job.id, tmp_path / "state")


ORDERED = OrderedVideo(job_view(), "video 2", "b.mp4")


def test_the_new_task_is_the_one_that_was_not_there(tmp_path: Path) -> None:
    class Client:
        def make_video(self, job_id: str, message: MakeVideo) -> Any:
            assert (job_id, message.name) == (before.id, "b.mp4")
            return job_view(commands=(task("video", "a.mp4"), task("video 2", "b.mp4")))

    before = job_view(commands=(task("video", "a.mp4"),))
    client: Any = Client()
    ordered = order_video(client, before, MakeVideo(name="b.mp4"))
    assert (ordered.task, ordered.name) == ("video 2", "b.mp4")


def test_a_video_that_is_being_made_already_is_that_one(tmp_path: Path) -> None:
    class Client:
        def make_video(self, job_id: str, message: MakeVideo) -> Any:
            return before

    tasks = (task("video", "a.mp4"), task("video 2", "cut/b.mp4"), command("notes"))
    before = job_view(commands=tasks)
    client: Any = Client()
    for name, wanted in (("video 2", None), ("video", "a.mp4"), ("video 2", "cut//b.mp4")):
        for frames in (None, "1 - 2"):
            message = MakeVideo(name=wanted, frames=frames)
            assert order_video(client, before, message).task == name


def test_a_video_that_is_made_is_brought_with_its_warnings(tmp_path: Path) -> None:
    storage = DirectoryStorage(tmp_path / "storage")
    storage.put_bytes(b"film", f"renders/{ORDERED.job.id}/b.mp4")
    file = OutputFile(name="b.mp4", size=4, sha256=hashlib.sha256(b"film").hexdigest())
    result = frame_view(RESULT_MIN + 1, 3, file)
    result = result.model_copy(update={"task": "video 2", "warnings": ("a gap",)})
    state = WatchState(job_view(), results={"video 2": result})
    brought = bring_video(ORDERED, state, folder(tmp_path, storage))
    assert brought.path.read_bytes() == b"film"
    assert brought.path == tmp_path / "out" / "b.mp4"
    assert brought.warnings == ("a gap",)
    # One that could not be made anew is not the one that was there before.
    old = result.model_copy(update={"status": FrameStatus.REQUEUED})
    state = WatchState(job_view(status=JobStatus.FAILED), results={"video 2": old})
    with pytest.raises(JobFailed, match="the video was not made"):
        bring_video(ORDERED, state, folder(tmp_path, storage))


def test_a_video_that_could_not_be_made_says_why(tmp_path: Path) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    attempt = AttemptView(
        id="a",
        task_index=2,
        worker="w",
        status=AttemptStatus.FAILED,
        reason="encode: frame 3 is missing",
        started_at=now,
        ended_at=now,
        peak_memory_bytes=0,
    )
    failed = TaskView(
        index=2,
        name="video 2",
        frames="",
        status=TaskStatus.FAILED,
        failures=1,
        attempts=(attempt,),
    )
    state = WatchState(job_view(status=JobStatus.FAILED), attempted=(failed,))
    with pytest.raises(JobFailed, match="the video was not made: encode: frame 3 is missing"):
        bring_video(ORDERED, state, folder(tmp_path, DirectoryStorage(tmp_path / "storage")))


def test_a_video_of_a_job_that_was_canceled_is_none(tmp_path: Path) -> None:
    state = WatchState(job_view(status=JobStatus.CANCELED))
    with pytest.raises(JobFailed, match="is canceled"):
        bring_video(ORDERED, state, folder(tmp_path, DirectoryStorage(tmp_path / "storage")))
