"""Which Blender a render gets, and what is refused before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from burst.domain.workers import BlenderFacts, Capabilities, Requirements
from burst.errors import (
    EngineUnavailable,
    NoSuchDevice,
    NotEnoughMemory,
    SceneError,
    SceneTooNew,
    ToolError,
)
from burst.operations.matching import check_baked, match_worker, version_notes
from burst.operations.request import RenderRequest
from burst.scene.needs import SceneNeeds
from tests.unit.operations.test_request import facts

OLD = BlenderFacts(
    version=(3, 4, 1),
    kind="binary",
    engines={"CYCLES": "", "BLENDER_EEVEE": "needs a GPU"},
    features={"oidn": "Blender 3.4.1 was built without it", "openvdb": ""},
)
NEXT = BlenderFacts(
    version=(4, 2, 0), kind="binary", engines={"CYCLES": "", "BLENDER_EEVEE_NEXT": ""}
)
NEW = BlenderFacts(
    version=(5, 0, 1),
    kind="bpy",
    engines={"CYCLES": "", "BLENDER_EEVEE": ""},
    features={"oidn": "", "openvdb": "", "usd": ""},
    devices={"cuda": ("RTX",), "optix": ("RTX",)},
)
GIB = 2**30


def match(
    *blenders: BlenderFacts,
    features: tuple[str, ...] = (),
    denoises: bool = False,
    saved: tuple[int, int] = (3, 4),
    engine: str = "CYCLES",
    **typed: Any,
) -> tuple[Requirements, BlenderFacts]:
    machine = Capabilities(blenders=blenders or (NEW, OLD), memory_bytes=16 * GIB)
    said = facts(blender=saved, engine=engine)
    return match_worker(
        RenderRequest(Path("a.blend"), **typed),
        said,
        needs(features=features, denoises=denoises),
        machine,
    )


def needs(**changes: Any) -> SceneNeeds:
    values: dict[str, Any] = {"features": (), "denoises": False, "unbaked": (), "has_sound": False}
    return SceneNeeds(**(values | changes))


def test_the_version_that_saved_the_scene_renders_it_else_the_next_newer() -> None:
    assert match()[1] == OLD
    assert match(saved=(4, 0))[1] == NEW
    assert match(NEW, NEXT, OLD, saved=(3, 5))[1] == NEXT


def test_a_scene_of_a_newer_blender_is_refused() -> None:
    with pytest.raises(SceneTooNew):
        match(saved=(5, 1))


def test_a_feature_that_one_blender_lacks_is_looked_for_in_a_newer_one() -> None:
    requirements, blender = match(features=("usd",))
    assert blender == NEW
    assert requirements.features == ("usd",)


def test_eevee_is_found_by_whichever_name_a_blender_has_for_it() -> None:
    assert match(NEW, NEXT, saved=(4, 2), engine="BLENDER_EEVEE_NEXT")[1] == NEXT
    assert match(NEW, NEXT, saved=(4, 5), engine="BLENDER_EEVEE_NEXT")[1] == NEW


def test_an_engine_that_no_blender_can_run_is_refused_with_its_reason() -> None:
    with pytest.raises(EngineUnavailable, match="needs a GPU") as caught:
        match(OLD, engine="BLENDER_EEVEE")
    assert "--engine CYCLES" in (caught.value.hint or "")


def test_a_denoiser_that_is_lacking_can_be_switched_off() -> None:
    for wanted in ({"denoiser": "oidn"}, {"denoises": True}):
        with pytest.raises(EngineUnavailable, match="built without it") as caught:
            match(OLD, **wanted)
        assert "--denoiser off" in (caught.value.hint or "")
    requirements, blender = match(OLD, denoises=True, denoiser="off")
    assert (requirements.features, blender) == ((), OLD)


def test_a_denoise_node_stays_whatever_cycles_does() -> None:
    with pytest.raises(EngineUnavailable, match="built without it") as caught:
        match(OLD, features=("oidn",), denoiser="off")
    assert "--denoiser" not in (caught.value.hint or "")


def test_only_cycles_needs_a_denoiser() -> None:
    assert match(NEW, denoises=True)[0].features == ("oidn",)
    assert match(NEW, denoises=True, engine="BLENDER_EEVEE")[0].features == ()
    assert match(NEW, denoiser="oidn", engine="BLENDER_EEVEE")[0].features == ()


def test_the_optix_denoiser_needs_its_card() -> None:
    assert match(NEW, denoiser="optix")[1] == NEW
    with pytest.raises(NoSuchDevice, match="NVIDIA") as caught:
        match(OLD, denoiser="optix")
    assert "--denoiser oidn" in (caught.value.hint or "")


def test_a_device_that_is_not_there_is_refused_before_anything_starts() -> None:
    assert match(NEW, device="gpu")[0].device == "gpu"
    with pytest.raises(NoSuchDevice, match="hip"):
        match(NEW, device="hip")


def test_more_memory_than_there_is_is_refused() -> None:
    assert match(memory="8G")[0].memory_bytes == 8 * GIB
    with pytest.raises(NotEnoughMemory):
        match(memory="32G")


def test_without_any_blender_that_is_said() -> None:
    machine = Capabilities(blenders=())
    with pytest.raises(ToolError, match="no Blender"):
        match_worker(RenderRequest(Path("a.blend")), facts(), needs(), machine)


def test_simulations_without_a_bake_are_refused_by_name() -> None:
    request = RenderRequest(Path("a.blend"))
    assert check_baked(request, needs()) == ()
    with pytest.raises(SceneError) as caught:
        check_baked(request, needs(unbaked=("Cloth on 'Flag'",)))
    assert caught.value.message == "the simulation of Cloth on 'Flag' is not baked"
    assert "--force" in (caught.value.hint or "")
    with pytest.raises(SceneError) as caught:
        check_baked(request, needs(unbaked=("Cloth on 'A'", "Cloth on 'B'", "Particles on 'C'")))
    assert "Cloth on 'A', Cloth on 'B' and Particles on 'C' are not baked" in caught.value.message


def test_of_many_simulations_a_few_are_named() -> None:
    many = tuple(f"Cloth on '{number}'" for number in range(9))
    with pytest.raises(SceneError, match="and 4 more are not baked"):
        check_baked(RenderRequest(Path("a.blend")), needs(unbaked=many))


def test_by_force_they_are_rendered_and_it_is_said_what_that_costs() -> None:
    forced = RenderRequest(Path("a.blend"), force=True)
    (note,) = check_baked(forced, needs(unbaked=("Cloth on 'Flag'",)))
    assert "Cloth on 'Flag'" in note
    assert "one worker" in note
    (note,) = check_baked(forced, needs())
    assert "no simulation" in note


def test_another_version_than_the_one_that_saved_the_scene_is_said() -> None:
    assert version_notes(facts(blender=(3, 4)), OLD) == ()
    assert version_notes(facts(blender=(3, 4)), NEW) == (
        "saved by Blender 3.4, rendered by 5.0.1 (bpy): pictures may differ",
    )
