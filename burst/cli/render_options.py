"""What ``burst render`` and ``burst submit`` can be asked for: their options, written once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from burst.cli import options

if TYPE_CHECKING:
    from burst.operations.request import RenderRequest

PRIORITY = 50
RETRIES = 3
"""The defaults of `burst.domain.jobs` once more: to import that here would bring pydantic into
``burst --help``. A test holds them together."""


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """Fields of `RenderRequest`, in the order in which ``--help`` lists them."""

    frames: options.Frames = None
    output: options.Output = None
    blender_scene: options.BlenderScene = None
    camera: options.Camera = None
    resolution: options.Resolution = None
    samples: options.Samples = None
    file_format: options.Format = None
    video: options.Video = None
    engine: options.Engine = None
    device: options.Device = "auto"
    denoiser: options.Denoiser = None
    assign: options.Assign = None
    keep_metadata: options.KeepMetadata = False
    trust_scripts: options.TrustScripts = False
    allow_missing: options.AllowMissing = False
    force: options.Force = False
    name: options.Name = None
    priority: options.Priority = PRIORITY
    chunk: options.Chunk = 1
    memory: options.Memory = None
    retries: options.Retries = RETRIES
    fail_fast: options.FailFast = False
    new: options.New = False

    def request(self, scene: Path) -> RenderRequest:
        """Return what was asked for of ``scene``."""
        from burst.operations.request import RenderRequest

        typed = {field.name: getattr(self, field.name) for field in fields(self)}
        return RenderRequest(scene=scene, **typed)
