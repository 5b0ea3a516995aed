"""Asking a Blender at hand which files a scene names, beside what is read in the .blend."""

from __future__ import annotations

import logging
from pathlib import Path

from burst.errors import BlenderNotFound
from burst.scene.asked import Asked
from burst.worker.asking import NoAnswerError, ask_for_files

_log = logging.getLogger(__name__)

ASK_SECONDS = 300.0
"""To start, open the scene and its libraries, and answer. A scene of gigabytes opens in less."""


def ask_blender(
    program: Path, blend: Path, kind: str | None = None, seconds: float = ASK_SECONDS
) -> list[Asked]:
    """Return what a Blender says that a .blend and its libraries name. Blocks for a second or more.

    One that crashes over the scene, can't read it, or takes too long has nothing to add: that
    is logged, and the answer is empty. The artist's files are safe from it: it can only read.

    Args:
        program: a ``blender``, or the ``python`` of an environment with bpy.
        blend: the scene.
        kind: ``binary`` or ``bpy``, if that is known.
        seconds: how long it may take in all.
    """
    try:
        return ask_for_files(program, blend.absolute(), kind, seconds)
    except (BlenderNotFound, NoAnswerError, OSError) as error:
        _log.warning("%s was not asked what %s needs: %s", program, blend.name, error)
        return []
