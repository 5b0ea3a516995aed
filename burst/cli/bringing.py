"""How far it is with bringing files, and what came of them, in words."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from burst.cli import words
from burst.cli.progress import Line

if TYPE_CHECKING:
    from burst.operations.frames import Bringing, FrameFolder

_NAMED = 5


@contextmanager
def bringing_progress() -> Iterator[Callable[[Bringing], None]]:
    """Open a line on the terminal that follows the files; it is gone at the end."""
    if not sys.stderr.isatty():
        yield lambda bringing: None
        return
    line = Line()
    try:
        yield lambda bringing: line.show(lambda: f"bringing {transfer(bringing)}")
    finally:
        line.clear()


def transfer(bringing: Bringing) -> str:
    """Return how far it is, how fast, and how long it will take."""
    files = (bringing.files, bringing.files_total)
    return words.transfer(files, (bringing.bytes, bringing.bytes_total), bringing.seconds)


def folder_notes(folder: FrameFolder) -> list[str]:
    """Say which files of an artist were left alone, and where the job's are instead."""
    notes = []
    if folder.changed:
        count = len(folder.changed)
        alone = "is left alone" if count == 1 else "are left alone"
        many = words.count(count, "file")
        notes.append(f"{many} that you have changed {alone}: {_listed(folder.changed)}")
    if folder.beside:
        many = words.count(len(folder.beside), "file")
        there = sorted({path.partition("/")[0] for path in folder.beside.values()})
        places = " and ".join(str(folder.folder / name) for name in there)
        notes.append(
            f"{many} of the job went to {places}, since {folder.folder} has files of yours "
            f"under such names: {_listed(list(folder.beside))}"
        )
    return notes


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more"
