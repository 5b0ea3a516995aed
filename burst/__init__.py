"""burst: a Blender render farm as big as needed, for as long as needed, down to zero after."""

from __future__ import annotations

__version__ = "0.1.0"
