"""The generated scenes of `make_dependencies.py`: made by a real Blender, and read back."""

from __future__ import annotations

import contextlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from blender_asset_tracer.blendfile import BlendFile

from burst.domain.workers import BlenderFacts
from burst.worker.surroundings import command_line, prepare

MAKE = Path(__file__).with_name("make_dependencies.py")
_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Made:
    """One generated scene, and what is expected of it; paths are below ``top``."""

    name: str
    top: Path
    main: str
    frames: tuple[int, ...]
    needed: frozenset[str]
    missing: tuple[str, ...]
    superfluous: dict[str, str]
    """Needed, and opened by no render: why."""

    @property
    def blend(self) -> Path:
        """The scene."""
        return self.top / self.main


def make_cases(program: Path, facts: BlenderFacts, folder: Path) -> None:
    """Have a Blender make every case that it can below a folder."""
    home = folder / "home of the maker"
    command = command_line(program, facts.kind, MAKE, (0, 0))[:-2]
    if facts.kind == "bpy":
        command.append("--")
    done = subprocess.run(
        [*command, str(folder)], env=prepare(home), capture_output=True, text=True, timeout=_SECONDS
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    for blend in folder.glob("*ocean/film/shot/main.blend"):
        _say_baked(blend)


def read_cases(folder: Path) -> dict[str, Made]:
    """Return what `make_cases` made, by name."""
    found = {}
    for path in sorted(folder.glob("*/expected.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        found[path.parent.name] = Made(
            name=path.parent.name,
            top=path.parent,
            main=told["main"],
            frames=tuple(told["frames"]),
            needed=frozenset(told["needed"]),
            missing=tuple(told["missing"]),
            superfluous=told["superfluous"],
        )
    return found


def _say_baked(blend: Path) -> None:
    """Set the switch of an ocean that Blender sets in a window alone."""
    with contextlib.closing(BlendFile(blend)) as opened:
        (block,) = (b for b in opened.blocks if b.dna_type_id == b"OceanModifierData")
        field, offset = block.dna_type.field_from_path(opened.header.pointer_size, b"cached")
        assert field.size == 1
    with blend.open("r+b") as file:
        file.seek(block.file_offset + offset)
        file.write(b"\1")
