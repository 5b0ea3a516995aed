"""What Cycles is told to compute on, by a stand-in for Blender's preferences.

It answers as those of 3.4 and 5.0 do on a machine with two GPUs; no machine of ours has one.
On one without, both real Blenders are asked in ``tests/integration/test_several_blenders.py``.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from burst.worker.inside.devices import NoSuchDevice, find_devices, use_device

BUILT = ("NONE", "CUDA", "OPTIX", "HIP")


class Preferences:
    """Those of Cycles: each card is an entry for each way to use it, and so is the processor."""

    def __init__(self, *, lists_processor: bool, silent: bool = False) -> None:
        self.compute_device_type = "NONE"
        self.devices: list[Any] = []
        self._machine = [("RTX", "CUDA"), ("GTX", "CUDA"), ("RTX", "OPTIX"), ("Xeon", "CPU")]
        self._lists_processor = lists_processor
        self._silent = silent

    def get_device_types(self, context: object) -> list[tuple[str, str, str, int]]:
        assert context == "context"
        return [(name, name, "", number) for number, name in enumerate(BUILT)]

    def get_devices_for_type(self, kind: str) -> list[Any] | None:
        assert kind in BUILT, "to ask for what is not built is an error"
        for name, one_kind in self._machine:
            wanted = (kind, "CPU") if self._lists_processor else (kind,)
            known = [(entry.name, entry.type) for entry in self.devices]
            if one_kind in wanted and (name, one_kind) not in known:
                entry = SimpleNamespace(name=name, type=one_kind, use=one_kind == "CPU")
                self.devices.append(entry)
        if self._silent:
            return None
        return [entry for entry in self.devices if entry.type in (kind, "CPU")]


def blender(preferences: Preferences | None) -> Any:
    addons = {"cycles": SimpleNamespace(preferences=preferences)} if preferences else {}
    of_user = SimpleNamespace(addons=addons)

    class Context(str):
        preferences = of_user

    return SimpleNamespace(context=Context("context"))


@pytest.fixture
def scene() -> Any:
    return SimpleNamespace(cycles=SimpleNamespace(device="?"))


@pytest.fixture(params=[True, False], ids=["with processor", "without"])
def preferences(request: pytest.FixtureRequest) -> Preferences:
    return Preferences(lists_processor=request.param)


def test_gpus_are_found_by_their_kind_and_the_processor_is_none(preferences: Preferences) -> None:
    bpy = blender(preferences)
    assert find_devices(bpy, "cuda") == ["RTX", "GTX"]
    assert find_devices(bpy, "optix") == ["RTX"]
    assert find_devices(bpy, "hip") == []


def test_a_kind_that_is_not_part_of_the_build_is_not_asked_for(preferences: Preferences) -> None:
    assert find_devices(blender(preferences), "metal") == []


def test_a_build_that_answers_nothing_has_nothing() -> None:
    assert find_devices(blender(Preferences(lists_processor=True, silent=True)), "cuda") == []


@pytest.mark.parametrize(("device", "used"), [("cuda", ["RTX", "GTX"]), ("optix", ["RTX"])])
def test_every_gpu_of_the_kind_computes_and_nothing_else(
    preferences: Preferences, scene: Any, device: str, used: list[str]
) -> None:
    bpy = blender(preferences)
    for kind in ("cuda", "optix"):
        find_devices(bpy, kind)
    use_device(bpy, scene, device)
    assert scene.cycles.device == "GPU"
    assert preferences.compute_device_type == device.upper()
    chosen = [(entry.name, entry.type) for entry in preferences.devices if entry.use]
    assert chosen == [(name, device.upper()) for name in used]


def test_the_processor_computes_without_a_look_at_gpus(scene: Any) -> None:
    use_device(blender(None), scene, "cpu")
    assert scene.cycles.device == "CPU"


@pytest.mark.parametrize("device", ["hip", "metal"])
def test_a_kind_that_is_not_there_is_refused_and_changes_nothing(
    preferences: Preferences, scene: Any, device: str
) -> None:
    with pytest.raises(NoSuchDevice, match=f"finds no {device} device"):
        use_device(blender(preferences), scene, device)
    assert scene.cycles.device == "?"


def test_a_blender_without_cycles_has_no_devices(scene: Any) -> None:
    with pytest.raises(NoSuchDevice, match="built without Cycles"):
        find_devices(blender(None), "cuda")
