"""Options and scenes of the tests that kill, freeze and cut off a real farm."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.emulator import running_emulator
from tests.fakes.farm import make_scene
from tests.fakes.gate import Gate, running_gate


@pytest.fixture(params=["directory", "bucket"])
def gate(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gate | None]:
    """The way to the farm's bucket, or None: then its storage is a directory."""
    if request.param == "directory":
        yield None
        return
    with running_emulator(tmp_path / "emulator") as emulator, running_gate(emulator) as gate:
        yield gate


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[Gate]:
    """The way to a bucket, where a directory makes no sense."""
    with running_emulator(tmp_path / "emulator") as emulator, running_gate(emulator) as gate:
        yield gate


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene with 60 frames of some tenths of a second each."""
    if not shutil.which("blender"):
        pytest.skip("no blender in PATH")
    path = tmp_path_factory.mktemp("scene") / "shot.blend"
    make_scene(path, samples=64)
    return path
