"""The arithmetic of large blobs: where they are cut, and the checksum of what is joined again."""

from __future__ import annotations

from typing import NamedTuple

MIB = 1024 * 1024
PARTED_BYTES = 64 * MIB
"""A file of more goes in parts: what a cut connection or a killed upload costs is one part."""
PART_BYTES = 32 * MIB
MOST_COMPOSED = 32
"""Objects that Cloud Storage makes one of in one request."""

_MOST_PARTS = MOST_COMPOSED * MOST_COMPOSED
_POLYNOMIAL = 0x82F63B78
"""Castagnoli's, with its bits reversed as the checksum has them."""
_ONE, _X8 = 1 << 31, 1 << 23


class Part(NamedTuple):
    """A piece of a file."""

    start: int
    length: int

    @property
    def name(self) -> str:
        """Name of its object: two uploads that cut alike find each other's parts."""
        return f"{self.start:016x}-{self.length:x}"


def cut(size: int) -> list[Part]:
    """Return the parts of a file of ``size`` bytes, as few that two rounds join them."""
    length = PART_BYTES
    while length * _MOST_PARTS < size:
        length *= 2
    return [Part(start, min(length, size - start)) for start in range(0, size, length)]


def joined_crc32c(crcs: list[tuple[int, int]]) -> int:
    """Return the CRC-32C of contents one after the other, from the CRC and bytes of each."""
    joined = 0
    for crc, length in crcs:
        joined = _moved_up(joined, length) ^ crc
    return joined


def _moved_up(crc: int, zero_bytes: int) -> int:
    """Return the CRC of a content with zeros behind it: it is multiplied by a power of x."""
    power, step = _ONE, _X8
    while zero_bytes:
        if zero_bytes & 1:
            power = _times(power, step)
        step = _times(step, step)
        zero_bytes >>= 1
    return _times(power, crc)


def _times(first: int, second: int) -> int:
    """Multiply two polynomials over GF(2), modulo Castagnoli's."""
    product, bit = 0, _ONE
    while bit:
        if first & bit:
            product ^= second
        second = (second >> 1) ^ (_POLYNOMIAL if second & 1 else 0)
        bit >>= 1
    return product
