"""Pictures of linear light, OpenEXR and Radiance HDR, made small and ready to be shown.

The scene's own view transform is not applied: what is shown is plain sRGB. numpy and
OpenEXR are imported with the first such picture, not when a worker starts.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PLAIN_BYTES_MAX = 1 << 29
"""A file with more pixels is not decoded for a preview: it would take seconds and memory."""
_TABLE_STEPS = 4096
"""So many that neighbors are at most one of 255 steps of brightness apart."""
_EXPONENTS = {2: 0x7C00, 4: 0x7F800000}
"""Bytes of a float → the bits that are all set if it is infinite or no number."""
_COMPOSITE = "Composite.Combined"
_COMBINED = ".Combined"
_HDR_SIZE = re.compile(rb"\n\n-Y (\d+) \+X (\d+)\n")
_HDR_HEADER_BYTES = 4096


@dataclass(frozen=True, slots=True)
class LinearPicture:
    """Every n-th pixel of a picture, and what all of its pixels say."""

    pixels: Any
    """float32: rows, columns, and red, green, blue and alpha, premultiplied."""
    not_numbers: int
    """How many pixels are infinite or no number at all."""
    is_black: bool
    is_transparent: bool

    def srgb(self, background: tuple[int, int, int]) -> Any:
        """Return eight bits a channel, on a background of sRGB values."""
        import numpy as np

        behind = _linear(np.array(background, np.float32) / 255)
        pixels = np.nan_to_num(self.pixels, nan=0.0, posinf=1.0, neginf=0.0)
        alpha = pixels[..., 3:].clip(0, 1)
        shown = (pixels[..., :3] + (1 - alpha) * behind).clip(0, 1)
        # By a table: to raise each pixel to a power takes longer than to decode it.
        steps = np.linspace(0, 1, _TABLE_STEPS, dtype=np.float32)
        low, high = steps * 12.92, 1.055 * steps ** (1 / 2.4) - 0.055
        table = (np.where(steps <= 0.0031308, low, high) * 255 + 0.5).astype(np.uint8)
        return table[(shown * (_TABLE_STEPS - 1) + 0.5).astype(np.uint16)]


def _linear(srgb: Any) -> Any:
    import numpy as np

    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


# ── OpenEXR ──────────────────────────────────────────────────────────────────────────


def read_exr(source: Path, width: int) -> LinearPicture | None:
    """Read the image of an OpenEXR file.

    Args:
        source: a whole file; of several layers, parts or eyes the first combined image is
            taken.
        width: pixels across that are enough.

    Returns:
        None if it has no image, or too much of it.
    """
    import OpenEXR

    with OpenEXR.File(str(source), header_only=True) as file:
        sizes = [_plain_bytes(part.header) for part in file.parts]
        if sum(sizes) > _PLAIN_BYTES_MAX:
            return None
    with OpenEXR.File(str(source), separate_channels=True) as file:
        return _combined([(part.header, part.channels) for part in file.parts], width)


def _plain_bytes(header: dict[str, Any]) -> int:
    columns, rows = _size(header["dataWindow"])
    return columns * rows * 4 * len(header["channels"])


def _size(window: Any) -> tuple[int, int]:
    (left, top), (right, bottom) = window
    return int(right) - int(left) + 1, int(bottom) - int(top) + 1


def _combined(parts: list[tuple[dict[str, Any], Any]], width: int) -> LinearPicture | None:
    """Take the image out of all the channels of a file."""
    choices = []
    for number, (_, channels) in enumerate(parts):
        for prefix in {name.rpartition(".")[0]: None for name in channels}:
            dotted = f"{prefix}." if prefix else ""
            letters = {name.removeprefix(dotted) for name in channels if name.startswith(dotted)}
            is_color = {"R", "G", "B"} <= letters
            if is_color or letters & {"Y", "V"}:
                choices.append((_rank(prefix), not is_color, number, dotted))
    if not choices:
        return None
    _, _, number, dotted = min(choices, key=lambda choice: choice[:3])
    header, channels = parts[number]
    planes = {
        name.removeprefix(dotted): channels[name].pixels
        for name in channels
        if name.startswith(dotted)
    }
    return _picture(header, planes, width)


def _rank(prefix: str) -> int:
    """Say how likely it is that channels of this layer and pass are the image."""
    if prefix == "":
        return 0
    if prefix.startswith(_COMPOSITE):
        return 1
    return 2 if _COMBINED in f".{prefix}" else 3


def _picture(header: dict[str, Any], planes: dict[str, Any], width: int) -> LinearPicture:
    import numpy as np

    columns, rows = _size(header["dataWindow"])
    shown_columns, shown_rows = _size(header["displayWindow"])
    left, top = (int(n) for n in header["dataWindow"][0] - header["displayWindow"][0])
    step = max(1, shown_columns // (2 * width))
    across = np.arange(0, shown_columns, step) - left
    down = np.arange(0, shown_rows, step) - top
    inside = np.ix_((down >= 0) & (down < rows), (across >= 0) & (across < columns))
    across = across[(across >= 0) & (across < columns)]
    down = down[(down >= 0) & (down < rows)]

    def few(plane: Any) -> Any:
        # A plane may have fewer pixels than the picture.
        y, x = down * plane.shape[0] // rows, across * plane.shape[1] // columns
        return plane[np.ix_(y, x)].astype(np.float32)

    pixels = np.zeros((-(-shown_rows // step), -(-shown_columns // step), 4), np.float32)
    pixels[inside] = _rgba({name: few(plane) for name, plane in planes.items()})
    used = [planes[name] for name in ("R", "G", "B", "Y", "V", "RY", "BY") if name in planes]
    alpha = planes.get("A")
    # A few pixels clear most pictures of showing nothing.
    return LinearPicture(
        pixels=pixels,
        not_numbers=_count_odd(used if alpha is None else [*used, alpha]),
        is_black=not pixels[..., :3].any()
        and not any(_bits(plane).any() for plane in used)
        and (alpha is None or bool((_bits(alpha) == _bits(alpha).flat[0]).all())),
        is_transparent=alpha is not None and not pixels[..., 3].any() and not _bits(alpha).any(),
    )


def _bits(plane: Any) -> Any:
    """Return the values as whole numbers, which are compared many times faster than halfs."""
    import numpy as np

    kind = f"<u{plane.dtype.itemsize}"
    return np.ascontiguousarray(plane).view(kind)


def _rgba(planes: dict[str, Any]) -> Any:
    import numpy as np

    if "R" in planes:
        colors = [planes[name] for name in "RGB"]
    else:
        gray = planes["Y"] if "Y" in planes else planes["V"]
        colors = [gray] * 3
        if "RY" in planes and "BY" in planes:
            red, blue = (planes["RY"] + 1) * gray, (planes["BY"] + 1) * gray
            colors = [red, (gray - 0.2126 * red - 0.0722 * blue) / 0.7152, blue]
    alpha = planes.get("A", np.ones_like(colors[0]))
    return np.stack([*colors, alpha], axis=-1)


def _count_odd(planes: list[Any]) -> int:
    """Count the pixels that have an infinite value, or one that is no number."""
    import numpy as np

    odd: Any = False
    for plane in planes:
        if plane.dtype.kind == "f":
            exponent = _EXPONENTS[plane.dtype.itemsize]
            here = (_bits(plane) & exponent) == exponent
            odd = odd | here if np.shape(odd) in ((), here.shape) else odd
    return int(np.count_nonzero(odd))


# ── Radiance HDR ─────────────────────────────────────────────────────────────────────


def read_hdr(source: Path, width: int) -> LinearPicture | None:
    """Read a Radiance HDR; see `read_exr`. It has no infinite values and no alpha."""
    import numpy as np

    data = source.read_bytes()
    match = _HDR_SIZE.search(data[:_HDR_HEADER_BYTES])
    if match is None:
        return None
    rows, columns = int(match[1]), int(match[2])
    step = max(1, columns // (2 * width))
    lines, position = [], match.end()
    for row in range(rows):
        line, position = _hdr_line(data, position, columns, wanted=row % step == 0)
        if line is not None:
            lines.append(np.frombuffer(line, np.uint8).reshape(4, columns)[:, ::step])
    packed = np.stack(lines).astype(np.float32)
    scale = np.where(packed[:, 3] > 0, np.exp2(packed[:, 3] - 136), 0)
    pixels = np.ones((len(lines), packed.shape[2], 4), np.float32)
    pixels[..., :3] = np.moveaxis(packed[:, :3] * scale[:, None], 1, 2)
    return LinearPicture(pixels, 0, not pixels[..., :3].any(), is_transparent=False)


def _hdr_line(
    data: bytes, position: int, columns: int, *, wanted: bool
) -> tuple[bytes | None, int]:
    """Return the four channels of a line, one after the other, and where the next line is."""
    mark = struct.pack(">BBH", 2, 2, columns) if 8 <= columns < 0x8000 else None
    if mark is None or data[position : position + 4] != mark:
        end = position + 4 * columns
        plain = data[position:end]
        return (b"".join(plain[n::4] for n in range(4)) if wanted else None), end
    position += 4
    line, length = bytearray(), 0
    while length < 4 * columns:
        code = data[position]
        count = code - 128 if code > 128 else code
        if wanted and code > 128:
            line += data[position + 1 : position + 2] * count
        elif wanted:
            line += data[position + 1 : position + 1 + count]
        position += 2 if code > 128 else 1 + count
        length += count
    return (bytes(line) if wanted else None), position
