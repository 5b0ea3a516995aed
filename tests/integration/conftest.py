"""Real Blenders, and an emulator of a bucket; some tests bring their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from burst.worker.blender import Blender
from tests.fakes.blenders import RealBlender, real_blender
from tests.fakes.emulator import Emulator, running_emulator
from tests.fakes.troubles import Open

ENDLESS = ("--samples", "2000000")
"""A frame that takes hours."""


@pytest.fixture(scope="module", params=["binary", "bpy"])
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RealBlender:
    return real_blender(request.param, tmp_path_factory.getbasetemp() / "facts")


@pytest.fixture
def warm(real: RealBlender, tmp_path: Path) -> Iterator[Blender]:
    """A Blender that is open, and whose words nobody listens to."""
    blender = Blender(
        real.program,
        real.facts,
        scratch=tmp_path / "scratch",
        threads=2,
        memory_limit_bytes=0,
        on_line=lambda text: None,
    )
    yield blender
    blender.close()


@pytest.fixture(scope="module")
def endless(real: RealBlender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real.make_scene(tmp_path_factory.mktemp("endless") / "endless.blend", *ENDLESS)


@pytest.fixture(scope="module")
def quick(real: RealBlender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real.make_scene(tmp_path_factory.mktemp("quick") / "quick.blend")


@pytest.fixture
def printed() -> list[str]:
    """What the opened Blenders printed, but progress."""
    return []


@pytest.fixture
def open_blender(real: RealBlender, tmp_path: Path, printed: list[str]) -> Iterator[Open]:
    opened: list[Blender] = []

    def open_one(**changes: Any) -> Blender:
        settings: dict[str, Any] = {
            "program": real.program,
            "scratch": tmp_path / "scratch",
            "memory_limit_bytes": 0,
            "first_progress_seconds": 60,
            "on_line": printed.append,
            **changes,
        }
        program = settings.pop("program")
        blender = Blender(program, real.facts, threads=1, **settings)
        opened.append(blender)
        return blender

    yield open_one
    for blender in opened:
        blender.close()


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("emulator") / "objects") as emulator:
        yield emulator
