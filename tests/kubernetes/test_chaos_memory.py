"""Workers whose pods reach their memory limit: the frames are done in the next class.

Real Blenders on a real cluster. Left out: every other way to run out of memory, which
``tests/integration/test_faults_memory.py`` has.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.cluster import Cluster, wait_until
from tests.fakes.farm import make_scene
from tests.kubernetes.chaos_kit import SECONDS, HurtFarm, running_farm

pytestmark = pytest.mark.blender

FRAMES = 3
POOLS = """
[pools.small]
cores = 0.5
memory = "700Mi"
maximum = 2

[pools.large]
cores = 0.5
memory = "2500Mi"
maximum = 2
values = { nodeSelector = { "burst-test/large" = "yes" } }
"""

HEAVY = """
import bpy
image = bpy.data.images.new("Large", 5000, 5000, float_buffer=True)
image.generated_type = "COLOR_GRID"
tree = bpy.data.materials["Paint"].node_tree
node = tree.nodes.new("ShaderNodeTexImage")
node.image = image
tree.links.new(node.outputs["Color"], tree.nodes["Principled BSDF"].inputs["Base Color"])
bpy.ops.wm.save_mainfile()
"""
"""A picture that is made when it is rendered: two times 400 MB, and nothing in the file."""


@pytest.fixture
def farm(
    cluster: Cluster, load_image: Callable[[Path], None], tmp_path: Path
) -> Iterator[HurtFarm]:
    with running_farm(cluster, load_image, tmp_path, POOLS) as farm:
        yield farm


@pytest.fixture
def heavy(tmp_path: Path) -> Path:
    """A scene that needs more memory than a small worker has."""
    blend = tmp_path / "heavy.blend"
    make_scene(blend, samples=4)
    command = [str(shutil.which("blender")), "-b", "--python-exit-code", "1", str(blend)]
    done = subprocess.run(
        [*command, "--python-expr", HEAVY], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return blend


def test_frames_that_outgrow_their_pods_are_done_in_the_next_class(
    farm: HurtFarm, heavy: Path
) -> None:
    # No node is large yet, so that nothing goes on before it was looked at.
    job = farm.submit(heavy, FRAMES)
    said: list[str] = []

    def is_explained() -> bool:
        reasons = json.loads(farm.succeed("explain", job, "--json"))["reasons"]
        said.append("\n".join(f"{one['subject']}: {one['text']}" for one in reasons))
        return "GiB of memory were too little" in said[-1]

    wait_until(is_explained, SECONDS, farm.account)
    print(said[-1])
    nodes = ("label", "nodes", "--all", "--overwrite")
    farm.cluster.kubectl(*nodes, "burst-test/large=yes")
    try:
        farm.finish()
    finally:
        farm.cluster.kubectl(*nodes, "burst-test/large-")
    rows = farm.rows("SELECT * FROM attempts ORDER BY started_at")
    for row in rows:
        print(row["task_index"], row["worker"], row["status"], row["reason"])
    for task in range(FRAMES):
        ways = [
            (row["worker"].rpartition("-")[0], row["status"])
            for row in rows
            # A mount that is slow on a busy machine has a frame given back.
            if row["task_index"] == task and row["status"] != "interrupted"
        ]
        assert ways == [("small", "out_of_memory"), ("large", "completed")]
