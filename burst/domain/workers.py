"""What a worker can do, and which work it may be given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from burst.errors import EngineUnavailable, NoSuchDevice, NotEnoughMemory, SceneTooNew, ToolMissing

BlenderVersion = tuple[int, int]
"""Major and minor; files are compatible within one minor version."""

BLENDER_OLDEST = (3, 4)
"""The oldest Blender that burst drives."""

Feature = Literal["alembic", "usd", "openvdb", "osl", "oidn"]
"""What one build of Blender has and another has not; the last is the OpenImageDenoise denoiser."""

GpuKind = Literal["cuda", "optix", "hip", "oneapi", "metal"]
DeviceChoice = Literal["auto", "cpu", "gpu", "cuda", "optix", "hip", "oneapi", "metal"]

GPU_PREFERENCE: tuple[GpuKind, ...] = ("optix", "cuda", "hip", "oneapi", "metal")
"""Which is taken when any GPU will do: OptiX traces rays in hardware, on the same cards as CUDA."""


class BlenderFacts(BaseModel):
    """One Blender at a worker's hand, as found by running it once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: tuple[int, int, int]
    """Major, minor, patch."""
    kind: str
    """``binary`` (a blender program) or ``bpy`` (the wheel, in a Python of its own)."""
    engines: dict[str, str] = Field(default_factory=dict)
    """Engine → empty if it can render here, else why not, in a sentence."""
    features: dict[str, str] = Field(default_factory=dict)
    """`Feature` → empty if it works here, else why not, in a sentence."""
    devices: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """`GpuKind` → names of the devices that Cycles can compute on."""
    device_troubles: dict[str, str] = Field(default_factory=dict)
    """`GpuKind` → why it could not even be looked for, in a sentence; mostly a driver's crash."""

    @property
    def label(self) -> str:
        """Version and kind for people, e.g. ``5.0.1 (bpy)``."""
        return ".".join(map(str, self.version)) + (" (bpy)" if self.kind == "bpy" else "")


class Capabilities(BaseModel):
    """All that a worker can do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    blenders: tuple[BlenderFacts, ...]
    """Every Blender at its hand; at least one, unless it only runs commands."""
    device: DeviceChoice = "auto"
    """What it was told to compute on."""
    memory_bytes: int = Field(default=0, ge=0)
    """Memory that Blender may take; 0 is unknown."""
    ffmpeg: str = ""
    """Version of its ffmpeg; empty if it has none."""


class Requirements(BaseModel):
    """What a job needs of a worker."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    blender: BlenderVersion = BLENDER_OLDEST
    """The version that saved the scene; an older Blender can't be trusted with it."""
    engine: str = "CYCLES"
    """The render engine, after the job's own settings."""
    features: tuple[str, ...] = ()
    """Each a `Feature`."""
    device: DeviceChoice = "auto"
    """What the job asks to be computed on."""
    memory_bytes: int = Field(default=0, ge=0)
    """Memory that a worker must have for it; 0 is any."""


def choose_blender(needs: Requirements, blenders: Sequence[BlenderFacts]) -> BlenderFacts:
    """Return the Blender to render with: the version that saved the scene, else the next newer.

    A Blender opens files of older versions. On files of newer ones it refuses, or dies:
    3.4 segfaults on every file of 4.0 to 4.3 that was tried.

    Raises:
        SceneTooNew: the scene was saved by a newer Blender than any of these.
        EngineUnavailable: the engine, or a feature, is unknown to all that could, or can't run.
    """
    saved = ".".join(map(str, needs.blender))
    if not blenders:
        raise ToolMissing("there is no Blender")
    able = sorted((b for b in blenders if b.version[:2] >= needs.blender), key=_age)
    if not able:
        newest = max(blenders, key=_age)
        raise SceneTooNew(
            f"the scene was saved by Blender {saved}, the Blender at hand is {newest.label}",
            hint=f"name a Blender {saved} or newer with BURST_BLENDER, "
            "or save the scene in the older version",
        )
    troubles = [(blender, _trouble(needs, blender)) for blender in able]
    for blender, trouble in troubles:
        if trouble is None:
            return blender
    first = troubles[0][1]
    assert first is not None  # noqa: S101 - otherwise it was returned
    raise first


def check_fit(needs: Requirements, worker: Capabilities) -> BlenderFacts:
    """Check that a worker can render what is asked for, and return the Blender it does it with.

    Raises:
        SceneTooNew: as `choose_blender`.
        EngineUnavailable: likewise.
        ToolMissing: the worker has no Blender.
        NotEnoughMemory: the job asks for more than it has.
        NoSuchDevice: it has no such device, or was told not to use it.
    """
    blender = choose_blender(needs, worker.blenders)
    if 0 < worker.memory_bytes < needs.memory_bytes:
        gib = 2**30
        raise NotEnoughMemory(
            f"the job asks for {needs.memory_bytes / gib:.1f} GiB of memory, "
            f"there are {worker.memory_bytes / gib:.1f}"
        )
    choose_device(needs.device, worker.device, blender.devices)
    return blender


def choose_device(
    wanted: DeviceChoice | None, worker: DeviceChoice, devices: Mapping[str, Sequence[str]]
) -> str:
    """Return what to compute on: ``cpu`` or a `GpuKind`.

    Args:
        wanted: what the job asks for; None or ``auto`` is whatever the worker does.
        worker: what the worker was told.
        devices: what the Blender found on the machine.

    Raises:
        NoSuchDevice: there is none, or the worker was told to use another.
    """
    found = [kind for kind in GPU_PREFERENCE if devices.get(kind)]
    if worker in ("cpu", "auto"):
        own = ["cpu"] if worker == "cpu" or not found else [*found, "cpu"]
    else:
        own = [kind for kind in found if worker in ("gpu", kind)]
        if not own:
            raise NoSuchDevice(f"the worker is to compute on {worker}, and has no such device")
    if wanted in (None, "auto"):
        return own[0]
    chosen = next((d for d in own if d == wanted or (wanted == "gpu" and d != "cpu")), None)
    if chosen is None:
        raise NoSuchDevice(
            f"the job is to be computed on {wanted}, the worker has {', '.join(own)}",
            hint="let the worker choose: --device auto",
        )
    return chosen


def _age(blender: BlenderFacts) -> tuple[tuple[int, int, int], bool]:
    return blender.version, blender.kind == "bpy"


def _trouble(needs: Requirements, blender: BlenderFacts) -> EngineUnavailable | None:
    reason = blender.engines.get(needs.engine, f"Blender {blender.label} has no such engine")
    if reason:
        return EngineUnavailable(
            f"{needs.engine} can't render here: {reason}",
            hint="render with Cycles: --engine CYCLES",
        )
    for feature in needs.features:
        reason = blender.features.get(feature, f"Blender {blender.label} was built without it")
        if reason:
            return EngineUnavailable(
                f"the scene needs {FEATURE_NAMES.get(feature, feature)}: {reason}"
            )
    return None


FEATURE_NAMES = {
    "alembic": "Alembic",
    "usd": "USD",
    "openvdb": "OpenVDB",
    "osl": "Open Shading Language",
    "oidn": "the OpenImageDenoise denoiser",
}
