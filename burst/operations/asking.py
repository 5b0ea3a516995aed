"""Joining what a Blender at hand names to what is read in a scene, and remembering its answer.

To ask costs a start of Blender and the opening of the scene, so an answer is kept for as long as
no .blend of the scene changes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from burst.errors import BlenderNotFound, BurstError
from burst.scene.asked import Asked
from burst.scene.digest import Signature
from burst.scene.facts import read_facts
from burst.scene.hashing import Hasher
from burst.scene.sequences import Many
from burst.scene.trace import SceneTrace, names_more, trace
from burst.worker.asking import NoAnswerError, ask_for_files
from burst.worker.discovery import Installed

ASK_SECONDS = 60.0
"""To start, open the scene and its libraries, and answer. Without it the scene is traced all the
same, so it is not worth more of an artist's time."""

_FOLDER = "asked"
_KEPT = 200
"""Answers; a page each."""


def trace_with_blender(
    blend: Path, installed: Sequence[Installed], cache: Path
) -> tuple[SceneTrace, tuple[str, ...]]:
    """Find all that a scene needs, and a note on why no Blender could be asked, if it could not.

    Args:
        blend: the scene's main .blend, absolute.
        installed: the Blenders at hand.
        cache: folder in which answers are remembered.

    Raises:
        SceneError: the .blend can't be read.
    """
    traced = trace(blend)
    one = _fitting(blend, installed)
    if one is None:
        return traced, ()
    memory = cache / _FOLDER / f"{_key(traced, one)}.json"
    asked = _recall(memory)
    if asked is None:
        try:
            with _hashing_meanwhile(traced, cache):
                asked = ask_for_files(one.program, blend, one.facts.kind, ASK_SECONDS)
        except (BlenderNotFound, NoAnswerError, OSError) as error:
            return traced, (f"Blender {one.facts.label} was not asked what it needs: {error}",)
        _remember(memory, asked)
    return (trace(blend, asked) if names_more(traced, asked) else traced), ()


class _EnoughError(Exception):
    """Nobody waits for Blender any more."""


@contextlib.contextmanager
def _hashing_meanwhile(traced: SceneTrace, cache: Path) -> Iterator[None]:
    """Have files of the scene hashed, and their hashes remembered, while the block runs."""
    is_over = threading.Event()

    def look(*_news: object) -> None:
        if is_over.is_set():
            raise _EnoughError

    def hash_ahead() -> None:
        # What goes wrong here goes wrong again where it is told.
        with contextlib.suppress(_EnoughError, BurstError):
            # By threads: they take no memory, and are done when Blender is.
            Hasher(cache, processes=1).hash_all([file.path for file in traced.files], look)

    thread = threading.Thread(target=hash_ahead, name="hash-ahead", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _fitting(blend: Path, installed: Sequence[Installed]) -> Installed | None:
    """Return the oldest Blender that is not older than the scene."""
    try:
        saved_by = read_facts(blend).blender
    except BurstError:
        return None
    fitting = [one for one in installed if one.facts.version[:2] >= saved_by]
    return min(fitting, key=lambda one: one.facts.version, default=None)


def _key(traced: SceneTrace, one: Installed) -> str:
    """Return what the answer depends on, as far as can be told."""
    blends = sorted(file.path for file in traced.files if file.path.suffix.startswith(".blend"))
    parts = [(os.fsdecode(path), *Signature.of(path)) for path in blends]
    told = json.dumps([os.fsdecode(one.program), list(one.facts.version), parts])
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _recall(memory: Path) -> list[Asked] | None:
    try:
        rows = json.loads(memory.read_bytes())
        return [
            Asked(Path(owner), os.fsencode(name), Many(many), used_by)
            for owner, name, many, used_by in rows
        ]
    except (OSError, ValueError, TypeError):
        return None


def _remember(memory: Path, asked: Sequence[Asked]) -> None:
    rows = [(str(one.owner), os.fsdecode(one.name), one.many.value, one.used_by) for one in asked]
    with contextlib.suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        part = memory.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(rows))
        part.replace(memory)
        kept = sorted(memory.parent.iterdir(), key=lambda path: path.stat().st_mtime)
        for path in kept[:-_KEPT]:
            path.unlink()
