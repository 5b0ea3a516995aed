"""Where the files lie that come with burst and are not Python: charts, images, lock files."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import burst
from burst.errors import ToolMissing

_PACKAGE = Path(burst.__file__).resolve().parent


def package_folder() -> Path:
    """Return burst itself, as Python found it."""
    return _PACKAGE


def bundled(name: str) -> Path:
    """Return a file or folder that comes with burst, such as ``charts/manager``.

    In a source tree it is the tree's own, so that a change counts at once; an installed burst has
    it where its wheel put it.

    Raises:
        ToolMissing: it did not come along.
    """
    tree = _PACKAGE.parent
    root = tree
    if not (tree / "pyproject.toml").is_file():
        root = Path(sysconfig.get_path("data")) / "share" / "burst"
    found = root / name
    if not found.exists():
        raise ToolMissing(
            f"{name} did not come with this burst ({root})",
            hint="install burst anew, or run it from its source tree",
        )
    return found
