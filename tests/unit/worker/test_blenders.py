"""Which of a worker's Blenders is opened for a task, and what is noted of its use.

The Blenders are stand-ins that write down what they are told; real ones render side by side
in ``tests/integration/test_several_blenders.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from burst.domain.jobs import RenderSettings
from burst.domain.workers import BlenderFacts, Capabilities, DeviceChoice, Requirements
from burst.errors import NoSuchDevice, SceneTooNew
from burst.worker.blender import BlenderFailed, LoadedScene, Progress, RenderedFrame
from burst.worker.blenders import Blenders
from burst.worker.discovery import Installed

LOADED = cast("LoadedScene", object())
RENDERED = cast("RenderedFrame", object())
"""Handed through as they are."""

ENGINES = {"CYCLES": "", "BLENDER_EEVEE_NEXT": ""}


class Stand:
    """All Blenders of a worker, and one list of what was done with them."""

    def __init__(self, *versions: tuple[int, int, int], device: DeviceChoice = "auto") -> None:
        self.said: list[str] = []
        self.told: list[str] = []
        self.error: BlenderFailed | None = None
        facts = [
            BlenderFacts(version=version, kind="binary", engines=ENGINES, devices=devices)
            for version in versions
            for devices in [{"cuda": ("RTX",)} if version[0] >= 5 else {}]
        ]
        self.blenders = Blenders(
            [Installed(Path(one.label), one) for one in facts],
            Capabilities(blenders=tuple(facts), device=device),
            lambda installed: OneBlender(installed.facts.label, self),  # type: ignore[arg-type,return-value]
            self.told.append,
        )

    def load(self, *saved: int, blend: str = "a.blend", **settings: object) -> LoadedScene:
        needs = Requirements.model_validate({"blender": saved, **settings.pop("needs", {})})  # type: ignore[dict-item]
        chosen = RenderSettings.model_validate(settings)
        return self.blenders.load(Path(blend), chosen, {}, needs)

    def render(self, frame: int) -> RenderedFrame:
        return self.blenders.render(frame, Path("frames"), lambda step: None)


class OneBlender:
    """Instead of `Blender`."""

    def __init__(self, label: str, stand: Stand) -> None:
        self.pid = 1
        self._label = label
        self._stand = stand

    def load(
        self,
        blend: Path,
        settings: RenderSettings,
        remap: Mapping[str, Path],
        device: str,
        wanted: Callable[[], bool],
        graphics: bool,
    ) -> LoadedScene:
        assert wanted()
        engine = f" {settings.engine}" if settings.engine else ""
        self._do(f"load {blend} on {device}{engine}")
        return LOADED

    def render(
        self, frame: int, folder: Path, on_progress: Callable[[Progress], None]
    ) -> RenderedFrame:
        self._do(f"render {frame}")
        return RENDERED

    def assist(
        self, doing: str, answer: str, ask: Callable[[Path], Mapping[str, Any]], folder: Path
    ) -> dict[str, Any]:
        self._do(f"{doing}, to {folder}: {ask(folder)['do']} → {answer}")
        return {"event": answer}

    def kill(self) -> None:
        self._do("kill")

    def close(self) -> None:
        self._do("close")

    def _do(self, what: str) -> None:
        self._stand.said.append(f"{self._label}: {what}")
        if self._stand.error:
            raise self._stand.error


def test_each_scene_is_rendered_by_the_blender_of_its_version_and_one_is_open_at_a_time() -> None:
    stand = Stand((3, 4, 1), (5, 0, 1))
    stand.load(3, 4)
    stand.render(1)
    stand.load(3, 4)
    stand.render(2)
    stand.load(5, 0, blend="b.blend")
    stand.render(1)
    stand.load(2, 79)
    assert stand.said == [
        "3.4.1: load a.blend on cpu",
        "3.4.1: render 1",
        "3.4.1: load a.blend on cpu",
        "3.4.1: render 2",
        "3.4.1: close",
        "5.0.1: load b.blend on cuda",
        "5.0.1: render 1",
        "5.0.1: close",
        "3.4.1: load a.blend on cpu",
    ]
    # For the job's log, once for as long as nothing changes.
    assert stand.told == [
        "loading the scene in Blender 3.4.1, computing on cpu",
        "loading the scene in Blender 5.0.1, computing on cuda",
        "loading the scene in Blender 3.4.1, computing on cpu",
    ]


def test_what_fits_no_blender_opens_none() -> None:
    stand = Stand((3, 4, 1), (4, 2, 0))
    with pytest.raises(SceneTooNew):
        stand.load(5, 0)
    with pytest.raises(NoSuchDevice):
        stand.load(4, 2, device="cuda")
    assert stand.said == []
    assert stand.blenders.take_last_use() is None


def test_the_device_of_the_job_is_taken_where_the_worker_leaves_it_open() -> None:
    stand = Stand((5, 0, 1))
    stand.load(5, 0, device="cpu")
    assert stand.said == ["5.0.1: load a.blend on cpu"]
    told = Stand((3, 4, 1), (5, 0, 1), device="cuda")
    told.load(3, 4)
    assert told.said == ["5.0.1: load a.blend on cuda"]


def test_an_engine_is_asked_for_by_the_name_that_the_blender_has_for_it() -> None:
    stand = Stand((5, 0, 1))
    stand.load(4, 1, engine="BLENDER_EEVEE", needs={"engine": "BLENDER_EEVEE"})
    assert stand.said == ["5.0.1: load a.blend on cuda BLENDER_EEVEE_NEXT"]
    assert stand.told == ["loading the scene in Blender 5.0.1"]


def test_to_render_without_a_loaded_scene_is_a_failure_and_no_crash() -> None:
    with pytest.raises(BlenderFailed, match="rendering frame 1"):
        Stand((5, 0, 1)).render(1)


def test_the_blender_that_is_open_assists_and_its_failure_is_noted() -> None:
    stand = Stand((3, 4, 1), (5, 0, 1))

    def ask(room: Path) -> Mapping[str, Any]:
        return {"do": "mixdown"}

    def mix() -> dict[str, Any]:
        return stand.blenders.assist("mixing", "mixed", ask, Path("sound"))

    with pytest.raises(BlenderFailed, match="mixing"):
        mix()
    stand.load(5, 0)
    assert mix() == {"event": "mixed"}
    assert stand.said[-1] == "5.0.1: mixing, to sound: mixdown → mixed"
    assert stand.blenders.take_last_use() is None
    stand.error = BlenderFailed("it crashed")
    with pytest.raises(BlenderFailed):
        mix()
    use = stand.blenders.take_last_use()
    assert use is not None
    assert use.error is stand.error


def test_what_came_of_a_blender_is_said_once() -> None:
    stand = Stand((5, 0, 1))
    assert stand.load(5, 0) is LOADED
    assert stand.blenders.take_last_use() is None
    assert stand.render(1) is RENDERED
    use = stand.blenders.take_last_use()
    assert use is not None
    assert (use.installed.facts.label, use.engine, use.device) == ("5.0.1", "CYCLES", "cuda")
    assert use.error is None
    assert stand.blenders.take_last_use() is None


def test_a_failure_is_noted_with_what_failed() -> None:
    stand = Stand((5, 0, 1))
    stand.load(5, 0)
    stand.error = BlenderFailed("it crashed")
    for fails in (lambda: stand.render(1), lambda: stand.load(5, 0)):
        with pytest.raises(BlenderFailed):
            fails()
        use = stand.blenders.take_last_use()
        assert use is not None
        assert use.error is stand.error
    # And the log says again what is loaded, since it is a new process.
    assert len(stand.told) == 2


def test_ending_it_reaches_the_blender_that_is_open() -> None:
    stand = Stand((3, 4, 1), (5, 0, 1))
    stand.blenders.kill()
    stand.blenders.close()
    assert stand.blenders.pid is None
    stand.load(5, 0)
    assert stand.blenders.pid == 1
    stand.blenders.kill()
    stand.blenders.close()
    assert stand.said[1:] == ["5.0.1: kill", "5.0.1: close"]
