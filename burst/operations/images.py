"""The images of a farm: their names, what goes into them, and whether they are there.

An image carries a digest of all that it was built from, so that one that is up to date is not
built again, and one that is not is never taken for it. `burst.cloud` builds.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from burst import __version__
from burst.cloud.bundled import bundled, package_folder
from burst.cloud.cloud_build import CloudBuild, is_googles, place_of
from burst.cloud.images import ImageTool, LocalImage, Recipe, Say, find_tool
from burst.config.images import ImageSettings
from burst.errors import ImageMissing, ToolMissing, UsageError

Part = Literal["manager", "worker"]
PARTS: tuple[Part, ...] = ("manager", "worker")

CONTENT_LABEL = "dev.burst.content"
"""Label with the digest of what an image was built from."""
_VERSION_LABEL = "org.opencontainers.image.version"
_MIRRORS: dict[Part, tuple[str, ...]] = {
    "manager": ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"),
    "worker": ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "BLENDER_MIRROR"),
}
"""Taken over from the environment: where there is no PyPI or blender.org, there may be a mirror."""
_BLENDERS = "images/worker/blender"
_FILES: dict[Part, tuple[str, ...]] = {
    "manager": ("images/manager/Containerfile", "requirements.lock"),
    "worker": (
        "images/worker/Containerfile", "requirements.lock", "scripts/fetch-blender",
        "scripts/locks/bpy-3.11.lock", "scripts/locks/bpy-3.13.lock", f"{_BLENDERS}/SHA256SUMS",
    ),
}  # fmt: skip
_LOCAL_ONLY = "localhost"


@dataclass(frozen=True, slots=True)
class ImageNames:
    """Whole names of both images of a farm."""

    manager: str
    worker: str


@dataclass(frozen=True, slots=True)
class ImageState:
    """What is known of one image."""

    part: Part
    reference: str
    here: LocalImage | None
    is_current: bool
    """The one that is here was built from what burst is now."""
    published: bool | None
    """The registry has one of that name; None where there is no registry."""


def image_names(settings: ImageSettings) -> ImageNames:
    """Return what the images of this version of burst are called."""
    return ImageNames(
        f"{settings.registry}/burst-manager:{__version__}",
        f"{settings.registry}/burst-worker:{__version__}-{settings.image_blender}",
    )


def has_registry(settings: ImageSettings) -> bool:
    """Say whether images can be pushed anywhere."""
    return settings.registry != _LOCAL_ONLY


def builder(settings: ImageSettings) -> ImageTool | CloudBuild:
    """Return what builds: a program of this machine, or Cloud Build.

    Raises:
        ToolMissing: there is neither.
        UsageError: Cloud Build was asked for, and can't push to that registry.
        StorageError: there is no login to Google Cloud.
    """
    if settings.image_tool == "cloud-build":
        return CloudBuild(place_of(settings.registry))
    try:
        return find_tool(settings.image_tool)
    except ToolMissing:
        if settings.image_tool or not is_googles(settings.registry):
            raise
    return CloudBuild(place_of(settings.registry))


def build_images(
    settings: ImageSettings,
    parts: Sequence[Part],
    say: Say,
    environ: Mapping[str, str] = os.environ,
) -> list[str]:
    """Build images, and return their names; Cloud Build pushes them as well.

    Raises:
        BuildFailed: one could not be built.
        ToolMissing: there is nothing to build with.
    """
    tool, names = builder(settings), image_names(settings)
    built = []
    for part in parts:
        with context(part) as folder:
            recipe = _recipe(settings, part, names, folder, environ)
            tool.build(recipe, folder, say)
        built.append(recipe.reference)
    return built


def push_images(settings: ImageSettings, parts: Sequence[Part], say: Say) -> list[str]:
    """Bring images that are here to the registry, and return their names.

    Raises:
        UsageError: there is no registry.
        ImageMissing: one was not built.
        RegistryDenied: the registry does not take it.
    """
    if not has_registry(settings):
        raise UsageError(
            "there is no registry to push to",
            hint="name one: --registry, BURST_REGISTRY, or registry in [images] of burst.toml",
        )
    tool, names = builder(settings), image_names(settings)
    references: list[str] = [getattr(names, part) for part in parts]
    if isinstance(tool, CloudBuild):
        return references
    for reference in references:
        if tool.find(reference) is None:
            raise ImageMissing(
                f"{reference} was not built yet", hint="build it: burst images build --push"
            )
    for reference in references:
        tool.push(reference, say)
    return references


def image_states(
    settings: ImageSettings,
    parts: Sequence[Part] = PARTS,
    environ: Mapping[str, str] = os.environ,
) -> list[ImageState]:
    """Return what is known of images; asks the registry, if there is one.

    Raises:
        ToolMissing: there is nothing to ask with.
        RegistryDenied: the registry does not tell.
    """
    tool, names = builder(settings), image_names(settings)
    states = []
    for part in parts:
        reference: str = getattr(names, part)
        here = tool.find(reference) if isinstance(tool, ImageTool) else None
        published = tool.is_published(reference) if has_registry(settings) else None
        with context(part) as folder:
            wanted = _recipe(settings, part, names, folder, environ).labels[CONTENT_LABEL]
        current = here is not None and here.labels.get(CONTENT_LABEL) == wanted
        states.append(ImageState(part, reference, here, current, published))
    return states


def ensure_images(settings: ImageSettings, say: Say, parts: Sequence[Part] = PARTS) -> ImageNames:
    """Have images where a cluster gets them: in the registry, built if they are not there.

    What the registry has is taken as it is: a tag is the version of burst and its Blender.
    Without a registry they are built on this machine, and brought to the cluster by its owner.

    Raises:
        BuildFailed: one could not be built.
        RegistryDenied: the registry does not take it, or does not tell.
        ToolMissing: one is lacking, and there is nothing to build with.
    """
    for state in image_states(settings, parts):
        if state.published or (state.published is None and state.is_current):
            continue
        say(f"building {state.reference}")
        build_images(settings, [state.part], say)
        if has_registry(settings):
            push_images(settings, [state.part], say)
    return image_names(settings)


@contextmanager
def context(part: Part) -> Iterator[Path]:
    """Open a folder with all that an image is built from, and nothing else."""
    with tempfile.TemporaryDirectory(prefix="burst-image-") as name:
        folder = Path(name)
        for file in _FILES[part]:
            _bring(bundled(file), folder / file)
        shutil.copytree(
            package_folder(),
            folder / "burst",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        if part == "worker":
            # Archives that were fetched beforehand; the build looks for them here first.
            for archive in bundled(_BLENDERS).glob("blender-*.tar.xz"):
                _bring(archive, folder / _BLENDERS / archive.name)
        yield folder


def _bring(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)


def _recipe(
    settings: ImageSettings,
    part: Part,
    names: ImageNames,
    folder: Path,
    environ: Mapping[str, str],
) -> Recipe:
    arguments = {"BASE": settings.image_base}
    if part == "worker":
        arguments |= _blender_arguments(settings.image_blender)
    # Where wheels and archives come from says nothing of them: their hashes came with burst.
    mirrors = {key: environ[key] for key in _MIRRORS[part] if environ.get(key)}
    return Recipe(
        reference=getattr(names, part),
        containerfile=f"images/{part}/Containerfile",
        arguments=arguments,
        mirrors=mirrors,
        labels={
            CONTENT_LABEL: _digest(folder, arguments),
            _VERSION_LABEL: __version__,
        },
    )


def _blender_arguments(wanted: str) -> dict[str, str]:
    if found := re.fullmatch(r"bpy(.+)", wanted):
        return {"BPY": found[1]}
    return {"BLENDER": wanted}


def _digest(folder: Path, arguments: Mapping[str, str]) -> str:
    """Return a digest of files' names and contents, and of build arguments."""
    digest = hashlib.sha256(repr(sorted(arguments.items())).encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".xz":
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.relative_to(folder)} {content}\n".encode())
    return digest.hexdigest()[:16]
