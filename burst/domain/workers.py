"""What a worker can do, and which work it may be given."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
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


EEVEE_NAMES = ("BLENDER_EEVEE", "BLENDER_EEVEE_NEXT")
"""One engine with two names: Blender 4.2 to 4.5 has the second, the others the first."""


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

    def engine_name(self, engine: str) -> str | None:
        """Return an engine by the name that it has in this Blender; None if it has no such."""
        names = EEVEE_NAMES if engine in EEVEE_NAMES else (engine,)
        return next((name for name in names if name in self.engines), None)


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


def choose_blender(
    needs: Requirements, blenders: Sequence[BlenderFacts], device: DeviceChoice = "auto"
) -> BlenderFacts:
    """Return the Blender to render with: the version that saved the scene, else the next newer.

    A Blender opens files of older versions. On files of newer ones it refuses, or dies:
    3.4 segfaults on every file of 4.0 to 4.3 that was tried. Of one version the last patch
    is taken, and a program before the wheel.

    Args:
        needs: of the job.
        blenders: those at hand.
        device: what they may compute on.

    Raises:
        ToolMissing: there is none.
        SceneTooNew: the scene was saved by a newer Blender than any of these.
        EngineUnavailable: no Blender that is new enough has the engine, or a feature; the
            reason is that of the one that would be taken.
        NoSuchDevice: likewise for the device.
    """
    if not blenders:
        raise ToolMissing("there is no Blender", hint="name one with BURST_BLENDER")
    able = sorted((b for b in blenders if b.version[:2] >= needs.blender), key=_preference)
    if not able:
        saved, newest = ".".join(map(str, needs.blender)), max(blenders, key=lambda b: b.version)
        at_hand = "the Blender at hand is" if len(blenders) == 1 else "the newest at hand is"
        raise SceneTooNew(
            f"the scene was saved by Blender {saved}, {at_hand} {newest.label}",
            hint=f"name a Blender {saved} or newer with BURST_BLENDER, "
            "or save the scene in the older version",
        )
    troubles: list[EngineUnavailable | NoSuchDevice] = []
    for blender in able:
        try:
            _must_have(needs, blender)
            choose_device(needs.device, device, blender)
        except (EngineUnavailable, NoSuchDevice) as trouble:
            troubles.append(trouble)
        else:
            return blender
    raise troubles[0]


def check_fit(needs: Requirements, worker: Capabilities) -> BlenderFacts:
    """Check that a worker can render what is asked for, and return the Blender it does it with.

    Raises:
        ToolMissing: as `choose_blender`.
        SceneTooNew: likewise.
        EngineUnavailable: likewise.
        NoSuchDevice: likewise; or the worker was told to use another device.
        NotEnoughMemory: the job asks for more than it has.
    """
    blender = choose_blender(needs, worker.blenders, worker.device)
    if 0 < worker.memory_bytes < needs.memory_bytes:
        gib = 2**30
        raise NotEnoughMemory(
            f"the job asks for {needs.memory_bytes / gib:.1f} GiB of memory, "
            f"there are {worker.memory_bytes / gib:.1f}"
        )
    return blender


def choose_device(wanted: DeviceChoice | None, worker: DeviceChoice, blender: BlenderFacts) -> str:
    """Return what to compute on: ``cpu`` or a `GpuKind`.

    Args:
        wanted: what the job asks for; None or ``auto`` is whatever the worker does.
        worker: what the worker was told.
        blender: what is to compute; it knows the devices.

    Raises:
        NoSuchDevice: there is none, or the worker was told to use another.
    """
    found = [kind for kind in GPU_PREFERENCE if blender.devices.get(kind)]
    if worker in ("cpu", "auto"):
        own = ["cpu"] if worker == "cpu" else [*found, "cpu"]
    else:
        own = [kind for kind in found if worker in ("gpu", kind)]
        if not own:
            raise _no_device(worker, blender)
    if wanted in (None, "auto"):
        return own[0]
    chosen = next((d for d in own if d == wanted or (wanted == "gpu" and d != "cpu")), None)
    if chosen is None:
        raise NoSuchDevice(
            f"the job is to be computed on {wanted}, the worker has {', '.join(own)}",
            hint="let the worker choose: --device auto",
        )
    return chosen


def check_device(told: DeviceChoice, blenders: Sequence[BlenderFacts]) -> None:
    """Check that a worker has the device that it was told to use.

    Raises:
        NoSuchDevice: none of its Blenders finds it.
    """
    for blender in blenders:
        with contextlib.suppress(NoSuchDevice):
            choose_device(None, told, blender)
            return
    if blenders:
        raise _no_device(told, *blenders)


def _no_device(told: DeviceChoice, *blenders: BlenderFacts) -> NoSuchDevice:
    seen = []
    for blender in blenders:
        names = [f"{kind} ({', '.join(names)})" for kind, names in blender.devices.items()]
        seen.append(f"Blender {blender.label} finds {', '.join(names) or 'no GPU'}")
        # The driver that crashes may be the one that was asked for.
        for kind, trouble in blender.device_troubles.items():
            if told in ("gpu", kind):
                seen.append(f"looking for {kind}: {trouble}")
    wanted = "a GPU" if told == "gpu" else told
    return NoSuchDevice(
        f"the worker is to compute on {wanted}, which is not there: {'; '.join(seen)}",
        hint="install the GPU's driver, or let it use what there is: BURST_DEVICE=auto",
    )


def _preference(blender: BlenderFacts) -> tuple[int, int, int, bool]:
    major, minor, patch = blender.version
    return major, minor, -patch, blender.kind == "bpy"


def _must_have(needs: Requirements, blender: BlenderFacts) -> None:
    name = blender.engine_name(needs.engine)
    reason = blender.engines[name] if name else f"Blender {blender.label} has no such engine"
    if reason:
        raise EngineUnavailable(
            f"{needs.engine} can't render here: {reason}",
            hint="render with Cycles: --engine CYCLES",
        )
    for feature in needs.features:
        reason = blender.features.get(feature, f"Blender {blender.label} was built without it")
        if reason:
            raise EngineUnavailable(
                f"the scene needs {FEATURE_NAMES.get(feature, feature)}: {reason}",
                hint="name a Blender that has it with BURST_BLENDER",
            )


FEATURE_NAMES = {
    "alembic": "Alembic",
    "usd": "USD",
    "openvdb": "OpenVDB",
    "osl": "Open Shading Language",
    "oidn": "the OpenImageDenoise denoiser",
}
