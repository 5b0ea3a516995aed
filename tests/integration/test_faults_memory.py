"""Real Blenders that lack memory, by every limit that there is; and those killed by others.

Limits of the kernel's own: an address space for anybody, a cgroup for root. Left out: a
cgroup of version 2, where this machine has version 1 (and the other way round), and GPUs:
of those only the words are here.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from burst.domain.jobs import RenderSettings
from burst.worker.blender import Blender, BlenderFailed
from burst.worker.faults import Fault
from burst.worker.proof import prove
from tests.fakes.blenders import RealBlender
from tests.fakes.troubles import (
    TRUSTING,
    Open,
    fail,
    fail_while_rendering,
    make_trouble,
    wrapped,
)

pytestmark = pytest.mark.blender

CGROUPS = Path("/sys/fs/cgroup")
GROUP_BYTES = 640 * 2**20
MORE = "a worker with more memory, smaller textures or less geometry help"


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A memory cgroup with a limit of its own."""
    first_version = (CGROUPS / "memory").is_dir()
    group = (CGROUPS / "memory" if first_version else CGROUPS) / f"burst-test-{os.getpid()}"
    try:
        group.mkdir()
        limit = group / ("memory.limit_in_bytes" if first_version else "memory.max")
        limit.write_text(str(GROUP_BYTES))
        # Otherwise it swaps, and takes for ever to die.
        swap = group / ("memory.swappiness" if first_version else "memory.swap.max")
        if swap.exists():
            swap.write_text("0")
    except OSError as error:
        if group.is_dir():
            group.rmdir()
        pytest.skip(f"a memory cgroup can't be made here: {error.strerror}")
    yield group
    # Whoever uses it asks for it before it asks for a Blender, which is closed by now.
    deadline = time.monotonic() + 10
    while (group / "cgroup.procs").read_text().strip() and time.monotonic() < deadline:
        time.sleep(0.05)
    group.rmdir()


def test_too_much_memory_ends_it_as_out_of_memory(
    open_blender: Open, endless: Path, tmp_path: Path
) -> None:
    blender = open_blender(memory_limit_bytes=64 * 2**20)

    def grow() -> None:
        # Watched once a second: whether that falls into the load or the render is chance.
        blender.load(endless, RenderSettings(), {})
        blender.render(1, tmp_path / "out", lambda progress: None)

    with pytest.raises(BlenderFailed) as caught:
        grow()
    assert caught.value.fault is Fault.TOO_BIG
    assert caught.value.outcome == "out_of_memory"
    assert "GiB of memory" in caught.value.reason


def test_an_address_space_that_is_too_small_is_lack_of_memory(
    real: RealBlender, open_blender: Open, tmp_path: Path
) -> None:
    program = wrapped(real, tmp_path, f"ulimit -v {3 * 2**20}")
    blender = open_blender(program=program)
    blend = make_trouble(real, tmp_path, "dense")

    def grow() -> None:
        # Where a machine has very many cores, their threads alone may take all of it.
        blender.load(blend, RenderSettings(), {})
        blender.render(1, tmp_path / "out", lambda progress: None)

    with pytest.raises(BlenderFailed) as caught:
        grow()
    failed = caught.value
    assert re.fullmatch(f"Blender ran out of memory while [^;]+; {MORE}", failed.reason)
    assert failed.outcome == "out_of_memory"
    assert any("returns null" in line for line in failed.log_tail), failed.log_tail


def test_a_cgroup_that_is_too_small_is_the_kernels_kill(
    cgroup: Path, real: RealBlender, open_blender: Open, quick: Path, tmp_path: Path
) -> None:
    program = wrapped(real, tmp_path, f"echo $$ > {cgroup}/cgroup.procs")
    blender = open_blender(program=program)
    failed = fail(blender, make_trouble(real, tmp_path, "eats"), tmp_path / "out")
    assert (
        failed.reason
        == f"the system killed Blender for lack of memory while rendering frame 1; {MORE}"
    )
    assert failed.outcome == "out_of_memory"
    loaded = blender.load(quick, RenderSettings(), {})
    rendered = blender.render(1, tmp_path / "again", lambda progress: None)
    prove(rendered.files[0], loaded.file_format, loaded.width, loaded.height)


def test_a_kill_in_a_cgroup_with_room_is_somebody_elses(
    cgroup: Path, real: RealBlender, open_blender: Open, endless: Path, tmp_path: Path
) -> None:
    program = wrapped(real, tmp_path, f"echo $$ > {cgroup}/cgroup.procs")
    assert_killed_by_another(open_blender(program=program), endless, tmp_path / "out")


def test_a_kill_by_nobody_we_know_is_not_taken_for_lack_of_memory(
    open_blender: Open, endless: Path, tmp_path: Path
) -> None:
    assert_killed_by_another(open_blender(), endless, tmp_path / "out")


def assert_killed_by_another(blender: Blender, endless: Path, folder: Path) -> None:
    failed = fail_while_rendering(
        blender, endless, folder, lambda: os.kill(blender.pid or 0, signal.SIGKILL)
    )
    assert failed.outcome == "failed"
    assert failed.reason == (
        "Blender was ended by another program (SIGKILL) while rendering frame 1; "
        "look on the worker's machine for what does so"
    )


@pytest.mark.parametrize(
    ("kind", "fault", "words", "suspect"),
    [
        (
            "gpu-lost",
            Fault.GPU_LOST,
            "the GPU failed while rendering frame 2: Illegal address in CUDA queue",
            "device",
        ),
        (
            "gpu-full",
            Fault.GPU_OUT_OF_MEMORY,
            "the GPU ran out of memory while rendering frame 2: System is out of GPU",
            None,
        ),
    ],
)
def test_a_picture_during_which_the_gpu_failed_is_none_and_the_process_is_not_used_again(
    real: RealBlender,
    open_blender: Open,
    tmp_path: Path,
    kind: str,
    fault: Fault,
    words: str,
    suspect: str | None,
) -> None:
    blender = open_blender()
    blend = make_trouble(real, tmp_path, kind, 2)
    blender.load(blend, TRUSTING, {})
    pid = blender.pid
    assert blender.render(1, tmp_path / "1", lambda progress: None).files
    with pytest.raises(BlenderFailed) as caught:
        blender.render(2, tmp_path / "2", lambda progress: None)
    assert (caught.value.fault, caught.value.suspect) == (fault, suspect)
    assert caught.value.reason.startswith(words)
    blender.load(blend, TRUSTING, {})
    assert blender.pid not in (pid, None)
