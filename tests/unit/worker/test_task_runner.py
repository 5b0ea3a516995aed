"""One Blender and the scene it has open: what is reported when something goes wrong.

Blender is a stand-in with the same calls; a real one is in the integration tests.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted_manager import assignment

from burst.domain.frames import RESULT_MIN
from burst.domain.jobs import SceneRef
from burst.errors import BlobMissing, DatabaseUnavailable, ManagerUnreachable, SceneError
from burst.protocol.worker_messages import Assignment, AttemptEnded, Report
from burst.scene.checkout import CheckedOut
from burst.scene.manifest import FileEntry
from burst.scene.source import MountedBlobs
from burst.storage.directory import DirectoryStorage
from burst.worker import task_runner as module
from burst.worker.blender import BlenderFailed, LoadedScene, Progress, RenderedFrame
from burst.worker.commands import Allowed, CommandFailed, Place
from burst.worker.held import Held
from burst.worker.space import Rest
from burst.worker.task_runner import TaskRunner

SCENE = LoadedScene("Scene", "CYCLES", 8, 4, "PNG", "RGB", 8, ("no camera",), 0.1)


def no_video(command: Any, place: Place) -> None:
    raise CommandFailed("no video", ("a line",), "out_of_memory", 7, "task")


class FakeBlender:
    """Renders nothing, or fails as it is told to."""

    def __init__(self) -> None:
        self.rendered: list[int] = []
        self.loaded = self.killed = 0
        self.closed = False
        self.trouble: Exception | None = None
        self.folder = Path()
        self.during: Callable[[int], None] = lambda frame: None

    def load(self, *arguments: Any) -> LoadedScene:
        self.loaded += 1
        return SCENE

    def render(
        self, frame: int, folder: Path, on_progress: Callable[[Progress], None]
    ) -> RenderedFrame:
        on_progress(Progress(frame, 1, 4, "Sample", 100, 0.5))
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.during(frame)
        if self.trouble:
            raise self.trouble
        self.rendered.append(frame)
        return RenderedFrame(frame, (folder / "x.png",), 1, 1.0, 10, ())

    def kill(self) -> None:
        self.killed += 1

    def close(self) -> None:
        self.closed = True

    def take_last_use(self) -> None:
        """Have none."""


class Recorder:
    """Stands for courier and finisher: keeps what it is given."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.lines: list[str] = []
        self.errors: list[str] = []
        self.errors_at_end: list[str] = []
        self.frames: list[int] = []
        self.handed_in: list[Any] = []
        self.progress: Any = None
        self.rest = Rest()

    def end(self, report: Report) -> None:
        self.reports.append(report)
        self.errors_at_end = [*self.errors]

    def log(self, line: Any) -> None:
        self.lines.append(line.text)
        if line.level == "error":
            self.errors.append(line.text)

    def hand_in(self, rendered: Any) -> None:
        self.frames.append(rendered.frame.frame)
        self.handed_in.append(rendered)


class Rig:
    """A task runner between stand-ins."""

    def __init__(self, folder: Path) -> None:
        self.blender, self.there = FakeBlender(), Recorder()
        storage: Any = DirectoryStorage(folder / "storage")
        parts: list[Any] = [
            self.blender,
            storage,
            MountedBlobs(folder / "storage", storage),
            self.there,
            self.there,
            folder,
            Allowed(no_video),
        ]
        self.runner = TaskRunner(*parts)
        self.held = Held(Assignment.model_validate(assignment("a1", (1, 2, 3))))


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    laid_out = CheckedOut(tmp_path / "x.blend", {}, tmp_path)
    monkeypatch.setattr(module, "checkout", lambda *arguments: laid_out)
    return Rig(tmp_path)


def test_every_frame_is_rendered_in_order_and_handed_in(rig: Rig) -> None:
    seen: list[Any] = []
    rig.blender.during = lambda frame: seen.append(rig.there.progress.frame)
    rig.runner.run(rig.held)
    assert rig.blender.rendered == rig.there.frames == seen == [1, 2, 3]
    assert rig.there.reports == []
    assert rig.there.progress is None
    assert "no camera" in rig.there.lines


def test_a_blender_that_floods_its_output_does_not_flood_the_log(rig: Rig) -> None:
    def flood(frame: int) -> None:
        for number in range(5000):
            rig.runner.hear(f"line {number} of frame {frame}")

    rig.blender.during = flood
    rig.runner.run(rig.held)
    told = [line for line in rig.there.lines if line.startswith("line ")]
    assert 0 < len(told) < 2000
    assert "the program prints more than a log can hold: lines are dropped" in rig.there.lines
    assert f"{15000 - len(told)} lines were dropped" in rig.there.lines


def test_a_failure_is_reported_with_its_outcome(rig: Rig) -> None:
    rig.blender.trouble = BlenderFailed("took too much", (), "out_of_memory")
    rig.runner.run(rig.held)
    (report,) = rig.there.reports
    assert isinstance(report, AttemptEnded)
    assert (report.outcome, report.token) == ("out_of_memory", "token of a1")
    assert "took too much" in report.reason
    assert rig.held.over.is_set()


def test_the_last_lines_of_a_blender_that_failed_are_errors_in_the_log(rig: Rig) -> None:
    tail = tuple(f"line {number}" for number in range(60))
    rig.blender.trouble = BlenderFailed("crashed", tail)
    rig.runner.run(rig.held)
    assert rig.there.errors == ["Blender's last lines:", *tail[-40:]]
    assert rig.there.errors_at_end == rig.there.errors


def test_the_last_lines_of_a_blender_that_was_stopped_are_no_errors(rig: Rig) -> None:
    rig.blender.trouble = BlenderFailed("stopped", ("Saved: x.png",), "interrupted")
    rig.runner.run(rig.held)
    assert rig.there.errors == []


def test_a_scene_that_lacks_a_file_in_the_storage_is_given_up_with_what_to_do(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def incomplete(*arguments: Any) -> None:
        raise BlobMissing("a.png is not in the storage", hint="upload the scene again")

    monkeypatch.setattr(module, "checkout", incomplete)
    rig.runner.run(rig.held)
    (report,) = rig.there.reports
    assert isinstance(report, AttemptEnded)
    assert (report.outcome, report.gives_up) == ("failed", "job")
    assert report.reason == "a.png is not in the storage; upload the scene again"


@pytest.mark.parametrize("trouble", [SceneError("no such scene"), OSError(5, "Input/output error")])
def test_other_trouble_fails_the_attempt(rig: Rig, trouble: Exception) -> None:
    rig.blender.trouble = trouble
    rig.runner.run(rig.held)
    (report,) = rig.there.reports
    assert isinstance(report, AttemptEnded)
    assert report.outcome == "failed"


def test_an_error_that_nobody_thought_of_fails_the_attempt_and_not_the_worker(rig: Rig) -> None:
    rig.blender.trouble = ValueError("what is this")
    rig.runner.run(rig.held)
    (report,) = rig.there.reports
    assert isinstance(report, AttemptEnded)
    assert report.outcome == "failed"
    assert report.reason == "burst hit a bug: ValueError('what is this')"


def test_the_bytes_of_a_name_that_is_no_text_do_not_keep_a_report_from_being_sent(rig: Rig) -> None:
    rig.blender.trouble = BlenderFailed("it wrote \udcff.png", ("line \udcff",))
    rig.runner.run(rig.held)
    (report,) = rig.there.reports
    assert b"it wrote ?.png" in report.model_dump_json().encode()
    assert rig.there.errors == ["Blender's last lines:", "line ?"]


@pytest.mark.parametrize("trouble", [ManagerUnreachable("away"), DatabaseUnavailable("full")])
def test_a_manager_that_is_away_is_no_fault_of_the_task(rig: Rig, trouble: Exception) -> None:
    rig.blender.trouble = trouble
    rig.runner.run(rig.held)
    (report,) = rig.there.reports
    assert isinstance(report, AttemptEnded)
    assert report.outcome == "interrupted"


def test_half_a_frame_does_not_stay_on_the_disk(rig: Rig, tmp_path: Path) -> None:
    def write(frame: int) -> None:
        (rig.blender.folder / "half.png").write_bytes(b"half")
        rig.blender.trouble = OSError(28, "No space left on device") if frame == 2 else None

    rig.blender.during = write
    rig.runner.run(rig.held)
    whole = rig.there.handed_in[0].folder
    assert [*(tmp_path / "scratch" / "a1").iterdir()] == [whole]


def test_nothing_is_left_of_attempts_that_are_finished(rig: Rig, tmp_path: Path) -> None:
    for number in range(3):
        rig.runner.run(Held(Assignment.model_validate(assignment(f"b{number}"))))
        shutil.rmtree(rig.there.handed_in[-1].folder)
    assert [path.name for path in (tmp_path / "scratch").iterdir()] == ["b2"]


def test_a_canceled_attempt_stops_at_once_and_reports_nothing(rig: Rig) -> None:
    def cancel(frame: int) -> None:
        rig.runner.cancel(("other",))
        assert rig.blender.killed == 0
        rig.runner.cancel(("a1",))
        rig.blender.trouble = BlenderFailed("stopped", (), "interrupted")

    rig.blender.during = cancel
    rig.runner.run(rig.held)
    assert rig.blender.killed == 1
    assert rig.there.reports == []
    assert rig.there.frames == []


def test_an_attempt_that_is_over_renders_no_further_frame(rig: Rig) -> None:
    rig.blender.during = lambda frame: rig.held.over.set()
    rig.runner.run(rig.held)
    assert rig.blender.rendered == [1]


def test_an_attempt_that_is_canceled_while_its_scene_comes_loads_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = module.checkout

    def check_out(*arguments: Any) -> CheckedOut:
        rig.held.over.set()
        rig.runner.cancel(("a1",))
        return known(*arguments)

    monkeypatch.setattr(module, "checkout", check_out)
    rig.runner.run(rig.held)
    assert rig.blender.loaded == 0
    assert rig.there.reports == []


def test_a_scene_that_made_room_for_one_that_failed_is_checked_out_anew(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = module.checkout
    asked: list[str] = []

    def check_out(scene: SceneRef, storage: Any, source: Any, folder: Path, wanted: Any) -> Any:
        asked.append(scene.version)
        folder.mkdir(parents=True)
        if scene.version == "v2":
            raise OSError(28, "No space left on device")
        return known(scene, storage, source, folder, wanted)

    monkeypatch.setattr(module, "checkout", check_out)
    for version in ("v1", "v1", "v2", "v1"):
        task = assignment() | {"scene": {"name": "shot", "version": version}}
        rig.runner.run(Held(Assignment.model_validate(task)))
    assert asked == ["v1", "v2", "v1"]
    assert rig.blender.rendered == [1, 1, 1]


@pytest.mark.parametrize(
    ("lost", "outcome", "gives_up", "reason"),
    [
        ("nothing", "failed", "job", "the scene needs tex.png"),
        ("blob", "failed", "job", "tex.png is not in the storage; upload the scene again"),
        ("mount", "interrupted", None, "there is no folder "),
    ],
)
def test_what_blender_misses_is_judged_by_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str, outcome: str, gives_up: Any,
    reason: str,
) -> None:  # fmt: skip
    rig = Rig(tmp_path)
    sha256 = "ab" * 32
    blob = tmp_path / "storage" / "blobs" / "ab" / sha256
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"T")
    files = {"tex.png": FileEntry(sha256, 1)}
    laid_out = CheckedOut(tmp_path / "x.blend", {}, tmp_path, files)
    monkeypatch.setattr(module, "checkout", lambda *arguments: laid_out)
    rig.blender.trouble = BlenderFailed("the scene needs tex.png", gives_up="job")

    def lose(frame: int) -> None:
        if lost == "blob":
            blob.unlink()
        elif lost == "mount":
            shutil.rmtree(tmp_path / "storage")

    rig.blender.during = lose
    rig.runner.run(rig.held)
    (report,) = rig.there.reports
    assert isinstance(report, AttemptEnded)
    assert (report.outcome, report.gives_up) == (outcome, gives_up)
    assert report.reason.startswith(reason)
    # It claims nothing for a while, and the next Blender has nothing of this one.
    assert bool(rig.there.rest.seconds_left) == (outcome == "interrupted")
    assert rig.blender.closed == (lost != "nothing")


def test_what_a_killed_worker_left_of_another_scene_makes_room(rig: Rig, tmp_path: Path) -> None:
    part = tmp_path / "scenes" / ".other-v0.part"
    (part / "cache").mkdir(parents=True)
    rig.runner.run(rig.held)
    assert rig.blender.rendered == [1, 2, 3]
    assert not part.exists()


# ── Command tasks ────────────────────────────────────────────────────────────────────


def commands(*commands: dict[str, Any]) -> Held:
    number = RESULT_MIN + 2
    task = assignment("a1", (number,)) | {"commands": commands, "task_name": "after"}
    return Held(Assignment.model_validate(task))


def test_what_commands_leave_is_handed_in_under_the_number_of_the_task(rig: Rig) -> None:
    script = "echo hello; echo $BURST_JOB > $BURST_OUTPUT_DIR/job.txt"
    held = commands({"kind": "exec", "argv": ["sh", "-c", script]}, {"kind": "echo", "text": "x"})
    rig.runner.run(held)
    (handed_in,) = rig.there.handed_in
    assert handed_in.frame.frame == RESULT_MIN + 2
    assert handed_in.scene is None
    assert [(path.name, path.read_text()) for path in handed_in.frame.files] == [
        ("job.txt", "job\n")
    ]
    assert rig.there.lines == ["hello", "x"]
    assert rig.there.progress is None
    assert rig.there.reports == []
    assert rig.blender.loaded == 0


def test_a_task_of_commands_needs_no_scene(rig: Rig) -> None:
    held = commands({"kind": "echo", "text": "x"})
    task = held.assignment.model_copy(update={"scene": None})
    rig.runner.run(Held(task))
    assert [one.frame.files for one in rig.there.handed_in] == [()]


def test_a_command_that_fails_ends_the_attempt_and_leaves_nothing(rig: Rig, tmp_path: Path) -> None:
    script = "echo bad; touch $BURST_OUTPUT_DIR/x; exit 3"
    rig.runner.run(commands({"kind": "exec", "argv": ["sh", "-c", script]}))
    (report,) = rig.there.reports
    assert isinstance(report, AttemptEnded)
    assert (report.outcome, report.reason) == ("failed", "exec: sh left with exit status 3")
    assert rig.there.errors == ["the program's last lines:", "bad"]
    assert rig.there.handed_in == []
    assert [*(tmp_path / "scratch").iterdir()] == []


def test_what_no_other_try_can_save_is_reported_so(rig: Rig) -> None:
    rig.runner.run(commands({"kind": "encode", "name": "a.mp4", "fps": 24, "frames": "1"}))
    (report,) = rig.there.reports
    assert isinstance(report, AttemptEnded)
    assert (report.outcome, report.gives_up) == ("out_of_memory", "task")
    assert report.peak_memory_bytes == 7


def test_a_canceled_command_stops_at_once_and_reports_nothing(rig: Rig) -> None:
    held = commands({"kind": "sleep", "seconds": 600}, {"kind": "echo", "text": "never"})
    running = threading.Thread(target=rig.runner.run, args=(held,))
    running.start()
    while rig.there.progress is None and running.is_alive():
        running.join(0.01)
    rig.runner.cancel(("a1",))
    running.join(20)
    assert not running.is_alive()
    assert rig.there.reports == []
    assert rig.there.handed_in == []
    assert "never" not in rig.there.lines
