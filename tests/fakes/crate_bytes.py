"""Makes the bytes of a binary USD layer: its head, its table of contents, and its words.

Enough for a reader of words; no Blender opens it. LZ4 is written without a compressor: all
literals, or with one repetition where the test of that asks for it.
"""

from __future__ import annotations

import struct


def crate(*words: bytes, version: tuple[int, int, int] = (0, 8, 0), chunks: int = 0) -> bytes:
    """Return a layer that has these words."""
    table = b"".join(word + b"\0" for word in words)
    if version < (0, 4, 0):
        section = struct.pack("<QQ", len(words), len(table)) + table
    else:
        packed = _packed(table, chunks)
        section = struct.pack("<QQQ", len(words), len(table), len(packed)) + packed
    start = 88
    head = b"PXR-USDC" + bytes(version).ljust(8, b"\0") + struct.pack("<q", start + len(section))
    contents = struct.pack("<Q16sqq", 1, b"TOKENS", start, len(section))
    return head.ljust(start, b"\0") + section + contents


def literals(content: bytes) -> bytes:
    """Return one block of LZ4 that holds the content as it is."""
    if len(content) < 15:
        return bytes([len(content) << 4]) + content
    rest = len(content) - 15
    return b"\xf0" + b"\xff" * (rest // 255) + bytes([rest % 255]) + content


def _packed(table: bytes, chunks: int) -> bytes:
    if not chunks:
        return b"\0" + literals(table)
    size = -(-len(table) // chunks)
    blocks = [literals(table[start : start + size]) for start in range(0, len(table), size)]
    return bytes([len(blocks)]) + b"".join(struct.pack("<i", len(b)) + b for b in blocks)
