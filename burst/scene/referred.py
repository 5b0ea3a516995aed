"""What files that are no .blends name in turn: USD layers, and scripts in the shading language."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from burst.scene.naming import Named
from burst.scene.usd import LAYER_SUFFIXES, names_in_layer

_INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*["<]([^">\n]+)[">]', re.MULTILINE)
_MOST_SCRIPT_BYTES = 16 * 1024 * 1024

Reader = Callable[[Path], Iterator[Named]]


def reader_of(path: str) -> tuple[str, Reader] | None:
    """Return what kind of file that is, and what reads the names in it; None for most files."""
    return _READERS.get("." + path.rpartition(".")[2].lower())


def _includes(path: Path) -> Iterator[Named]:
    """Yield what a script includes; Blender brings the headers that are not beside it."""
    with path.open("rb") as file:
        script = file.read(_MOST_SCRIPT_BYTES)
    for name in sorted({match[1] for match in _INCLUDE.finditer(script)}):
        yield Named(name, required=False, is_guess=True)


_READERS: dict[str, tuple[str, Reader]] = {
    **dict.fromkeys(LAYER_SUFFIXES, ("USD layer", names_in_layer)),
    ".osl": ("Script", _includes),
    ".h": ("Script", _includes),
}
"""A header is only asked for by a script."""
