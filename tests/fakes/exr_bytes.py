"""OpenEXR files that the OpenEXR library's Python does not write: subsampled channels."""

from __future__ import annotations

import itertools
import struct
import zlib
from pathlib import Path
from typing import Any

_LINES = 16
_HALF = 1


def write_luminance_and_chroma(path: Path, luminance: Any) -> None:
    """Write Y at full and gray chroma at half resolution, as halfs in ZIP chunks."""
    height, width = luminance.shape
    channels = b"".join(
        name + b"\0" + struct.pack("<iIii", _HALF, 0, step, step)
        for name, step in ((b"BY", 2), (b"RY", 2), (b"Y", 1))
    )
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    attributes = {
        (b"channels", b"chlist"): channels + b"\0",
        (b"compression", b"compression"): b"\x03",
        (b"dataWindow", b"box2i"): window,
        (b"displayWindow", b"box2i"): window,
        (b"lineOrder", b"lineOrder"): b"\0",
        (b"pixelAspectRatio", b"float"): struct.pack("<f", 1),
        (b"screenWindowCenter", b"v2f"): struct.pack("<2f", 0, 0),
        (b"screenWindowWidth", b"float"): struct.pack("<f", 1),
    }
    header = struct.pack("<II", 20000630, 2)
    for (name, kind), value in attributes.items():
        header += name + b"\0" + kind + b"\0" + struct.pack("<i", len(value)) + value
    header += b"\0"
    chunks = []
    for top in range(0, height, _LINES):
        plain = b""
        for row in range(top, min(height, top + _LINES)):
            chroma = bytes(2 * ((width + 1) // 2)) * 2 if row % 2 == 0 else b""
            plain += chroma + luminance[row].astype("<f2").tobytes()
        packed = _zip(plain)
        packed = packed if len(packed) < len(plain) else plain
        chunks.append(struct.pack("<2i", top, len(packed)) + packed)
    position = len(header) + 8 * len(chunks)
    table = b""
    for chunk in chunks:
        table += struct.pack("<Q", position)
        position += len(chunk)
    path.write_bytes(header + table + b"".join(chunks))


def _zip(plain: bytes) -> bytes:
    """Pack as OpenEXR does: even bytes, then odd ones, each as the difference to the last."""
    halves = plain[::2] + plain[1::2]
    pairs = itertools.pairwise(halves)
    return zlib.compress(halves[:1] + bytes((b - a + 128) % 256 for a, b in pairs))
