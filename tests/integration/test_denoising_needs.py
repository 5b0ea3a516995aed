"""Which scenes need OpenImageDenoise, read from files that real Blenders saved."""

from __future__ import annotations

from pathlib import Path

import pytest

from burst.scene.needs import SceneNeeds, read_needs
from burst.scene.trace import trace
from tests.fakes.blenders import RealBlender

pytestmark = pytest.mark.blender

_SCRIPT = """
import bpy, sys
blend, what = sys.argv[-2:]
bpy.ops.wm.open_mainfile(filepath=blend)
scene = bpy.context.scene
if what == "cycles":
    scene.cycles.use_denoising = True
elif what == "layer-without":
    scene.cycles.use_denoising = True
    scene.view_layers[0].cycles.use_denoising = False
elif what == "eevee":
    scene.cycles.use_denoising = True
    scene.render.engine = "BLENDER_EEVEE"
elif what == "node":
    if hasattr(scene, "compositing_node_group"):
        tree = bpy.data.node_groups.new("Compositing", "CompositorNodeTree")
        scene.compositing_node_group = tree
    else:
        scene.use_nodes = True
        tree = scene.node_tree
    tree.nodes.new("CompositorNodeDenoise")
bpy.ops.wm.save_mainfile()
"""


def needs(real: RealBlender, folder: Path, what: str) -> SceneNeeds:
    blend = real.make_scene(folder / "shot.blend")
    script = folder / "change.py"
    script.write_text(_SCRIPT, "utf-8")
    real.run(script, folder, str(blend), what)
    return read_needs(trace(blend))


@pytest.mark.parametrize(
    ("what", "denoises", "features"),
    [
        ("nothing", False, ()),
        ("cycles", True, ()),
        ("layer-without", False, ()),
        ("eevee", True, ()),
        ("node", False, ("oidn",)),
    ],
)
def test_cycles_denoises_unless_it_is_off_and_a_node_does_in_any_engine(
    real: RealBlender, tmp_path: Path, what: str, denoises: bool, features: tuple[str, ...]
) -> None:
    found = needs(real, tmp_path, what)
    assert (found.denoises, found.features) == (denoises, features)
