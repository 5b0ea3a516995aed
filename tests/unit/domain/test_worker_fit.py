"""Which Blender and which device may be given which work."""

from __future__ import annotations

from typing import get_args

import pytest

from burst.domain.workers import (
    GPU_PREFERENCE,
    BlenderFacts,
    Capabilities,
    DeviceChoice,
    GpuKind,
    Requirements,
    check_device,
    check_fit,
    choose_blender,
    choose_device,
)
from burst.errors import (
    EngineUnavailable,
    NoSuchDevice,
    NotEnoughMemory,
    SceneTooNew,
    ToolMissing,
)

ENGINES = {"CYCLES": "", "BLENDER_EEVEE": "no display"}
GIB = 2**30


def _blender(*version: int, kind: str = "binary", **facts: object) -> BlenderFacts:
    body = {"version": version, "kind": kind, "engines": ENGINES, **facts}
    return BlenderFacts.model_validate(body)


def _worker(*blenders: BlenderFacts, **facts: object) -> Capabilities:
    return Capabilities.model_validate({"blenders": blenders, **facts})


DEBIAN = _blender(3, 4, 1, features={"openvdb": "", "usd": "this Blender was built without it"})
WHEEL = _blender(5, 0, 1, kind="bpy", features={"openvdb": "", "usd": ""})


@pytest.mark.parametrize("version", [(4, 2, 0), (4, 2, 9), (4, 3, 0), (5, 0, 0)])
def test_a_blender_of_the_scenes_version_or_newer_fits(version: tuple[int, int, int]) -> None:
    only = _blender(*version)
    assert check_fit(Requirements(blender=(4, 2)), _worker(only)) == only


@pytest.mark.parametrize("version", [(4, 1, 9), (3, 6, 0)])
def test_an_older_blender_does_not_fit(version: tuple[int, int, int]) -> None:
    with pytest.raises(SceneTooNew, match=r"saved by Blender 4\.2, the Blender at hand") as caught:
        check_fit(Requirements(blender=(4, 2)), _worker(_blender(*version)))
    assert "BURST_BLENDER" in (caught.value.hint or "")


def test_of_several_blenders_that_are_too_old_the_newest_is_named() -> None:
    with pytest.raises(SceneTooNew, match=r"the newest at hand is 4\.10\.0"):
        choose_blender(Requirements(blender=(5, 0)), [_blender(4, 9, 3), _blender(4, 10, 0)])


@pytest.mark.parametrize(
    ("saved", "taken"),
    [
        ((2, 79), (3, 4, 1)),
        ((3, 4), (3, 4, 1)),
        ((3, 6), (4, 2, 3)),
        ((4, 2), (4, 2, 3)),
        ((4, 3), (4, 10, 0)),
        ((5, 0), (5, 0, 1)),
    ],
)
def test_the_version_that_saved_the_scene_renders_it_or_the_next_newer(
    saved: tuple[int, int], taken: tuple[int, int, int]
) -> None:
    all_versions = [(5, 0, 1), (3, 4, 1), (4, 10, 0), (4, 2, 0), (4, 2, 3)]
    blenders = [_blender(*version) for version in all_versions]
    assert choose_blender(Requirements(blender=saved), blenders).version == taken


def test_of_one_version_the_program_is_taken_before_the_wheel() -> None:
    wheel, program = _blender(5, 0, 1, kind="bpy"), _blender(5, 0, 1)
    assert choose_blender(Requirements(), [wheel, program]) == program


def test_a_newer_blender_steps_in_where_the_right_version_lacks_something() -> None:
    both = [WHEEL, DEBIAN]
    assert choose_blender(Requirements(features=("openvdb",)), both) == DEBIAN
    assert choose_blender(Requirements(features=("openvdb", "usd")), both) == WHEEL


def test_what_no_blender_has_is_refused_for_the_reason_of_the_one_that_comes_first() -> None:
    with pytest.raises(EngineUnavailable, match="the scene needs USD: this Blender was built"):
        choose_blender(Requirements(features=("usd",)), [DEBIAN])
    with pytest.raises(EngineUnavailable, match=r"needs Alembic: Blender 3\.4\.1 was built"):
        choose_blender(Requirements(features=("alembic",)), [WHEEL, DEBIAN])


def test_an_engine_that_cannot_render_here_says_why() -> None:
    with pytest.raises(EngineUnavailable, match="no display"):
        check_fit(Requirements(engine="BLENDER_EEVEE"), _worker(_blender(5, 0, 0)))


def test_an_engine_that_is_not_there_is_refused() -> None:
    with pytest.raises(EngineUnavailable, match=r"5\.0\.1 \(bpy\) has no such engine"):
        check_fit(Requirements(engine="LUXCORE"), _worker(_blender(5, 0, 1, kind="bpy")))


@pytest.mark.parametrize("asked", ["BLENDER_EEVEE", "BLENDER_EEVEE_NEXT"])
@pytest.mark.parametrize("name", ["BLENDER_EEVEE", "BLENDER_EEVEE_NEXT"])
def test_both_names_of_eevee_mean_what_the_blender_calls_so(asked: str, name: str) -> None:
    blender = _blender(4, 5, 0, engines={"CYCLES": "", name: ""})
    assert choose_blender(Requirements(engine=asked), [blender]) == blender
    assert blender.engine_name(asked) == name


def test_a_worker_without_any_blender_renders_nothing() -> None:
    with pytest.raises(ToolMissing, match="there is no Blender"):
        check_fit(Requirements(), _worker())


def test_a_job_that_asks_for_more_memory_than_there_is_is_refused() -> None:
    needs = Requirements(memory_bytes=4 * GIB)
    with pytest.raises(NotEnoughMemory, match=r"asks for 4\.0 GiB of memory, there are 2\.0"):
        check_fit(needs, _worker(WHEEL, memory_bytes=2 * GIB))
    assert check_fit(needs, _worker(WHEEL, memory_bytes=4 * GIB)) == WHEEL
    assert check_fit(needs, _worker(WHEEL, memory_bytes=0)) == WHEEL


BOTH_KINDS = _blender(5, 0, 1, devices={"cuda": ("RTX",), "optix": ("RTX",)})


@pytest.mark.parametrize(
    ("wanted", "told", "chosen"),
    [
        (None, "auto", "optix"),
        ("auto", "auto", "optix"),
        ("gpu", "auto", "optix"),
        ("cuda", "auto", "cuda"),
        ("cpu", "auto", "cpu"),
        ("auto", "cpu", "cpu"),
        ("cpu", "cpu", "cpu"),
        ("auto", "cuda", "cuda"),
        ("gpu", "cuda", "cuda"),
        ("auto", "gpu", "optix"),
        ("cuda", "gpu", "cuda"),
    ],
)
def test_the_device_is_what_the_job_asks_for_of_what_the_worker_may_use(
    wanted: DeviceChoice | None, told: DeviceChoice, chosen: str
) -> None:
    assert choose_device(wanted, told, BOTH_KINDS) == chosen


def test_without_a_gpu_the_processor_computes() -> None:
    assert choose_device("auto", "auto", WHEEL) == "cpu"


@pytest.mark.parametrize(
    ("wanted", "told"),
    [("gpu", "cpu"), ("cuda", "cpu"), ("cpu", "cuda"), ("optix", "cuda"), ("hip", "auto")],
)
def test_a_device_that_the_worker_has_not_or_may_not_use_is_refused(
    wanted: DeviceChoice, told: DeviceChoice
) -> None:
    with pytest.raises(NoSuchDevice, match=f"to be computed on {wanted}, the worker") as caught:
        choose_device(wanted, told, BOTH_KINDS)
    assert "--device auto" in (caught.value.hint or "")


def test_a_newer_blender_steps_in_where_the_right_version_knows_no_such_device() -> None:
    gpu = _blender(5, 0, 1, devices={"optix": ("RTX",)})
    worker = _worker(DEBIAN, gpu)
    assert check_fit(Requirements(device="gpu"), worker) == gpu
    assert check_fit(Requirements(device="auto"), worker) == DEBIAN
    told = worker.model_copy(update={"device": "gpu"})
    assert check_fit(Requirements(device="auto"), told) == gpu


@pytest.mark.parametrize("told", [c for c in get_args(DeviceChoice) if c not in ("auto", "cpu")])
def test_a_worker_that_is_told_a_device_that_is_not_there_hears_what_is(told: DeviceChoice) -> None:
    kind = "hip" if told == "gpu" else told
    crashes = {kind: "Blender crashed (SIGSEGV)"}
    blender = _blender(5, 0, 1, device_troubles=crashes)
    with pytest.raises(NoSuchDevice) as caught:
        check_device(told, [DEBIAN, blender])
    assert ("a GPU" if told == "gpu" else told) in caught.value.message
    assert "3.4.1 finds no GPU" in caught.value.message
    assert f"looking for {kind}: Blender crashed" in caught.value.message
    assert "BURST_DEVICE=auto" in (caught.value.hint or "")


def test_the_trouble_with_another_kind_of_gpu_is_not_told() -> None:
    blender = _blender(5, 0, 1, device_troubles={"hip": "Blender crashed (SIGSEGV)"})
    with pytest.raises(NoSuchDevice) as caught:
        check_device("cuda", [blender])
    assert "SIGSEGV" not in caught.value.message


@pytest.mark.parametrize("told", ["auto", "cpu", "gpu", "cuda"])
def test_one_blender_that_finds_the_device_is_enough(told: DeviceChoice) -> None:
    check_device(told, [DEBIAN, BOTH_KINDS])


def test_no_device_is_needed_where_nothing_is_rendered() -> None:
    check_device("gpu", [])


def test_every_kind_of_gpu_has_its_place_in_the_order() -> None:
    assert sorted(GPU_PREFERENCE) == sorted(get_args(GpuKind))
