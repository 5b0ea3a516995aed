"""What a job came to, and which exit status that is."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from burst.domain.commands import CommandTask, Sleep
from burst.domain.frames import RESULT_MIN
from burst.domain.transitions import AttemptStatus, JobStatus, TaskStatus
from burst.errors import EXIT_JOB_CANCELED, EXIT_JOB_FAILED
from burst.operations.summary import error_of, extent, summarize
from burst.protocol.artist_messages import AttemptView, TaskCounts, TaskView
from burst.protocol.messages import OutputFile
from tests.fakes.manager import NOW, frame_view, job_view


def failed_task(index: int, last: str = "last reason") -> TaskView:
    attempts = tuple(
        AttemptView(
            id=f"a{number}",
            task_index=index,
            worker="local-1",
            status=AttemptStatus.FAILED,
            reason=reason,
            started_at=NOW,
            ended_at=NOW,
            peak_memory_bytes=0,
        )
        for number, reason in enumerate(("first reason", last))
    )
    return TaskView(
        index=index,
        frames=str(index + 1),
        status=TaskStatus.FAILED,
        failures=2,
        attempts=attempts,
    )


def test_a_completed_job_is_no_error_and_has_its_time() -> None:
    job = job_view(status=JobStatus.COMPLETED, ended_at=NOW + timedelta(seconds=90))
    summary = summarize(job, (), Path("/out"))
    assert summary.seconds == 90
    assert error_of(summary) is None


def test_a_job_that_never_started_has_no_time() -> None:
    assert summarize(job_view(started_at=None), (), None).seconds is None


def test_a_failed_job_names_its_frames_their_last_reasons_and_the_log() -> None:
    job = job_view(status=JobStatus.FAILED, frames_published=1)
    error = error_of(summarize(job, (failed_task(1),), None))
    assert error is not None
    assert error.exit_status == EXIT_JOB_FAILED
    assert "frame 2: last reason" in error.message
    assert "first reason" not in error.message
    assert f"burst logs {job.id}" in (error.hint or "")


def test_each_reason_is_told_once_with_the_frames_it_hit() -> None:
    tasks = tuple(failed_task(index) for index in range(300))
    error = error_of(summarize(job_view(status=JobStatus.FAILED), tasks, None))
    assert error is not None
    assert error.message.splitlines()[1:] == ["  frames 1-300: last reason"]


def test_a_job_with_many_reasons_tells_a_few_and_counts_the_rest() -> None:
    tasks = tuple(failed_task(index, f"reason {index}") for index in range(9))
    error = error_of(summarize(job_view(status=JobStatus.FAILED), tasks, None))
    assert error is not None
    assert "frame 5: reason 4" in error.message
    assert "frame 6" not in error.message
    assert "and 4 more reasons" in error.message


def test_a_job_that_lacks_only_its_video_does_not_speak_of_lacking_frames() -> None:
    job = job_view(status=JobStatus.FAILED, frames_published=2)
    video = failed_task(2).model_copy(update={"name": "video", "frames": ""})
    error = error_of(summarize(job, (video,), None))
    assert error is not None
    assert error.message.splitlines() == [
        "job shot-abc234 failed, with all of 2 frames done",
        "  video: last reason",
    ]


def test_a_job_without_frames_is_counted_in_tasks() -> None:
    sleep = CommandTask(name="wait", commands=(Sleep(seconds=1),))
    tasks = TaskCounts(queued=0, waiting=0, active=0, completed=1, failed=1, canceled=0)
    chores = job_view(
        status=JobStatus.FAILED,
        frames="",
        frame_count=0,
        commands=(sleep, sleep.model_copy(update={"name": "other"})),
        tasks=tasks,
    )
    assert str(extent(chores)) == "1 of 2 tasks"
    assert str(extent(job_view(frame_count=1))) == "0 of 1 frame"
    error = error_of(summarize(chores, (), None))
    assert error is not None
    assert error.message == "job shot-abc234 failed: 1 of 2 tasks are lacking"


def test_a_canceled_job_has_an_exit_status_of_its_own() -> None:
    error = error_of(summarize(job_view(status=JobStatus.CANCELED), (), None))
    assert error is not None
    assert error.exit_status == EXIT_JOB_CANCELED


def test_what_programs_read_has_these_keys() -> None:
    job = job_view(status=JobStatus.FAILED, frames_published=1, ended_at=NOW)
    file = OutputFile(name="shot.mp4", size=1, sha256="0" * 64)
    video = frame_view(RESULT_MIN, 2, file).model_copy(update={"task": "video"})
    assert summarize(job, (failed_task(1),), Path("/out"), [video]).as_json() == {
        "job": "shot-abc234",
        "name": "shot",
        "status": "failed",
        "frames": "1-2",
        "frame_count": 2,
        "frames_published": 1,
        "seconds": 0,
        "seconds_per_frame": None,
        "slowest_frame": None,
        "slowest_frame_seconds": None,
        "retries": 0,
        "interruptions": 0,
        "failed": [{"task": "", "frames": "2", "reason": "last reason"}],
        "results": [{"task": "video", "files": ["shot.mp4"]}],
        "output": "/out",
        "files_beside": [],
    }
