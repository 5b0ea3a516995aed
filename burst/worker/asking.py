"""Asking Blender itself which files a .blend names, to be joined to what the tracer finds.

The tracer reads the file's bytes and knows every file of a sequence; Blender knows its own
newest kinds of data. It is asked in a process that is thrown away, with scripts off, in the
surroundings that a worker's Blender has, and in a cage in which the artist's files can be
read and nothing of theirs be written: a Blender that opens a scene clears point caches.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from burst.scene.asked import Asked
from burst.scene.sequences import Many
from burst.worker.faults import signal_name
from burst.worker.probing import kind_of
from burst.worker.process import Child, Exited, Line
from burst.worker.surroundings import command_line, prepare
from burst.worker.trust import Cage

PATHS = Path(__file__).with_name("inside") / "paths.py"
_LOOK_SECONDS = 0.2


class NoAnswerError(Exception):
    """A Blender has nothing to say about a scene; says why."""


def ask_for_files(program: Path, blend: Path, kind: str | None, seconds: float) -> list[Asked]:
    """Return the files that a .blend and its libraries name, as a Blender says. Blocks.

    Args:
        program: a ``blender``, or the ``python`` of an environment with bpy.
        blend: the scene, absolute; is only read.
        kind: ``binary`` or ``bpy``, if that is known.
        seconds: how long it may take in all.

    Raises:
        NoAnswerError: it crashed, can't read the scene, takes too long, or nothing here
            can keep it from the artist's files.
        BlenderNotFound: the program is no Blender.
        OSError: it can't be started.
    """
    with tempfile.TemporaryDirectory(prefix="burst-ask-") as folder:
        return _ask(program, blend, kind, Path(folder), time.monotonic() + seconds)


def _ask(
    program: Path, blend: Path, kind: str | None, scratch: Path, deadline: float
) -> list[Asked]:
    cage = Cage(scenes=scratch)
    if cage.lacks():
        raise NoAnswerError(cage.lacks())
    env = prepare(scratch, graphics=False)
    kind = kind or kind_of(program, env)
    program.stat()
    child = Child(
        lambda reads, writes: cage.program_line(
            command_line(program, kind, PATHS, (reads, writes)), [Path("/")], [scratch]
        ),
        env=env,
        folder=scratch,
    )
    found = []
    try:
        for said in _heard(child, deadline):
            if said["event"] == "ready":
                child.send({"blend": str(blend)})
            elif said["event"] == "named":
                found.append(_asked(said))
            elif said["reason"]:
                raise NoAnswerError(said["reason"])
            else:
                break
    finally:
        child.kill()
        child.close(0)
    return found


def _heard(child: Child, deadline: float) -> Iterator[Mapping[str, Any]]:
    """Yield what Blender says, until it is gone."""
    last = ""
    while True:
        item = child.next_item(_LOOK_SECONDS)
        if isinstance(item, Exited):
            signal = f"it died of {signal_name(-item.code)}" if item.code < 0 else ""
            raise NoAnswerError(signal or last or f"it exited with {item.code}")
        if isinstance(item, Line):
            last = item.text.strip() or last
        elif item is not None and item.body:
            yield item.body
        if time.monotonic() > deadline:
            raise NoAnswerError("it took too long")


def _asked(said: Mapping[str, Any]) -> Asked:
    return Asked(
        owner=Path(said["owner"]),
        name=said["name"].encode("utf-8", "surrogateescape"),
        many=Many(said["many"]),
        used_by=said["used_by"],
    )
