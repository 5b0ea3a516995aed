"""Which Blender may be given which work."""

from __future__ import annotations

import pytest

from burst.domain.workers import BlenderFacts, Requirements, check_fit
from burst.errors import EngineUnavailable, SceneTooNew

ENGINES = {"CYCLES": "", "BLENDER_EEVEE": "no display"}


def _blender(*version: int, kind: str = "binary") -> BlenderFacts:
    return BlenderFacts(version=version, kind=kind, engines=ENGINES)  # type: ignore[arg-type]


@pytest.mark.parametrize("version", [(4, 2, 0), (4, 2, 9), (4, 3, 0), (5, 0, 0)])
def test_a_blender_of_the_scenes_version_or_newer_fits(version: tuple[int, int, int]) -> None:
    check_fit(Requirements(blender=(4, 2)), _blender(*version))


@pytest.mark.parametrize("version", [(4, 1, 9), (3, 6, 0)])
def test_an_older_blender_does_not_fit(version: tuple[int, int, int]) -> None:
    with pytest.raises(SceneTooNew) as caught:
        check_fit(Requirements(blender=(4, 2)), _blender(*version))
    assert "4.2" in caught.value.message
    assert "BURST_BLENDER" in (caught.value.hint or "")


def test_an_engine_that_cannot_render_here_says_why() -> None:
    with pytest.raises(EngineUnavailable, match="no display"):
        check_fit(Requirements(engine="BLENDER_EEVEE"), _blender(5, 0, 0))


def test_an_engine_that_is_not_there_is_refused() -> None:
    with pytest.raises(EngineUnavailable, match=r"5\.0\.1 \(bpy\) has no such engine"):
        check_fit(Requirements(engine="LUXCORE"), _blender(5, 0, 1, kind="bpy"))
