"""When Blender has to die, and what its words mean. Real processes are tested elsewhere."""

from __future__ import annotations

import pytest

from burst.worker.process import Usage
from burst.worker.watchdog import Verdict, Watchdog
from burst.worker.words import Ailment, ailment, is_progress, parse_progress

GIB = 2**30


def watchdog(limit_bytes: int = 0) -> Watchdog:
    return Watchdog(600, limit_bytes, 1000.0, Usage(GIB, 50.0))


@pytest.mark.parametrize(
    ("now", "cpu_seconds", "verdict"),
    [
        (1599.0, 50.0, None),
        (1600.0, 50.0, Verdict.HUNG),
        (1600.0, 55.9, Verdict.HUNG),
        (1600.0, 57.0, Verdict.SLOW),
    ],
)
def test_silent_and_idle_together_are_hung(
    now: float, cpu_seconds: float, verdict: Verdict | None
) -> None:
    assert watchdog().check(now, Usage(GIB, cpu_seconds)) is verdict


def test_a_word_starts_the_silence_anew() -> None:
    dog = watchdog()
    dog.heard(1500.0, Usage(GIB, 50.0))
    assert dog.check(1700.0, Usage(GIB, 50.0)) is None
    assert dog.check(2100.0, Usage(GIB, 50.0)) is Verdict.HUNG


def test_a_blender_that_computed_silently_and_then_stopped_is_hung() -> None:
    dog = watchdog()
    assert dog.check(1600.0, Usage(GIB, 600.0)) is Verdict.SLOW
    assert dog.check(2199.0, Usage(GIB, 600.0)) is None
    assert dog.check(2200.0, Usage(GIB, 600.0)) is Verdict.HUNG


def test_memory_is_limited_at_nine_tenths_and_zero_is_no_limit() -> None:
    assert watchdog(10 * GIB).check(1001.0, Usage(9 * GIB, 50.0)) is None
    assert watchdog(10 * GIB).check(1001.0, Usage(9 * GIB + 1, 50.0)) is Verdict.TOO_BIG
    assert watchdog(0).check(1001.0, Usage(900 * GIB, 50.0)) is None


@pytest.mark.parametrize(
    ("line", "sample", "samples", "words"),
    [
        (
            "Fra:1 Mem:9.58M (Peak 10.29M) | Time:00:00.20 | Remaining:00:00.29 | "
            "Mem:1.64M, Peak:1.64M | Scene, ViewLayer | Sample 3/4",
            3,
            4,
            "Scene, ViewLayer | Sample 3/4",
        ),
        (
            "Fra:-12 Mem:10.91M (Peak 12.04M) | Time:00:00.85 | Rendering 5 / 64 samples",
            5,
            64,
            "Rendering 5 / 64 samples",
        ),
        (
            "00:01.547  render           | Fra: 1 | Remaining: 00:00.09 | Mem: 360M | Sample 1/16",
            1,
            16,
            "Sample 1/16",
        ),
        ("Fra:1 Mem:9M | Time:00:00.00 | Updating Lights", 0, 0, "Updating Lights"),
    ],
)
def test_progress_lines_of_all_versions_are_read(
    line: str, sample: int, samples: int, words: str
) -> None:
    assert is_progress(line)
    step = parse_progress(line)
    assert (step.sample, step.samples, step.words) == (sample, samples, words)


@pytest.mark.parametrize(
    "line",
    ["Saved: '/tmp/x_0001.png'", "Fragment shader compiled", "00:02.418  render  | Saved: 'x'"],
)
def test_other_lines_are_no_progress(line: str) -> None:
    assert not is_progress(line)


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("Malloc returns null: len=800 in x, total 7", Ailment.OUT_OF_MEMORY),
        ("Calloc array returns null: len=1x2", Ailment.OUT_OF_MEMORY),
        ("terminate called after throwing an instance of 'std::bad_alloc'", Ailment.OUT_OF_MEMORY),
        ("Error: Render error (No space left on device) cannot save: 'x'", Ailment.DISK_FULL),
        # Cycles 3.4 to 5.1 and the drivers below it, each in its words.
        ("Error: Out of memory", Ailment.OUT_OF_MEMORY),
        ("System is out of GPU memory", Ailment.GPU_OUT_OF_MEMORY),
        (
            "00:07.1  cycles  | ERROR System is out of GPU and shared host memory",
            Ailment.GPU_OUT_OF_MEMORY,
        ),
        ("Out of memory in CUDA queue enqueue (integrator_shade)", Ailment.GPU_OUT_OF_MEMORY),
        (
            "Out of memory in cuMemAlloc_v2(&device_pointer, size) (device_impl.cpp:7)",
            Ailment.GPU_OUT_OF_MEMORY,
        ),
        ("Out of memory - couldn't allocate integrator state", Ailment.GPU_OUT_OF_MEMORY),
        ("UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY", Ailment.GPU_OUT_OF_MEMORY),
        ("Illegal address in CUDA queue copy_from_device (integrator_reset)", Ailment.GPU_LOST),
        ("Launch failed in HIP queue synchronize ()", Ailment.GPU_LOST),
        ("Invalid value in cuCtxSynchronize() (device_impl.cpp:77)", Ailment.GPU_LOST),
        ("OPTIX_ERROR_LAUNCH_FAILURE in optixLaunch(pipeline) (queue.cpp:9)", Ailment.GPU_LOST),
        ("Failed to create HIP context (Invalid device)", Ailment.GPU_LOST),
        ("Failed to load OptiX kernel from 'kernel_optix.ptx'", Ailment.GPU_LOST),
        ("Failed to build OptiX acceleration structure", Ailment.GPU_LOST),
        ('oneAPI kernel "shade" execution error: got runtime exception "lost"', Ailment.GPU_LOST),
        ('oneAPI unknown kernel execution error: got runtime exception "x"', Ailment.GPU_LOST),
        ("Command buffer not completed. status = 5. ", Ailment.GPU_LOST),
        ("VK_ERROR_DEVICE_LOST", Ailment.GPU_LOST),
        ("No CUDA-capable device available", Ailment.GPU_LOST),
        ("Failed loading render kernel, see console for errors", Ailment.GPU_LOST),
        ("Saved: 'x'", None),
        ("Saved: '/shots/lost in hips/error_0001.png'", None),
        ("Device with id CPU is used", None),
    ],
)
def test_causes_that_blender_only_prints_are_known(line: str, cause: Ailment | None) -> None:
    assert ailment(line) is cause
