"""BMP, TGA, Radiance HDR and WebP: formats without checksums.

Their headers and lengths are checked; packed scan lines are walked to their end, so that a
cut shows. Pixels that were replaced by others can't be seen in these formats.
"""

from __future__ import annotations

import mmap
import re
import struct

from burst.worker.proof.reading import NotWhole, Reader, Shape, need

_TGA_HEADER_BYTES = 18
_TGA_END = b"TRUEVISION-XFILE.\0"
_HDR_HEADER_BYTES = 4096
_HDR_SIZE = re.compile(rb"\n\n-Y (\d+) \+X (\d+)\n")


def check_bmp(file: Reader) -> Shape:
    """Return width and height.

    Raises:
        NotWhole: the file is shorter than its rows.
    """
    magic, length, _, start = file.unpack("<2sIII")
    need(magic == b"BM", "is not a BMP")
    _, width, height, _, bits = file.unpack("<IiiHH")
    row_bytes = (width * bits + 31) // 32 * 4
    file.need(max(length, start + row_bytes * abs(height)))
    return Shape(width, abs(height))


def check_tga(file: Reader) -> Shape:
    """Return width and height.

    Raises:
        NotWhole: the file ends before its last pixel.
    """
    head = file.take(_TGA_HEADER_BYTES)
    text_bytes, has_map, kind, _, colors, color_bits = struct.unpack_from("<BBBHHB", head)
    width, height, bits = struct.unpack_from("<HHB", head, 12)
    need(kind in (1, 2, 3, 9, 10, 11) and width and height and bits, "is not a TGA")
    start = _TGA_HEADER_BYTES + text_bytes
    start += colors * ((color_bits + 7) // 8) if has_map else 0
    pixel_bytes = (bits + 7) // 8
    if kind < 9:
        end = start + width * height * pixel_bytes
        file.need(end)
    else:
        with mmap.mmap(file.descriptor, 0, access=mmap.ACCESS_READ) as data:
            end = _walk_tga(data, start, width * height, pixel_bytes)
    if end < file.size:
        mark = file.take_at(
            max(end, file.size - len(_TGA_END)), min(len(_TGA_END), file.size - end)
        )
        need(mark == _TGA_END, "is cut: something begins behind its pixels, but does not end")
    return Shape(width, height)


def _walk_tga(data: mmap.mmap, position: int, pixels: int, pixel_bytes: int) -> int:
    end = len(data)
    while pixels > 0:
        need(position < end, "is cut: it ends before its last pixel")
        packet = data[position]
        count = (packet & 0x7F) + 1
        position += 1 + (pixel_bytes if packet & 0x80 else count * pixel_bytes)
        pixels -= count
    need(position <= end, "is cut: it ends before its last pixel")
    return position


def check_hdr(file: Reader) -> Shape:
    """Return width and height.

    Raises:
        NotWhole: a scan line is cut or does not fit the width.
    """
    head = file.take(min(file.size, _HDR_HEADER_BYTES))
    need(head.startswith((b"#?RADIANCE", b"#?RGBE")), "is not a Radiance HDR")
    match = _HDR_SIZE.search(head)
    if match is None:
        raise NotWhole("is damaged: it has no size")
    height, width = int(match[1]), int(match[2])
    with mmap.mmap(file.descriptor, 0, access=mmap.ACCESS_READ) as data:
        position = match.end()
        for _ in range(height):
            position = _walk_hdr_line(data, position, width)
        need(position <= len(data), "is cut: it ends before its last line")
    return Shape(width, height)


def _walk_hdr_line(data: mmap.mmap, position: int, width: int) -> int:
    mark = struct.pack(">BBH", 2, 2, width) if 8 <= width < 0x8000 else None
    if mark is None or data[position : position + 4] != mark:
        # A line without packing: four bytes a pixel.
        need(position + 4 * width <= len(data), "is cut: it ends before its last line")
        return position + 4 * width
    position += 4
    for _ in range(4):
        left = width
        while left > 0:
            need(position < len(data), "is cut: it ends before its last line")
            code = data[position]
            need(code, "is damaged: a run in it has no length")
            run = code > 128
            left -= code - 128 if run else code
            position += 2 if run else 1 + code
        need(left == 0, "is damaged: a line is longer than the image is wide")
    return position


def check_webp(file: Reader) -> Shape:
    """Return width and height.

    Raises:
        NotWhole: a chunk does not fit the file.
    """
    magic, length, form = file.unpack("<4sI4s")
    need(magic == b"RIFF" and form == b"WEBP", "is not a WebP")
    need(length + 8 <= file.size, f"has {file.size} bytes of {length + 8}")
    size, pixels_seen, offset = None, False, 12
    while offset + 8 <= length + 8:
        kind, count = file.unpack_at(offset, "<4sI")
        file.need(offset + 8 + count)
        size = size or _webp_size(kind, file.take(min(count, 10)))
        pixels_seen = pixels_seen or (kind in (b"VP8 ", b"VP8L", b"ANMF") and count > 10)
        offset += 8 + count + count % 2
    need(pixels_seen, "is cut: it has no pixels")
    if size is None:
        raise NotWhole("is damaged: it has no size")
    return Shape(*size)


def _webp_size(kind: bytes, head: bytes) -> tuple[int, int] | None:
    need(len(head) == 10 or kind not in (b"VP8X", b"VP8 ", b"VP8L"), "is cut in its header")
    if kind == b"VP8X":
        return int.from_bytes(head[4:7], "little") + 1, int.from_bytes(head[7:10], "little") + 1
    if kind == b"VP8 ":
        need(head[3:6] == b"\x9d\x01\x2a", "is damaged: its frame has no start")
        width, height = struct.unpack("<HH", head[6:10])
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        need(head[0] == 0x2F, "is damaged: its frame has no start")
        bits = int.from_bytes(head[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None
