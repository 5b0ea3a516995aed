"""``burst images``: build, push and list the container images of a farm on a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from burst.cli import console, options, words

if TYPE_CHECKING:
    from burst.config.images import ImageSettings
    from burst.operations.images import ImageState, Part

app = typer.Typer(help="Build, push and list container images.", rich_markup_mode=None)

PartName = Literal["manager", "worker"]
ToolName = Literal["docker", "podman", "buildah", "cloud-build"]
"""What settings and operations take, once more, as in options.py."""

PartTyped = Annotated[
    PartName | None,
    typer.Argument(
        metavar="[manager|worker]", help="One of them. [default: both]", show_default=False
    ),
]
Registry = Annotated[
    str | None,
    typer.Option(
        "--registry",
        metavar="NAME",
        help="Registry, and folder in it: REGION-docker.pkg.dev/PROJECT/REPOSITORY. "
        "[default: BURST_REGISTRY, else this machine alone]",
        show_default=False,
    ),
]
Blender = Annotated[
    str | None,
    typer.Option(
        "--blender",
        metavar="VERSION",
        help="Blender of the worker: 4.5.14 for the official archive, bpy5.0.1 for the wheel, "
        "debian for Debian's.",
        show_default=False,
    ),
]
Base = Annotated[
    str | None,
    typer.Option("--base", metavar="IMAGE", help="A Debian 12 to begin with.", show_default=False),
]
Tool = Annotated[
    ToolName | None,
    typer.Option("--tool", help="What builds. [default: what works here]", show_default=False),
]


@app.command("build")
def build(
    part: PartTyped = None,
    push: Annotated[bool, typer.Option("--push", help="Push them, too.")] = False,
    registry: Registry = None,
    blender: Blender = None,
    base: Base = None,
    tool: Tool = None,
    json: options.Json = False,
) -> None:
    """Build the images of the manager and of the worker."""
    from burst.operations.images import build_images, push_images

    settings = _settings(registry, blender, base, tool)
    built = build_images(settings, _parts(part), console.tell)
    if push:
        push_images(settings, _parts(part), console.tell)
    _names(built, json)


@app.command("push")
def push(
    part: PartTyped = None,
    registry: Registry = None,
    blender: Blender = None,
    tool: Tool = None,
    json: options.Json = False,
) -> None:
    """Push images that were built to their registry."""
    from burst.operations.images import push_images

    settings = _settings(registry, blender, None, tool)
    _names(push_images(settings, _parts(part), console.tell), json)


@app.command("list")
def list_images(
    registry: Registry = None,
    blender: Blender = None,
    base: Base = None,
    tool: Tool = None,
    json: options.Json = False,
) -> None:
    """List the images of this version of burst: where each is, and whether it is up to date."""
    from burst.cli.progress import after_a_while
    from burst.operations.images import image_states

    settings = _settings(registry, blender, base, tool)
    with after_a_while("looking for images"):
        states = image_states(settings)
    if json:
        console.emit([_as_json(state) for state in states])
        return
    console.table(("IMAGE", "HERE", "SIZE", "REGISTRY"), [_row(state) for state in states])


def _settings(
    registry: str | None, blender: str | None, base: str | None, tool: str | None
) -> ImageSettings:
    from burst.config.images import ImageSettings
    from burst.config.load import load

    given = {
        "registry": registry,
        "image_blender": blender,
        "image_base": base,
        "image_tool": tool,
    }
    return load(ImageSettings, given).settings


def _parts(part: PartName | None) -> tuple[Part, ...]:
    from burst.operations.images import PARTS

    return (part,) if part else PARTS


def _names(references: list[str], json: bool) -> None:
    if json:
        console.emit(references)
        return
    for reference in references:
        console.say(reference)


def _row(state: ImageState) -> tuple[str, str, str, str]:
    here = "no"
    if state.here:
        here = "yes" if state.is_current else "out of date"
    size = words.size(state.here.size_bytes) if state.here else "-"
    published = {None: "-", True: "yes", False: "no"}[state.published]
    return (state.reference, here, size, published)


def _as_json(state: ImageState) -> dict[str, Any]:
    return {
        "part": state.part,
        "image": state.reference,
        "here": state.here is not None,
        "id": state.here.id if state.here else None,
        "up_to_date": state.is_current,
        "bytes": state.here.size_bytes if state.here else None,
        "published": state.published,
    }
