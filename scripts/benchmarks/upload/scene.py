"""The scene that is uploaded: one .blend that names image sequences and large pictures.

Made of chance, from a seed, so that nothing compresses and everybody measures the same.
"""

from __future__ import annotations

import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

from burst.config.farm import default_cache_dir
from burst.errors import ToolError
from burst.worker.discovery import find_blenders, probe_blenders
from tests.fakes.blend_bytes import BlendBytes

LEAST_BYTES, MOST_BYTES = 4 * 1024, 64 * 1024
LARGE_BYTES = 32 * 1024 * 1024
SEQUENCE = 100
"""Files of one image sequence."""
COPIES = 10
"""Of the small files: the same content under another name."""

HERE = Path(__file__).resolve().parent
_FROM_FILE, _FROM_SEQUENCE = 1, 2
"""An image's source, in Blender's numbers."""


@dataclass(frozen=True, slots=True)
class Made:
    """A scene on the disk."""

    folder: Path
    blend: Path
    files: int
    bytes: int


def make_scene(folder: Path, small: int, large: int) -> Made:
    """Make a scene with so many small and large files, ``small`` a multiple of `SEQUENCE`."""
    chance = random.Random(7)
    named: list[str] = []
    total, last = 0, b""
    for number in range(small):
        sequence, frame = divmod(number, SEQUENCE)
        place = folder / f"sequence_{sequence:03}" / f"plate_{frame + 1:04}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        if not 0 < number <= COPIES:
            last = chance.randbytes(chance.randint(LEAST_BYTES, MOST_BYTES))
        place.write_bytes(last)
        total += len(last)
        if frame == 0:
            named.append(f"*{place.relative_to(folder).as_posix()}")
    for number in range(large):
        place = folder / "large" / f"matte_{chr(ord('a') + number)}.exr"
        place.parent.mkdir(exist_ok=True)
        with place.open("wb") as file:
            for _ in range(LARGE_BYTES // (1024 * 1024)):
                file.write(chance.randbytes(1024 * 1024))
        total += LARGE_BYTES
        named.append(place.relative_to(folder).as_posix())
    path = folder / "shot.blend"
    _save(path, named)
    return Made(folder, path, small + large + 1, total + path.stat().st_size)


def _save(path: Path, named: list[str]) -> None:
    """Have a Blender of this machine save the .blend; where there is none, write its bytes.

    A Blender that is at hand is asked by `burst upload` what the scene needs, and may not like
    one that no Blender has saved.
    """
    try:
        facts = probe_blenders(find_blenders(None), cache=default_cache_dir())
    except ToolError:
        facts = ()
    if not facts:
        path.write_bytes(_bytes(named))
        return
    one = min(facts, key=lambda one: one.facts.version)
    listed = path.parent.with_name("named.txt")
    listed.write_text("\n".join(named), encoding="utf-8")
    script = str(HERE / "inside_scene.py")
    if one.facts.kind == "bpy":
        command = [str(one.program), "-I", script]
    else:
        command = [str(one.program), "-b", "--factory-startup", "--python", script, "--"]
    subprocess.run(
        [*command, str(path), str(listed)],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _bytes(named: list[str]) -> bytes:
    blend = BlendBytes()
    blend.scene()
    for name in named:
        source = _FROM_SEQUENCE if name.startswith("*") else _FROM_FILE
        blend.image(f"//{name.lstrip('*')}", source=source)
    return blend.bytes()
