"""Settings of container images: where they are kept, and what they are built with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import field_validator

from burst.config.load import Settings

ToolName = Literal["docker", "podman", "buildah", "cloud-build"]

DEFAULT_BLENDER = "4.5.14"
"""The newest long-term release whose checksum comes with burst."""
DEFAULT_BASE = "docker.io/library/debian:12.12-slim"


class ImageSettings(Settings):
    """What ``burst images`` and ``burst up`` need to know of images."""

    table: ClassVar[str] = "images"
    typed: ClassVar[Mapping[str, str]] = {
        "image_blender": "--blender",
        "image_base": "--base",
        "image_tool": "--tool",
    }

    registry: str = "localhost"
    """What stands before the names of images: a registry and a folder in it, such as
    ``europe-west1-docker.pkg.dev/my-project/burst``. ``localhost`` is no registry: images stay
    on this machine."""

    image_blender: str = DEFAULT_BLENDER
    """Blender of the worker image: a version of the official archive, ``bpy5.0.1`` for the bpy
    wheel of a version, or ``debian`` for the one that the base's Debian has."""

    image_base: str = DEFAULT_BASE
    """Image that both begin with: a Debian 12."""

    image_tool: ToolName | None = None
    """What builds: ``docker``, ``podman``, ``buildah`` or ``cloud-build``; by default the first
    of these three that works here, else Cloud Build if the registry is one of Google's."""

    @field_validator("registry")
    @classmethod
    def _is_registry(cls, name: str) -> str:
        if not re.fullmatch(r"[a-z0-9][a-z0-9._:/-]*[a-z0-9]", name):
            raise ValueError(
                f"{name!r} is no registry: small letters and digits, such as docker.io/studio"
            )
        return name

    @field_validator("image_blender")
    @classmethod
    def _is_blender(cls, name: str) -> str:
        return image_blender(name)


def image_blender(name: str) -> str:
    """Return the name if it is one of a Blender that an image may have.

    Raises:
        ValueError: it is not.
    """
    if not re.fullmatch(r"debian|(bpy)?\d+\.\d+\.\d+", name):
        raise ValueError(
            f"{name!r} is no Blender of an image, such as {DEFAULT_BLENDER}, bpy5.0.1 or debian"
        )
    return name
