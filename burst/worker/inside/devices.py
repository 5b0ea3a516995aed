"""What Cycles can compute on here, and telling it to: the processor, or one kind of GPU.

Kinds are spelled as in `burst.domain.workers`: ``cuda``, ``optix``, ``hip``, ``oneapi``,
``metal``; the processor is ``cpu``. To look for GPUs loads their drivers, which can take
the process down: only the probe does it before it is known to go well.
"""

from __future__ import annotations

from typing import Any


class NoSuchDevice(Exception):
    """There is nothing of that kind to compute on."""


def find_devices(bpy: Any, kind: str) -> list[str]:
    """Return the names of the GPUs of a kind that Cycles can compute on, with drivers."""
    return [device.name for device in _devices(bpy, kind)]


def use_device(bpy: Any, scene: Any, device: str) -> None:
    """Have Cycles compute on the processor, or on every GPU of a kind and on nothing else.

    Blender keeps the choice of devices in its preferences; ours are thrown away with it.

    Raises:
        NoSuchDevice: there is none of that kind.
    """
    if device == "cpu":
        scene.cycles.device = "CPU"
        return
    found = _devices(bpy, device)
    if not found:
        raise NoSuchDevice(f"Cycles finds no {device} device here")
    preferences = _preferences(bpy)
    preferences.compute_device_type = device.upper()
    for entry in preferences.devices:
        # Not the processor beside them: it would slow a fast GPU down, and take the memory.
        entry.use = entry.type == device.upper()
    scene.cycles.device = "GPU"


def _devices(bpy: Any, kind: str) -> list[Any]:
    known = [entry[0] for entry in _preferences(bpy).get_device_types(bpy.context)]
    if kind.upper() not in known:
        # Not part of this build: to ask for it would be an error in some.
        return []
    found = _preferences(bpy).get_devices_for_type(kind.upper())
    # Up to 2.93 the answer was nothing, and later builds append the processor.
    return [device for device in found or () if device.type == kind.upper()]


def _preferences(bpy: Any) -> Any:
    addon = bpy.context.preferences.addons.get("cycles")
    if addon is None:
        raise NoSuchDevice("this Blender was built without Cycles")
    return addon.preferences
