"""Which files a USD layer names: layers, payloads, clips, textures.

A text layer (``.usda``) marks them. Of a binary one (``.usdc``, a "crate") only the table of
words is read, in which every asset path stands, among much else: what looks like the name of
a file is given as a guess. A ``.usdz`` brings all that it needs. Nothing is composed, so
variants that are switched off count as well.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from burst.scene.naming import Named
from burst.scene.sequences import Many

LAYER_SUFFIXES = (".usd", ".usda", ".usdc")
_CRATE = b"PXR-USDC"
_TEXT = b"#usda"
_TOC_OFFSET = struct.Struct("<8s8sq")
_SECTION = struct.Struct("<16sqq")
_COUNTS = struct.Struct("<QQQ")
_COMPRESSED_SINCE = (0, 4, 0)
_MOST_SECTIONS = 64
_MOST_WORDS_BYTES = 256 * 1024 * 1024
_CHUNK_BYTES = 8 * 1024 * 1024
_OVERLAP_BYTES = 8 * 1024
_ASSET = re.compile(rb'@@@([^\n]*?)@@@|@([^@\n]+)@|templateAssetPath\s*=\s*"([^"\n]+)"')
_FILE_NAME = re.compile(rb"[^\0\n\r<>|\"*?]*(<UDIM>)?[^\0\n\r<>|\"*?:]*\.[A-Za-z0-9]{2,5}")
_LAYER_NAME = re.compile(rb"\.usd[acz]?\Z", re.IGNORECASE)
_HASHES = re.compile(rb"#+")
_URL = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]+:(?!\\|/[^/])")


def names_in_layer(path: Path) -> Iterator[Named]:
    """Yield the names of files in a layer.

    Raises:
        ValueError: it is no USD layer, or damaged.
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        magic = file.read(len(_CRATE))
        file.seek(0)
        if magic == _CRATE:
            words = _words(file).split(b"\0")
            candidates = {word for word in words if _FILE_NAME.fullmatch(word)}
            is_crate = True
        elif magic.startswith(_TEXT):
            candidates = set(_marked(file))
            is_crate = False
        else:
            raise ValueError("neither a text layer nor a crate")
    for name in sorted(candidates):
        yield from _named(name, is_crate)


def _named(written: bytes, is_crate: bool) -> Iterator[Named]:
    # A name may have arguments behind it, or name a file inside of a package.
    name = written.partition(b":SDF_FORMAT_ARGS:")[0].partition(b"[")[0]
    if not name or _URL.match(name):
        return
    is_layer = _LAYER_NAME.search(name) is not None
    many = Many.FRAMES if b"<UDIM>" in name or b"#" in name else Many.ONE
    # A template of clips stands for their numbers.
    name = _HASHES.sub(lambda match: b"0" * (len(match[0]) - 1) + b"1", name)
    # Blender draws what the layers have; it reads their textures at the import only.
    yield Named(name, many, required=is_layer and not is_crate, is_guess=is_crate or not is_layer)


def _marked(file: IO[bytes]) -> Iterator[bytes]:
    """Yield what a text layer marks as the name of a file."""
    rest = b""
    while chunk := file.read(_CHUNK_BYTES):
        text = rest + chunk
        for match in _ASSET.finditer(text):
            yield match[1] or match[2] or match[3]
        # A name that is cut by the end of a chunk is found whole in the next.
        rest = text[-_OVERLAP_BYTES:]


def _words(file: IO[bytes]) -> bytes:
    """Return the table of words of a crate, each ended by a zero."""
    try:
        head = file.read(_TOC_OFFSET.size)
        _, version, offset = _TOC_OFFSET.unpack(head)
        file.seek(offset)
        (count,) = struct.unpack("<Q", file.read(8))
        sections = {}
        for _ in range(min(count, _MOST_SECTIONS)):
            name, start, size = _SECTION.unpack(file.read(_SECTION.size))
            sections[name.partition(b"\0")[0]] = start, size
        start, size = sections[b"TOKENS"]
        if not 0 <= size <= _MOST_WORDS_BYTES:
            raise ValueError(f"a table of {size} bytes")
        file.seek(start)
        table = file.read(size)
        if tuple(version[:3]) < _COMPRESSED_SINCE:
            return table[16:]
        _, plain_size, packed_size = _COUNTS.unpack_from(table)
        if plain_size > _MOST_WORDS_BYTES:
            raise ValueError(f"a table of {plain_size} bytes")
        return _unpacked(table[_COUNTS.size : _COUNTS.size + packed_size], plain_size)
    except (struct.error, LookupError, OverflowError) as error:
        raise ValueError(f"not a whole crate: {error!r}") from error


def _unpacked(packed: bytes, size: int) -> bytes:
    """Unpack LZ4 in USD's own wrapping: the number of chunks, and sizes if there are several."""
    if not packed:
        return b""
    chunks, position = packed[0], 1
    if chunks == 0:
        return _unpacked_block(packed[1:], size)
    out = b""
    for _ in range(chunks):
        (length,) = struct.unpack_from("<i", packed, position)
        if length < 0:
            raise ValueError("a chunk of less than nothing")
        position += 4
        out += _unpacked_block(packed[position : position + length], size - len(out))
        position += length
    return out


def _unpacked_block(packed: bytes, size: int) -> bytes:
    """Unpack one block of LZ4, at most ``size`` bytes."""
    out = bytearray()
    position = 0
    while position < len(packed) and len(out) <= size:
        token = packed[position]
        length, position = _length(packed, position + 1, token >> 4)
        out += packed[position : position + length]
        position += length
        if position >= len(packed):
            break
        back = packed[position] | packed[position + 1] << 8
        length, position = _length(packed, position + 2, token & 15)
        length += 4
        if not 0 < back <= len(out) or length > size:
            raise ValueError("a repetition of what is not there")
        if back >= length:
            start = len(out) - back
            out += out[start : start + length]
        else:
            out += (bytes(out[-back:]) * (length // back + 1))[:length]
    return bytes(out[:size])


def _length(packed: bytes, position: int, length: int) -> tuple[int, int]:
    if length == 15:
        more = 255
        while more == 255:
            more = packed[position]
            length += more
            position += 1
    return length, position
