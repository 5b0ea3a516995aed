"""What a Blender says that a scene needs: names to be traced beside those that are read.

`burst.worker.asking` makes these where a Blender is at hand; `burst.scene.trace`
joins them to what it found in the bytes of the .blends.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from burst.scene.sequences import Many


@dataclass(frozen=True, slots=True)
class Asked:
    """A name that Blender has for files."""

    owner: Path
    """The .blend whose data-block has the name, main or library: absolute."""
    name: bytes
    """As the data-block has it: ``//`` and what follows, or an absolute path."""
    many: Many
    """How the name stands for files."""
    used_by: str
    """The data-block, for people, such as ``Image wood``."""
