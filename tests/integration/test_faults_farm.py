"""What the artist reads when a real farm with real Blenders meets a broken scene or frame.

Leaves out full disks (``tests/chaos/test_disk_full.py``) and workers that break
(``test_broken_worker.py``).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.blenders import RealBlender
from tests.fakes.farm import Farm, Program, job_in, poll, running_farm
from tests.fakes.troubles import make_trouble

pytestmark = pytest.mark.blender

SECONDS = 120


def render(
    farm: Farm, real: RealBlender, blend: Path, frames: str, *more: str
) -> tuple[Program, str]:
    """Start a render with two tries a frame; return it with its job."""
    words = ["render", str(blend), "--local", "--frames", frames, "--retries", "2"]
    output = str(farm.root / "out")
    program = str(real.program)
    cli = farm.start(*words, "--blender", program, "--output", output, "--workers", "2", *more)
    return cli, poll(lambda: job_in(cli.words()), cli.words)


def attempts(farm: Farm, job_id: str) -> list[tuple[int, str, str]]:
    """Return task, status and reason of each attempt that did not end well."""
    query = "SELECT * FROM attempts WHERE job_id = ? AND status != 'completed'"
    rows = farm.rows(query, job_id)
    return [(row["task_index"], row["status"], row["reason"]) for row in rows]


def test_a_frame_that_kills_every_blender_is_given_up_and_the_others_are_rendered(
    real: RealBlender, tmp_path: Path
) -> None:
    blend = make_trouble(real, tmp_path, "segfault", 5)
    with running_farm(tmp_path) as farm:
        cli, job_id = render(farm, real, blend, "1-10", "--trust-scripts")
        assert cli.wait(SECONDS) == 3, cli.words()
        farm.wait_gone()
        assert farm.published(job_id) == 9
        crashed = (
            "Blender crashed (SIGSEGV) while rendering frame 5; its last lines are in the job's log"
        )
        assert attempts(farm, job_id) == [(4, "failed", crashed)] * 2
        assert farm.job_status(job_id) == "failed"
        assert crashed in cli.words()
        assert "1 of 10 tasks failed" in cli.words()
    names = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
    assert names == [f"shot_{n:04}.png" for n in range(1, 11) if n != 5]


def test_with_fail_fast_the_job_ends_with_the_frame(real: RealBlender, tmp_path: Path) -> None:
    blend = make_trouble(real, tmp_path, "segfault", 1)
    with running_farm(tmp_path) as farm:
        more = ("--trust-scripts", "--fail-fast")
        cli, job_id = render(farm, real, blend, "1-200", *more)
        assert cli.wait(SECONDS) == 3, cli.words()
        farm.wait_gone()
        assert farm.published(job_id) < 199
        assert {task for task, _, _ in attempts(farm, job_id)} == {0}
        reason = farm.rows("SELECT * FROM jobs")[0]["status_reason"]
        assert "frame 1" in reason
        assert "Blender crashed (SIGSEGV)" in reason


def test_a_scene_that_blender_can_not_read_is_given_up_at_once(
    real: RealBlender, quick: Path, tmp_path: Path
) -> None:
    # Its header, and what burst traces, are whole: only Blender finds out.
    blend = tmp_path / "cut.blend"
    with running_farm(tmp_path) as farm:
        blend.write_bytes(quick.read_bytes())
        cli, job_id = render(farm, real, blend, "1-6", "--workers", "0", "--detach")
        assert cli.wait(SECONDS) == 0, cli.words()
        (blob,) = {
            path
            for path in (farm.storage / "blobs").rglob("*")
            if path.is_file() and path.stat().st_size == blend.stat().st_size
        }
        blob.chmod(0o644)
        blob.write_bytes(blob.read_bytes()[: 1 << 12].ljust(blend.stat().st_size, b"\0"))
        told = finish_with_a_worker(farm, real, job_id)
        assert "Blender can't read the scene: " in told
        assert given_up_at_once(farm, job_id)


def test_a_scene_whose_file_is_gone_from_the_storage_is_given_up_at_once(
    real: RealBlender, quick: Path, tmp_path: Path
) -> None:
    with running_farm(tmp_path) as farm:
        cli, job_id = render(farm, real, quick, "1-6", "--workers", "0", "--detach")
        assert cli.wait(SECONDS) == 0, cli.words()
        for blob in (farm.storage / "blobs").rglob("*"):
            if blob.is_file():
                blob.unlink()
        told = finish_with_a_worker(farm, real, job_id)
        assert "quick.blend is not in the storage; upload the scene again" in told
        assert given_up_at_once(farm, job_id)


def given_up_at_once(farm: Farm, job_id: str) -> bool:
    """Say whether no task was tried twice; the next claim may overtake the first one's report."""
    return [task for task, *_ in attempts(farm, job_id)] in ([0], [0, 1])


def finish_with_a_worker(farm: Farm, real: RealBlender, job_id: str) -> str:
    """Let a worker have the job; return why it failed."""
    farm.start_worker("by-hand", BURST_BLENDER=str(real.program))
    poll(lambda: farm.job_status(job_id) == "failed", farm.logs)
    return str(farm.rows("SELECT * FROM jobs")[0]["status_reason"])


def test_python_that_is_not_run_or_fails_is_said_with_the_switch(
    real: RealBlender, tmp_path: Path
) -> None:
    blend = make_trouble(real, tmp_path, "raises", 1)
    with running_farm(tmp_path) as farm:
        for words, more in (
            ("(--trust-scripts runs it)", ()),
            ("a script of the scene failed: RuntimeError: the rig is broken", ("--trust-scripts",)),
        ):
            cli, _ = render(farm, real, blend, "1-2", *more)
            assert cli.wait(SECONDS) == 0, cli.words()
            warned = [row["warnings"] for row in farm.rows("SELECT * FROM frames")]
            assert any(words in text for text in warned), warned
            assert words in cli.words()
