"""Why the driver does not render, told in a sentence for the artist."""

from __future__ import annotations


class Refused(Exception):
    """The scene or the request can't be rendered, here or elsewhere, this frame or another."""

    gives_up: str | None = "job"
    """What no other try can save; see `burst.worker.dialogue.BlenderFailed`."""


class FrameRefused(Refused):
    """This frame can't be rendered, here or elsewhere; others can."""

    gives_up = "task"


class Unfit(Refused):
    """This Blender or this machine can't; another may."""

    gives_up = None
