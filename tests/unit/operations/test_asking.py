"""Joining what a Blender names to what is read; the Blender here only pretends.

What a real one says: tests/integration/test_traced_cases.py.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from burst.operations import asking
from burst.operations.asking import trace_with_blender
from burst.scene.asked import Asked
from burst.scene.hashing import Hasher
from burst.scene.sequences import Many
from burst.worker.asking import NoAnswerError
from tests.fakes.blend_bytes import BlendBytes

Answer = Callable[[Path], list[Asked]]


@pytest.fixture
def blend(tmp_path: Path) -> Path:
    path = tmp_path / "scene" / "shot.blend"
    path.parent.mkdir()
    made = BlendBytes(version=304)
    made.scene()
    path.write_bytes(made.bytes())
    (path.parent / "new.dat").write_bytes(b"1")
    return path


class Blenders:
    """Blenders of some versions, and who was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.answer: Answer = lambda _blend: []
        monkeypatch.setattr(asking, "ask_for_files", self._ask)

    def _ask(self, program: Path, blend: Path, _kind: str, _seconds: float) -> list[Asked]:
        self.asked.append(program.name)
        return self.answer(blend)

    def installed(self, *versions: str) -> Any:
        return [
            SimpleNamespace(
                program=Path(f"/opt/{version}"),
                facts=SimpleNamespace(
                    version=tuple(map(int, version.split("."))), label=version, kind="binary"
                ),
            )
            for version in versions
        ]


@pytest.fixture
def blenders(monkeypatch: pytest.MonkeyPatch) -> Blenders:
    return Blenders(monkeypatch)


def new_data(blend: Path) -> list[Asked]:
    """Return a name that no parser of today knows of."""
    return [Asked(blend, b"//new.dat", Many.ONE, "Novelty caf\udce9")]


def test_what_a_blender_names_is_joined_and_remembered(
    blend: Path, blenders: Blenders, tmp_path: Path
) -> None:
    blenders.answer = new_data
    for _ in range(2):
        traced, notes = trace_with_blender(blend, blenders.installed("3.4.1"), tmp_path / "cache")
        assert {file.relative for file in traced.files} == {"shot.blend", "new.dat"}
        assert notes == ()
    assert blenders.asked == ["3.4.1"]


def test_a_scene_that_was_saved_again_is_asked_about_again(
    blend: Path, blenders: Blenders, tmp_path: Path
) -> None:
    for _ in range(2):
        trace_with_blender(blend, blenders.installed("3.4.1"), tmp_path / "cache")
        blend.write_bytes(blend.read_bytes() + b"\0")
    assert len(blenders.asked) == 2


@pytest.mark.parametrize(
    ("versions", "asked"),
    [(["5.0.1", "3.4.1", "3.3.0"], ["3.4.1"]), (["3.3.9"], []), ([], []), (["4.2.0"], ["4.2.0"])],
)
def test_the_oldest_blender_that_can_open_it_is_asked(
    blend: Path, blenders: Blenders, tmp_path: Path, versions: list[str], asked: list[str]
) -> None:
    trace_with_blender(blend, blenders.installed(*versions), tmp_path / "cache")
    assert blenders.asked == asked


def test_a_blender_that_fails_is_a_note_and_is_asked_again(
    blend: Path, blenders: Blenders, tmp_path: Path
) -> None:
    def crash(_blend: Path) -> list[Asked]:
        raise NoAnswerError("it crashed")

    blenders.answer = crash
    for _ in range(2):
        traced, notes = trace_with_blender(blend, blenders.installed("3.4.1"), tmp_path / "cache")
        assert notes == ("Blender 3.4.1 was not asked what it needs: it crashed",)
        assert [file.relative for file in traced.files] == ["shot.blend"]
    assert len(blenders.asked) == 2


def test_without_a_memory_it_is_asked_every_time(blend: Path, blenders: Blenders) -> None:
    blenders.answer = new_data
    for _ in range(2):
        traced, _ = trace_with_blender(blend, blenders.installed("3.4.1"), blend / "no folder")
        assert len(traced.files) == 2
    assert len(blenders.asked) == 2


def test_only_so_many_answers_are_kept(
    blend: Path, blenders: Blenders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_KEPT", 3)
    for _ in range(5):
        trace_with_blender(blend, blenders.installed("3.4.1"), tmp_path / "cache")
        blend.write_bytes(blend.read_bytes() + b"\0")
    assert len(list((tmp_path / "cache" / "asked").iterdir())) == 3


def test_files_are_hashed_while_blender_takes_its_time(
    blend: Path, blenders: Blenders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(blend, (1, 1))
    cache, is_hashed = tmp_path / "cache", threading.Event()
    remember = Hasher._remember

    def remembered(hasher: Hasher, hashes: Any) -> None:
        remember(hasher, hashes)
        is_hashed.set()

    def slowly(_blend: Path) -> list[Asked]:
        assert is_hashed.wait(20)
        return []

    monkeypatch.setattr(Hasher, "_remember", remembered)
    blenders.answer = slowly
    trace_with_blender(blend, blenders.installed("3.4.1"), cache)
    monkeypatch.setattr("burst.scene.hash_crew.hash_file", None)
    assert list(Hasher(cache).hash_all([blend])) == [blend]
