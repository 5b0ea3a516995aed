"""``burst video``: make a video of a job's frames, and bring it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from burst.cli import console, options
from burst.cli.settings import farm_settings, where_typed

if TYPE_CHECKING:
    from burst.operations.progress import Note, WatchState
    from burst.operations.reach import Reached
    from burst.operations.video import OrderedVideo
    from burst.operations.watch import View
    from burst.protocol.artist_messages import JobView
    from burst.protocol.client import ManagerClient
    from burst.storage.storage import Storage

CodecName = Literal["h264", "prores", "prores4444", "av1"]
"""What the domain takes, once more: to import that would bring pydantic into ``burst --help``."""


def video(
    job: options.Job,
    *,
    codec: Annotated[
        CodecName,
        typer.Option("--codec", metavar="CODEC", help="h264, prores, prores4444 or av1."),
    ] = "h264",
    fps: Annotated[
        float | None,
        typer.Option(
            "--fps",
            metavar="N",
            help="Frames a second, such as 25 or 23.976. [default: the scene's own]",
            show_default=False,
        ),
    ] = None,
    frames: Annotated[
        str | None,
        typer.Option(
            "--frames",
            metavar="RANGE",
            help="Such as 1-48. [default: all frames of the job]",
            show_default=False,
        ),
    ] = None,
    allow_gaps: Annotated[
        bool,
        typer.Option(
            "--allow-gaps", help="Show the frame before a missing one in its place, and say so."
        ),
    ] = False,
    no_sound: Annotated[
        bool, typer.Option("--no-sound", help="Leave the scene's sound out.")
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="FILE",
            help="Name of the video. [default: of the job, its frames and the codec]",
            show_default=False,
        ),
    ] = None,
    output: options.Output = None,
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Make a video of a job's frames, bring it, and print its path.

    A missing or damaged frame is an error. Sound is mixed in if the scene has any and the frames
    follow each other at the scene's own speed.
    """
    from burst.cli.live import job_view
    from burst.operations.frames import FrameFolder, output_of
    from burst.operations.jobs import ask_farm, find_job
    from burst.operations.reach import storage_from_here
    from burst.operations.video import bring_video, order_video
    from burst.operations.watch import Touch, watch_job
    from burst.protocol.artist_messages import MakeVideo
    from burst.storage.storage import open_storage

    if fps is not None and fps <= 0:
        raise typer.BadParameter("must be more than 0", param_hint="--fps")
    wanted = MakeVideo(
        codec=codec, fps=fps, frames=frames, name=name, allow_gaps=allow_gaps, sound=not no_sound
    )
    settings = farm_settings(state_dir, local=local)

    def order(farm: Reached, client: ManagerClient) -> tuple[JobView, Storage, OrderedVideo, str]:
        found = find_job(client, job)
        storage = open_storage(storage_from_here(settings, client.status()))
        return found, storage, order_video(client, found, wanted), farm.console_url

    found, storage, ordered, url = ask_farm(settings, console.tell, order)
    console.tell(f"job {found.id}: {ordered.name} is being made")
    touch = Touch(settings, url)
    try:
        with job_view() as shown:
            state = watch_job(ordered.job, touch, None, _Troubles(shown))
    except KeyboardInterrupt:
        _tell_left(ordered, where_typed(settings, state_dir), json=json)
        return
    folder = output_of(found.output, found.name, output)
    brought = bring_video(
        ordered, state, FrameFolder(folder, storage, found.id, settings.state_dir)
    )
    if not json:
        console.say(str(brought.path))
        return
    facts = {"path": str(brought.path), "warnings": list(brought.warnings)}
    console.emit({"job": found.id, "video": ordered.name, **facts})


def _tell_left(ordered: OrderedVideo, where: str, *, json: bool) -> None:
    console.tell()
    console.tell(f"left: {ordered.name} is made in the background")
    console.ways_back(ordered.job.id, where)
    if json:
        console.emit({"job": ordered.job.id, "video": ordered.name, "detached": True})


class _Troubles:
    """Shows how far it is and what goes wrong, but no frames: they may be done since long."""

    def __init__(self, view: View) -> None:
        self._view = view

    def show(self, state: WatchState) -> None:
        self._view.show(state)

    def note(self, note: Note) -> None:
        if note.kind == "trouble":
            self._view.note(note)
