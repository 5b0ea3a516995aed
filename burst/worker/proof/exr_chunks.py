"""What is inside the chunks of an OpenEXR: data that ends in a checksum, or has no holes.

Deflated data is inflated where it looks like a hole, or all of it for a thorough look. The
other packings have no checksum, but never so many zeros in a row as a file system leaves.
Values that are not packed at all may be anything.
"""

from __future__ import annotations

import itertools
import struct
import zlib

from burst.worker.proof.reading import HOLE, need

RLE, ZIPS, ZIP, PIZ, PXR24, B44, B44A, DWAA, DWAB = range(1, 10)
DEFLATED = (ZIPS, ZIP, PXR24)
_DCT = (DWAA, DWAB)
_TAIL = bytes(8)
"""No packed data ends like this."""
_CHECKSUM_TAIL = bytes(4)
_DWA_HEAD = struct.Struct("<11Q")
_DWA_DEFLATED = 1


def check_data(packing: int, packed: bytes, plain_bytes: int, *, thorough: bool) -> str | None:
    """Look at the data of one chunk.

    Args:
        packing: the file's compression, as a number.
        packed: the data.
        plain_bytes: how long it is unpacked.
        thorough: unpack whatever has a checksum, not only what looks like a hole.

    Returns:
        None if nothing is wrong, otherwise the end of the sentence "chunk 7 …".
    """
    if packing == 0 or len(packed) == plain_bytes:
        # Stored as it is, where packing did not make it smaller.
        return None
    suspect = HOLE in packed or packed.endswith(_CHECKSUM_TAIL)
    if packing in DEFLATED:
        lengths = None if packing == PXR24 else plain_bytes
        whole = not (thorough or suspect) or _inflates(packed, lengths)
        return None if whole else "does not inflate"
    if packing in _DCT:
        return _check_dct(packed, thorough=thorough or suspect)
    if packing == PIZ:
        return _check_piz(packed)
    if packing in (RLE, B44, B44A):
        return "has a hole" if HOLE in packed or packed.endswith(_TAIL) else None
    return None


def _inflates(packed: bytes, plain_bytes: int | None) -> bool:
    inflater = zlib.decompressobj()
    try:
        limit = 0 if plain_bytes is None else plain_bytes + 1
        inflated = inflater.decompress(packed, limit)
    except zlib.error:
        return False
    return inflater.eof and (plain_bytes is None or len(inflated) == plain_bytes)


def _check_piz(packed: bytes) -> str | None:
    """Look behind the bit map of used values, which may be mostly zeros but for its ends."""
    first, last = struct.unpack_from("<HH", packed)
    start = 4 + max(0, last - first + 1)
    table, codes = packed[4:start], packed[start:]
    if HOLE in codes or codes.endswith(_TAIL) or (table and 0 in (table[0], table[-1])):
        return "has a hole"
    return None


def _check_dct(packed: bytes, *, thorough: bool) -> str | None:
    head = _DWA_HEAD.unpack_from(packed)
    version, _, unknown_bytes, ac_bytes, dc_bytes, rle_bytes = head[:6]
    start = _DWA_HEAD.size
    if version >= 2:
        start += struct.unpack_from("<H", packed, start)[0]
    ends = [start]
    for count in (unknown_bytes, ac_bytes, dc_bytes, rle_bytes):
        ends.append(ends[-1] + count)
    if ends[-1] != len(packed):
        return "has parts of wrong lengths"
    if not thorough:
        return None
    unknown, ac, dc, rle = (packed[a:b] for a, b in itertools.pairwise(ends))
    if head[10] != _DWA_DEFLATED:
        # Huffman codes, of which only the rarest is all zeros.
        if HOLE in ac:
            return "has a hole"
        ac = b""
    whole = all(_inflates(piece, None) for piece in (unknown, ac, dc, rle) if piece)
    return None if whole else "does not inflate"


def need_data(index: int, trouble: str | None) -> None:
    """Raise `NotWhole` if `check_data` found something."""
    need(trouble is None, f"is damaged: chunk {index} {trouble}")
