"""How a job looks while it is watched, and in its last lines. Watching itself is elsewhere."""

from __future__ import annotations

import io
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from burst.cli import live, words
from burst.cli.waiting import summary_lines
from burst.domain.frames import RESULT_MIN
from burst.domain.transitions import JobStatus, WorkerStatus
from burst.domain.workers import BlenderFacts, Capabilities
from burst.operations.progress import Note, WatchState
from burst.operations.summary import summarize
from burst.protocol.artist_messages import JobView, WorkerView
from burst.protocol.messages import OutputFile, RenderProgress
from tests.fakes.manager import NOW, frame_view, job_view


def job(**changes: Any) -> JobView:
    values: dict[str, Any] = {
        "name": "shot [bold]",
        "frames": "1-48",
        "frame_count": 48,
        "frames_published": 12,
        "ended_at": NOW + timedelta(seconds=100),
        "mean_frame_seconds": 2.5,
        "slowest_frame": 7,
        "slowest_frame_seconds": 9.25,
        "eta_seconds": 151,
    }
    return job_view(**(values | changes))


def worker(name: str, frame: int | None = 13, **progress: Any) -> WorkerView:
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
        progress=RenderProgress(attempt_id="a", job_id="shot-abc234", frame=frame, **progress),
        statistics=None,
    )


def drawn(state: WatchState) -> str:
    screen = Console(file=io.StringIO(), width=120, color_system=None)
    view = live.LiveView(screen)
    view.show(state)
    with screen.capture() as capture:
        screen.print(view.draw())
    return capture.get()


def test_the_live_view_shows_the_job_and_what_each_worker_does() -> None:
    busy = worker("local-1", sample=12, samples=64, memory_bytes=1_300_000_000)
    text = drawn(WatchState(job(), workers={"local-1": busy}))
    for part in ("shot [bold]", "12/48 frames", "25%", "ETA 2:3", "local-1", "frame 13"):
        assert part in text
    assert "sample 12/64" in text
    assert "1.3 GB" in text


def test_without_samples_the_step_is_shown_as_it_is() -> None:
    text = drawn(WatchState(job(), workers={"w": worker("w", step="Sync [red] Cube")}))
    assert "Sync [red] Cube" in text


def test_a_command_shows_what_it_does_and_how_far_it_is() -> None:
    busy = worker("w", frame=None, step="encoding [1]", percent=48.2)
    text = drawn(WatchState(job(), workers={"w": busy}))
    assert "encoding [1] 48 %" in text
    assert "frame 13" not in text
    assert "None" not in text


def test_many_workers_are_counted_not_listed() -> None:
    many = {f"w{n:02}": worker(f"w{n:02}") for n in range(20)}
    text = drawn(WatchState(job(), workers=many))
    assert "and 8 more" in text
    assert "w19" not in text


def test_trouble_is_written_above_the_bar_and_finished_frames_are_not() -> None:
    screen = Console(file=io.StringIO(), width=120, color_system=None)
    view = live.LiveView(screen)
    with screen.capture() as capture:
        view.note(Note("frame 1 done in 1.0 s on w", "frame"))
        view.note(Note("frame 2 failed: [oops]", "trouble"))
        view.note(Note("video: shot.mp4 done", "result"))
    assert capture.get() == "frame 2 failed: [oops]\nvideo: shot.mp4 done\n"


def test_the_plain_view_writes_every_event_as_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    view = live.PlainView()
    view.show(WatchState(job()))
    view.note(Note("frame 1 done in 1.0 s on w", "frame"))
    assert capsys.readouterr().err == "frame 1 done in 1.0 s on w\n"


def test_without_a_terminal_the_view_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with live.job_view() as view:
        assert isinstance(view, live.PlainView)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_no_color_means_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    with live.job_view() as view:
        assert isinstance(view, live.LiveView)
        view.show(WatchState(job()))
        view.note(Note("a frame failed", "trouble"))
    text = terminal.getvalue()
    assert "a frame failed" in text
    assert "\x1b[33m" not in text


def test_the_last_lines_tell_what_it_took() -> None:
    done = job(frames_published=48, retries=1, interruptions=2, status=JobStatus.COMPLETED)
    assert summary_lines(summarize(done, (), Path("/out"))) == [
        "48 of 48 frames in 1:40, 2.5 s a frame, slowest frame 7 with 9.2 s",
        "1 failed attempt, 2 interruptions",
        "frames are in /out",
    ]


def test_the_last_lines_name_the_videos() -> None:
    file = OutputFile(name="shot.mp4", size=1, sha256="0" * 64)
    video = frame_view(RESULT_MIN, 9, file).model_copy(update={"task": "video"})
    done = job(frames_published=48, status=JobStatus.COMPLETED)
    lines = summary_lines(summarize(done, (), Path("/out"), [video]))
    assert lines[-2:] == ["frames are in /out", "video: /out/shot.mp4"]


def test_a_job_without_frames_has_no_place_for_them() -> None:
    none = job(frames_published=0, mean_frame_seconds=None, slowest_frame=None)
    assert summary_lines(summarize(none, (), None)) == ["0 of 48 frames in 1:40"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0, "0.0 s"), (4.24, "4.2 s"), (59.97, "1:00"), (187, "3:07"), (3765, "1:02:45")],
)
def test_durations_read_well(seconds: float | None, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1300, "1.3 kB"), (2.5e9, "2.5 GB"), (4e15, "4000.0 TB")],
)
def test_sizes_read_well(number: float, text: str) -> None:
    assert words.size(number) == text
