"""Options and scenes of the tests that kill, freeze and cut off a real farm."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.fakes.farm import make_scene


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene with 60 frames of some tenths of a second each."""
    if not shutil.which("blender"):
        pytest.skip("no blender in PATH")
    path = tmp_path_factory.mktemp("scene") / "shot.blend"
    make_scene(path, samples=64)
    return path
