"""What is done to many files, and how one of them is told to another process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from burst.storage import layout
from burst.storage.items import LocalBlob, Tell, Wanted

if TYPE_CHECKING:
    from burst.storage.bulk_line import Line

Kind = Literal["send", "fetch"]
Item = LocalBlob | Wanted
Action = Callable[[Any, Tell], Awaitable[bool]]
"""Does it to one file, and tells of it; False is that the file is not what it was."""


def action(kind: Kind, line: Line) -> Action:
    """Return what does it over ``line``."""
    # Here: who only deals files out to others does without aiohttp, which is slow to import.
    from burst.storage.bulk_fetch import Fetcher
    from burst.storage.bulk_send import Sender

    return Sender(line).send if kind == "send" else Fetcher(line).fetch


def name_of(item: Item) -> str:
    """Return what news of a file call it: its name in the storage."""
    return layout.blob(item.sha256) if isinstance(item, LocalBlob) else item.name


def packed(item: Item) -> list[Any]:
    """Return a file as JSON takes it."""
    return [str(value) if isinstance(value, Path) else value for value in item]


def unpacked(kind: Kind, values: list[Any]) -> Item:
    """Read it back."""
    if kind == "send":
        path, *rest = values
        return LocalBlob(Path(path), *rest)
    name, target, *rest = values
    return Wanted(name, Path(target), *rest)
