"""Where the driver sends output, as far as that is decided without Blender.

Left out: what Blender makes of it (`tests/integration/test_outputs.py`).
"""

from __future__ import annotations

import pytest

from burst.worker.inside.outputs import _inner, base_name, subfolders


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("//render/shot_####", "shot_####"),
        ("//render/", ""),
        ("", ""),
        ("C:\\out\\shot_##", "shot_##"),
        ("//..", ""),
    ],
)
def test_the_artists_base_name_is_kept_and_nothing_else(path: str, name: str) -> None:
    assert base_name(path) == name


def test_file_output_folders_stay_below_and_apart() -> None:
    chosen = subfolders(
        ["//render/depth/", "//render/", "/mnt/a/depth", "C:\\out\\", "C:\\", "../.."], "//render/"
    )
    assert chosen["//render/depth/"] == "depth"
    assert chosen["//render/"] == ""
    assert len(set(chosen.values())) == len(chosen)
    assert not any(".." in name or name.startswith("/") for name in chosen.values())


@pytest.mark.parametrize(
    ("name", "kept"), [("../../etc/x_", "etc/x_"), ("/abs/x", "abs/x"), ("a/b", "a/b"), ("x", "x")]
)
def test_a_nodes_file_name_does_not_climb_out(name: str, kept: str) -> None:
    assert _inner(name) == kept
