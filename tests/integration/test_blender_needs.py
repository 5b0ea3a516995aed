"""What a scene asks of its Blender, read from files that real Blenders wrote.

Simulations are in `test_simulations.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from burst.scene.needs import SceneNeeds, read_needs
from burst.scene.trace import trace
from tests.fakes.blenders import real_blender

pytestmark = pytest.mark.blender

MAKE = Path(__file__).parent.parent / "fakes" / "make_needs.py"
FEATURES = {
    "shading_language": ("osl",),
    "alembic": ("alembic",),
    "volume": ("openvdb",),
    "denoise_node": ("oidn",),
}
NOT_DENOISED = ("switched_off", "off_in_layers")
HEARD = ("speaker", "strip")


@pytest.fixture(scope="module", params=["binary", "bpy"])
def needs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, SceneNeeds]:
    real = real_blender(request.param, tmp_path_factory.getbasetemp() / "facts")
    folder = tmp_path_factory.mktemp("needs")
    real.run(MAKE, folder, str(folder))
    return {path.stem: read_needs(trace(path)) for path in folder.glob("*.blend")}


def test_features_are_those_that_the_scene_uses(needs: dict[str, SceneNeeds]) -> None:
    assert len(needs) == 12
    assert {name: need.features for name, need in needs.items() if need.features} == FEATURES


def test_denoising_is_read_from_where_cycles_keeps_it(needs: dict[str, SceneNeeds]) -> None:
    assert sorted(n for n, need in needs.items() if not need.denoises) == sorted(NOT_DENOISED)


def test_sound_is_there_if_it_can_be_heard(needs: dict[str, SceneNeeds]) -> None:
    assert sorted(name for name, need in needs.items() if need.has_sound) == sorted(HEARD)
