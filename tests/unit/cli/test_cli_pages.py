"""What is listed of jobs, tasks and workers. That the manager says so: tests/integration."""

from __future__ import annotations

from typing import Any

import pytest

from burst.cli import farm, job_page, words, workers
from burst.domain.commands import CommandTask, Copy, Echo, Encode, Exec, Sleep
from burst.domain.jobs import RenderSettings
from burst.domain.transitions import AttemptStatus, TaskStatus, WorkerStatus
from burst.domain.workers import BlenderFacts, Capabilities, Requirements
from burst.protocol.artist_messages import AttemptView, FarmStatus, TaskView, WorkerView
from burst.protocol.messages import RenderProgress
from tests.fakes.manager import NOW, job_view


def task(index: int, status: TaskStatus, *reasons: str, **changes: Any) -> TaskView:
    attempts = tuple(
        AttemptView(
            id=f"a{index}-{number}",
            task_index=index,
            worker=f"local-{number + 1}",
            status=AttemptStatus.FAILED if reason else AttemptStatus.COMPLETED,
            reason=reason,
            started_at=NOW,
            ended_at=NOW,
            peak_memory_bytes=0,
        )
        for number, reason in enumerate(reasons)
    )
    values: dict[str, Any] = {"frames": str(index + 1), "failures": len(reasons)}
    return TaskView(index=index, status=status, attempts=attempts, **(values | changes))


def page(capsys: pytest.CaptureFixture[str], *tasks: TaskView, **changes: Any) -> list[str]:
    job_page.print_job(job_view(**changes), tasks)
    return capsys.readouterr().out.splitlines()


def test_a_plain_job_shows_only_what_there_is_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert page(capsys) == [
        "job:           shot-abc234",
        "name:          shot",
        "status:        active",
        "frames:        1-2",
        "done:          0 of 2 frames",
        "scene:         shot 000000000000",
        "needs:         CYCLES, Blender 3.4",
        "priority:      50",
    ]


def test_changes_of_the_scene_are_listed_in_their_order(
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = RenderSettings(
        camera="Close",
        samples=8,
        keep_metadata=True,
        missing="warn",
        properties={"scene.z": True, "world.color": (1, 0.5, 0), "scene.a": "High Contrast"},
    )
    lines = page(capsys, settings=settings)
    at = lines.index("changes:       samples 8")
    assert lines[at : at + 7] == [
        "changes:       samples 8",
        "               camera Close",
        "               keep metadata",
        "               missing warn",
        "               scene.z = true",
        "               world.color = [1, 0.5, 0]",
        '               scene.a = "High Contrast"',
    ]


def test_what_a_job_does_after_its_frames_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    encode = Encode(codec="av1", name="shot.mp4", fps=24, frames="1-2")
    lines = page(
        capsys,
        commands=(CommandTask(name="video", commands=(encode,), after=("frames",)),),
        fail_fast=True,
    )
    assert "then:          video: encode shot.mp4 (av1, 24 frames a second), after frames" in lines
    assert "fails:         with the first frame that is given up" in lines


def test_a_job_without_a_scene_needs_no_blender(capsys: pytest.CaptureFixture[str]) -> None:
    wait = CommandTask(name="wait", commands=(Sleep(seconds=2),))
    lines = page(capsys, scene=None, frames="", frame_count=0, commands=(wait,))
    assert "does:          wait: sleep 2 s" in lines
    assert not [line for line in lines if line.startswith(("needs", "scene", "frames"))]


def test_every_kind_of_command_has_its_words() -> None:
    said = [
        job_page.command_words(command)
        for command in (
            Exec(argv=("ls", "a b")),
            Sleep(seconds=1.5),
            Echo(text="hello"),
            Copy(source="a.txt", target="b/c.txt"),
        )
    ]
    assert said == ["exec ls 'a b'", "sleep 1.5 s", "echo hello", "copy a.txt to b/c.txt"]


def test_why_a_job_was_given_up_and_what_went_wrong_is_told_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tasks = [task(index, TaskStatus.FAILED, "no camera", "no camera") for index in range(3)]
    reason = "frame 1 can't be rendered by any worker"
    lines = page(capsys, *tasks, status_reason=reason, retries=6, interruptions=1)
    assert "attempts:      6 failed attempts, 1 interruption" in lines
    assert "status:        active (frame 1 can't be rendered by any worker)" in lines
    assert lines[-1] == "went wrong:    failed: frames 1-3: no camera"


def test_needs_are_named_for_people() -> None:
    wanted = Requirements(
        blender=(4, 2), features=("usd", "oidn"), device="cuda", memory_bytes=8 * 2**30
    )
    assert job_page.needs(wanted) == (
        "CYCLES, Blender 4.2, USD, the OpenImageDenoise denoiser, on cuda, 8 GiB of memory"
    )


@pytest.mark.parametrize(
    ("count", "text"), [(2**33, "8 GiB"), (3 * 2**29, "1.5 GiB"), (5 * 2**20, "5 MiB")]
)
def test_memory_reads_as_it_was_typed(count: int, text: str) -> None:
    assert words.binary_size(count) == text


def test_tasks_are_a_table_with_the_last_reason(capsys: pytest.CaptureFixture[str]) -> None:
    job_page.print_tasks(
        [
            task(0, TaskStatus.COMPLETED, "crashed", ""),
            task(1, TaskStatus.FAILED, "x" * 99),
            task(2, TaskStatus.FAILED, frames="", name="video"),
        ]
    )
    header, first, second, third = capsys.readouterr().out.splitlines()
    assert header.split() == ["TASK", "WHAT", "STATUS", "TRIES", "WORKER", "REASON"]
    assert first.split() == ["1", "frame", "1", "completed", "2", "local-2"]
    assert second.endswith("x" * 59 + "…")
    assert third.split()[:5] == ["3", "video", "failed", "0", "-"]
    assert "not begun" in third


def worker(progress: RenderProgress | None = None, **capabilities: Any) -> WorkerView:
    values: dict[str, Any] = {
        "blenders": (
            BlenderFacts(version=(3, 4, 1), kind="binary"),
            BlenderFacts(version=(5, 0, 1), kind="bpy", devices={"cuda": ("RTX",)}),
        )
    }
    return WorkerView(
        name="local-1",
        pool="local",
        host="here",
        pid=1,
        status=WorkerStatus.BUSY,
        capabilities=Capabilities(**(values | capabilities)),
        threads=1,
        registered_at=NOW,
        silent_seconds=0,
        frames_finished=7,
        progress=progress,
        statistics=None,
    )


def test_a_worker_shows_its_blenders_and_what_each_computes_on() -> None:
    assert workers._row(worker()) == (
        "local-1",
        "busy",
        "3.4.1, 5.0.1 (bpy)",
        "cpu, cuda",
        "-",
        "-",
        "7",
    )
    assert workers._row(worker(device="cpu"))[3] == "cpu"
    assert workers._row(worker(blenders=()))[2:4] == ("none", "-")


@pytest.mark.parametrize(
    ("progress", "does"),
    [
        ({"frame": 3, "sample": 1, "samples": 8}, "frame 3 sample 1/8"),
        ({"frame": 3}, "frame 3"),
        ({"frame": None, "step": "encoding", "percent": 48.4}, "encoding 48 %"),
        ({"frame": None, "step": "sleeping"}, "sleeping"),
    ],
)
def test_a_worker_shows_what_it_does(progress: dict[str, Any], does: str) -> None:
    doing = RenderProgress(attempt_id="a", job_id="j", **progress)
    assert workers._row(worker(doing))[4] == does


def test_a_worker_that_waits_for_the_storage_says_so_first() -> None:
    doing = RenderProgress(attempt_id="a", job_id="j", frame=3)
    waits = worker(doing).model_copy(update={"trouble": "gs://show can't be reached"})
    assert workers._row(waits)[4] == "waits: gs://show can't be reached"


def test_the_status_names_what_keeps_the_manager_from_the_storage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = FarmStatus(
        version="1", started_at=NOW, storage_url="gs://show", jobs={}, tasks_queued=0,
        tasks_active=0, workers=1, pools=(), storage_trouble="no storage.objects.create; grant it",
    )  # fmt: skip
    farm._print_status(answer)
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("storage:  gs://show")
    assert lines[at + 1].strip() == "no storage.objects.create; grant it"
