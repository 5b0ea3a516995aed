"""The reducer of watching; that the manager sends such events is in tests/integration."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from burst.domain.frames import RESULT_MIN
from burst.domain.transitions import JobStatus, WorkerStatus
from burst.domain.workers import BlenderFacts, Capabilities
from burst.operations.progress import (
    Note,
    WatchState,
    after_asking,
    after_event,
    after_frames,
    after_losing_touch,
)
from burst.protocol.artist_messages import Event, WorkerView
from burst.protocol.messages import LogLine, OutputFile, RenderProgress
from tests.fakes.manager import NOW, event, frame_view, job_view


def settled(**changes: Any) -> WatchState:
    """Return a state that has asked for everything."""
    state, _ = after_asking(WatchState(job_view(**changes)), job_view(**changes), ())
    return after_frames(state, ())[0]


def worker(name: str, job_id: str | None) -> WorkerView:
    progress = RenderProgress(attempt_id="a", job_id=job_id, frame=1) if job_id else None
    return WorkerView(
        name=name,
        pool="local",
        host="here",
        pid=1,
        status=WorkerStatus.BUSY,
        capabilities=Capabilities(blenders=(BlenderFacts(version=(3, 4, 1), kind="binary"),)),
        threads=1,
        registered_at=NOW,
        silent_seconds=0,
        frames_finished=0,
        progress=progress,
        statistics=None,
    )


def test_a_frame_event_is_only_a_reason_to_ask() -> None:
    state, notes = after_event(settled(), event("frame", job_id="shot-abc234"))
    assert state.frames_behind
    assert notes == ()


def test_frames_that_were_taken_in_are_not_asked_for_again() -> None:
    state, notes = after_frames(settled(), (frame_view(1, 4), frame_view(2, 7)))
    assert state.frames_seq == 7
    assert not state.frames_behind
    assert [note.kind for note in notes] == ["frame", "frame"]


def test_no_new_frames_leave_the_sequence_where_it_was() -> None:
    state, _ = after_frames(settled(), (frame_view(1, 4),))
    assert after_frames(state, ())[0].frames_seq == 4


def test_a_reset_asks_for_everything_anew() -> None:
    state, _ = after_event(settled(), event("reset", seq=900))
    assert state.all_behind
    assert state.events_seq == 900


def test_losing_touch_forgets_workers_but_not_what_was_brought() -> None:
    state, _ = after_frames(settled(), (frame_view(1, 4),))
    lost = after_losing_touch(state)
    assert lost.all_behind
    assert lost.frames_behind
    assert lost.frames_seq == 4


def test_events_of_other_jobs_change_nothing() -> None:
    before = settled()
    other = job_view(id="other-xyz", status=JobStatus.FAILED)
    after, notes = after_event(before, event("job", job_id=other.id, job=other))
    assert after.job == before.job
    assert notes == ()


@pytest.mark.parametrize(
    "status", [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELED], ids=str
)
def test_a_job_that_ended_is_over_only_when_its_last_frames_are_taken_in(
    status: JobStatus,
) -> None:
    job = job_view(status=status)
    state, notes = after_event(settled(), event("job", job_id=job.id, job=job))
    assert not state.ended
    assert str(status) in notes[0].text
    assert replace(after_frames(state, ())[0], attempted=()).ended


def test_a_failed_job_is_over_only_when_it_is_known_why() -> None:
    assert not settled(status=JobStatus.FAILED).ended


def test_a_job_that_was_requeued_is_not_over_and_its_failures_are_forgotten() -> None:
    state = replace(settled(status=JobStatus.FAILED), attempted=())
    assert state.ended
    state, _ = after_event(state, event("job", job_id="shot-abc234", job=job_view()))
    assert not state.ended
    assert state.attempted is None


def said(text: str, **changes: Any) -> Event:
    line = LogLine(at=NOW, level="error", text=text, job_id="shot-abc234", **changes)
    return event("log", job_id="shot-abc234", log=line)


def test_trouble_is_told_in_the_managers_words() -> None:
    _, notes = after_event(settled(), said("frame 1 failed on local-1: no camera"))
    assert notes == (Note("frame 1 failed on local-1: no camera", "trouble"),)


def test_a_job_that_is_given_up_does_not_repeat_why() -> None:
    state, _ = after_event(settled(), said("frame 1 failed on local-1: no camera"))
    given_up = "given up: frame 1 failed on local-1: no camera"
    state, notes = after_event(state, said(f"job {given_up}"))
    assert notes == ()
    failed = job_view(status=JobStatus.FAILED, status_reason=given_up)
    _, notes = after_event(state, event("job", job_id=failed.id, job=failed))
    assert notes == (Note("job shot-abc234 is failed: given up", "change"),)


def test_what_blender_printed_is_left_to_the_log() -> None:
    assert after_event(settled(), said("Traceback", attempt_id="a"))[1] == ()


def test_a_frames_warning_is_told_once_whichever_comes_first() -> None:
    frame = frame_view(3, 1).model_copy(update={"warnings": ("a texture is pink",)})
    state, first = after_event(settled(), said("frame 3: a texture is pink"))
    state, second = after_frames(state, (frame,))
    assert len(first) == 1
    assert [note.kind for note in second] == ["frame"]
    state, first = after_frames(settled(), (frame,))
    _, second = after_event(state, said("frame 3: a texture is pink"))
    assert [note.kind for note in first] == ["frame", "trouble"]
    assert second == ()


def test_only_workers_that_render_this_job_are_shown() -> None:
    mine, other = worker("w1", "shot-abc234"), worker("w2", "other")
    state, _ = after_asking(settled(), job_view(), (mine, other))
    assert set(state.workers) == {"w1"}
    state, _ = after_event(state, event("worker", worker=worker("w2", "shot-abc234")))
    assert set(state.workers) == {"w1", "w2"}
    state, _ = after_event(state, event("worker", worker=worker("w1", None)))
    assert set(state.workers) == {"w2"}
    state, _ = after_event(state, event("worker", worker_name="w2"))
    assert set(state.workers) == set()


def test_warnings_of_a_frame_are_told() -> None:
    frame = frame_view(3, 1).model_copy(update={"warnings": ("a texture is pink",)})
    _, notes = after_frames(settled(), (frame,))
    assert notes[-1].text == "frame 3: a texture is pink"
    assert notes[-1].kind == "trouble"


def test_the_result_of_a_command_task_is_told_by_its_name_and_files() -> None:
    video = OutputFile(name="shot_0001-0048.mp4", size=1, sha256="0" * 64)
    encoded = frame_view(RESULT_MIN, 3, video).model_copy(
        update={"task": "video", "warnings": ("no sound",)}
    )
    slept = frame_view(RESULT_MIN + 1, 4).model_copy(update={"task": "wait"})
    state, notes = after_frames(settled(), (frame_view(2, 2), encoded, slept))
    assert [(note.kind, note.text) for note in notes] == [
        ("frame", "frame 2 done in 1.5 s on local-1"),
        ("result", "video: shot_0001-0048.mp4 done"),
        ("trouble", "video: no sound"),
        ("result", "wait done"),
    ]
    assert set(state.results) == {"video", "wait"}
    later, _ = after_frames(state, (frame_view(1, 5),))
    assert later.results == state.results


def test_as_many_troubles_as_frames_are_told_in_a_moment() -> None:
    count = 20_000
    frames = [
        frame_view(number, number).model_copy(update={"warnings": ("wood.png is missing",)})
        for number in range(1, count + 1)
    ]
    began = time.process_time()
    _, notes = after_frames(settled(), frames)
    assert time.process_time() - began < 5
    assert sum(note.kind == "trouble" for note in notes) == count
