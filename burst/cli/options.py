"""Options that more than one command has, each written down once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

DeviceName = Literal["auto", "cpu", "gpu", "cuda", "optix", "hip", "oneapi", "metal"]
DenoiserName = Literal["off", "oidn", "optix"]
VideoName = Literal["h264", "prores", "prores4444", "av1", "none"]
"""What the domain takes, once more: to import that would bring pydantic into ``burst --help``.
A test holds them together."""

Scene = Annotated[Path, typer.Argument(metavar="SCENE.blend", show_default=False)]
Job = Annotated[
    str,
    typer.Argument(
        metavar="JOB",
        help="Id of a job, or an unambiguous beginning of it, or 'last'.",
        show_default=False,
    ),
]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value for programs.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on until it has ended.")]

Local = Annotated[
    bool, typer.Option("--local", help="Use this machine: a farm that needs no account.")
]
StateDir = Annotated[
    Path | None,
    typer.Option(
        "--state-dir",
        metavar="DIR",
        help="Folder of the local farm. [default: ~/.local/state/burst]",
        show_default=False,
    ),
]
Kubeconfig = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig",
        metavar="FILE",
        help="Kubeconfig of the cluster that the farm is put on. [default: that of last time]",
        show_default=False,
    ),
]
Context = Annotated[
    str | None,
    typer.Option(
        "--context",
        metavar="NAME",
        help="Context in the kubeconfig. [default: the current one]",
        show_default=False,
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        metavar="NAME",
        help="Namespace of the farm, for itself. [default: the farm's name]",
        show_default=False,
    ),
]
FarmName = Annotated[
    str | None,
    typer.Option(
        "--farm", metavar="NAME", help="Name of the farm. [default: burst]", show_default=False
    ),
]
Project = Annotated[
    str | None,
    typer.Option(
        "--project",
        metavar="ID",
        help="Project of Google Cloud. [default: that of burst.toml, or of last time]",
        show_default=False,
    ),
]
Zone = Annotated[
    str | None,
    typer.Option(
        "--zone",
        metavar="NAME",
        help="Zone there, such as europe-west4-a. [default: that of burst.toml]",
        show_default=False,
    ),
]
NoImages = Annotated[
    bool,
    typer.Option(
        "--no-images", help="Neither look for images nor build them: the cluster has them."
    ),
]
Pool = Annotated[str, typer.Argument(metavar="POOL", show_default=False)]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        help="Where scenes and frames live: a directory or gs://BUCKET. "
        "[default: BURST_STORAGE_URL, else the local farm's]",
        show_default=False,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        min=0,
        max=1024,
        help="Most local workers at a time, 0 for none. "
        "[default: one for every two cores, at most 8]",
        show_default=False,
    ),
]
Blender = Annotated[
    str | None,
    typer.Option(
        "--blender",
        metavar="PROGRAM",
        help="Blender to render with, or the python of an environment with bpy; several are "
        "separated by colons. [default: all on this machine]",
        show_default=False,
    ),
]

Frames = Annotated[
    str | None,
    typer.Option(
        "--frames",
        metavar="RANGE",
        help="Such as 1-48, or 1,3,7-20x2. [default: the scene's own]",
        show_default=False,
    ),
]
BlenderScene = Annotated[
    str | None,
    typer.Option(
        "--blender-scene",
        metavar="NAME",
        help="Scene inside the .blend. [default: the one that was open when it was saved]",
        show_default=False,
    ),
]
Engine = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="NAME",
        help="CYCLES, EEVEE or WORKBENCH. [default: the scene's own]",
        show_default=False,
    ),
]
Camera = Annotated[
    str | None,
    typer.Option(
        "--camera",
        metavar="NAME",
        help="Camera to render from, whatever markers say. [default: the scene's own]",
        show_default=False,
    ),
]
Device = Annotated[
    DeviceName,
    typer.Option(
        "--device",
        metavar="NAME",
        help="auto (what the worker has), cpu, gpu (any), cuda, optix, hip, oneapi or metal.",
    ),
]
Denoiser = Annotated[
    DenoiserName | None,
    typer.Option(
        "--denoiser",
        metavar="NAME",
        help="off, oidn or optix. [default: the scene's own]",
        show_default=False,
    ),
]
Assign = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PROPERTY=VALUE",
        help="Any other property, such as scene.cycles.max_bounces=4; may be given again.",
        show_default=False,
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help="Image format: PNG, JPEG, OPEN_EXR, ... [default: the scene's own]",
        show_default=False,
    ),
]
Resolution = Annotated[
    str | None,
    typer.Option(
        "--resolution",
        metavar="SIZE",
        help="Such as 50%, or 1920x1080. [default: the scene's own]",
        show_default=False,
    ),
]
Samples = Annotated[
    int | None,
    typer.Option(
        "--samples",
        metavar="N",
        min=1,
        help="Samples per pixel. [default: the scene's own]",
        show_default=False,
    ),
]
Video = Annotated[
    VideoName | None,
    typer.Option(
        "--video",
        metavar="CODEC",
        help="Also make a video: h264, prores, prores4444, av1 or none. "
        "[default: h264 if the scene is set to a video format, else none]",
        show_default=False,
    ),
]
KeepMetadata = Annotated[
    bool,
    typer.Option(
        "--keep-metadata", help="Let files tell the .blend's path and the machine's name."
    ),
]
TrustScripts = Annotated[
    bool,
    typer.Option(
        "--trust-scripts", help="Run Python that the .blend brings. Only for scenes you trust."
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        "--name",
        metavar="NAME",
        help="Name for people. [default: the file's name]",
        show_default=False,
    ),
]
Priority = Annotated[
    int, typer.Option("--priority", metavar="N", min=0, max=100, help="Higher goes first.")
]
Chunk = Annotated[
    int, typer.Option("--chunk", metavar="N", min=1, help="Frames that a worker takes at once.")
]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        help="Memory that a worker must have, such as 8G. [default: any]",
        show_default=False,
    ),
]
Retries = Annotated[
    int,
    typer.Option(
        "--retries",
        metavar="N",
        min=1,
        max=100,
        help="Failed attempts after which a frame is given up.",
    ),
]
FailFast = Annotated[
    bool,
    typer.Option(
        "--fail-fast/--keep-going",
        help="When a frame is given up, give up the job, or render the others. "
        "[default: --keep-going]",
        show_default=False,
    ),
]
AllowMissing = Annotated[
    bool,
    typer.Option("--allow-missing", help="Render although files of the scene are missing."),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Render simulations that are not baked, with the whole range as one task.",
    ),
]
New = Annotated[
    bool,
    typer.Option("--new", help="Make another job even if an unfinished one does the same."),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        help="Folder for the frames. [default: ./SCENE-frames]",
        show_default=False,
    ),
]
