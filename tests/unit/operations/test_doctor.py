"""What is said of a Blender that was tried out. Trying one: tests/integration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from burst.domain.workers import BlenderFacts
from burst.operations.doctor import Finding, blender_findings

PROGRAM = Path("/opt/blender")


def found(*, alone: bool = True, **changes: Any) -> dict[str, Finding]:
    values: dict[str, Any] = {"version": (5, 0, 1), "kind": "bpy", "engines": {"CYCLES": ""}}
    findings = blender_findings(PROGRAM, BlenderFacts(**(values | changes)), alone=alone)
    assert len({one.subject for one in findings}) == len(findings)
    return {one.subject: one for one in findings}


def test_a_blender_is_named_with_its_place_and_what_is_about_it_with_its_version() -> None:
    said = found()
    assert said["blender"].text == "5.0.1 (bpy) (/opt/blender)"
    assert said["blender"].blender is None
    assert said["CYCLES"].blender == "5.0.1 (bpy)"


def test_an_engine_that_can_not_run_is_a_warning_as_long_as_something_renders() -> None:
    engines = {"CYCLES": "", "BLENDER_EEVEE": "needs a GPU"}
    assert found(engines=engines)["BLENDER_EEVEE"].verdict == "warning"
    engines = {"BLENDER_EEVEE": "needs a GPU"}
    assert found(engines=engines)["BLENDER_EEVEE"].verdict == "bad"
    assert found(engines=engines, alone=False)["BLENDER_EEVEE"].verdict == "warning"


def test_features_are_told_by_their_names() -> None:
    features = {"usd": "", "oidn": "", "alembic": "was built without"}
    text = found(features=features)["features"].text
    assert text == (
        "has USD, the OpenImageDenoise denoiser; lacks Alembic, OpenVDB, Open Shading Language"
    )


def test_devices_are_told_with_their_names() -> None:
    said = found(devices={"cuda": ("RTX 3090",), "optix": ("RTX 3090",)})["devices"]
    assert said.text == "cuda (RTX 3090), optix (RTX 3090)"
    assert "no GPU" in found()["devices"].text


def test_a_driver_that_crashes_is_a_warning() -> None:
    blender = BlenderFacts(
        version=(5, 0, 1), kind="bpy", device_troubles={"hip": "Blender crashed (SIGSEGV)"}
    )
    findings = blender_findings(PROGRAM, blender, alone=False)
    (warning,) = [one for one in findings if one.verdict == "warning"]
    assert warning.text == "can't look for hip: Blender crashed (SIGSEGV)"
