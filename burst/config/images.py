"""Settings of container images: where they are kept, and what they are built with."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from burst.config.load import Settings

ToolName = Literal["docker", "podman", "buildah", "cloud-build"]

DEFAULT_BLENDER = "4.5.14"
"""The newest long-term release whose checksum comes with burst."""
DEFAULT_BASE = "docker.io/library/debian:12.12-slim"


class ImageSettings(Settings):
    """What ``burst images`` and ``burst up`` need to know of images."""

    table: ClassVar[str] = "images"

    registry: str = Field(default="localhost", pattern=r"^[a-z0-9][a-z0-9._:/-]*[a-z0-9]$")
    """What stands before the names of images: a registry and a folder in it, such as
    ``europe-west1-docker.pkg.dev/my-project/burst``. ``localhost`` is no registry: images stay
    on this machine."""

    image_blender: str = Field(default=DEFAULT_BLENDER, pattern=r"^(debian|(bpy)?\d+\.\d+\.\d+)$")
    """Blender of the worker image: a version of the official archive, ``bpy5.0.1`` for the bpy
    wheel of a version, or ``debian`` for the one that the base's Debian has."""

    image_base: str = DEFAULT_BASE
    """Image that both begin with: a Debian 12."""

    image_tool: ToolName | None = None
    """What builds: ``docker``, ``podman``, ``buildah`` or ``cloud-build``; by default the first
    of these three that works here, else Cloud Build if the registry is one of Google's."""
