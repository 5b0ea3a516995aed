"""CRC-32C, the checksum that a bucket keeps of every object and compares on arrival."""

from __future__ import annotations

import google_crc32c


def crc32c(content: bytes, before: int = 0) -> int:
    """Return the CRC-32C of ``content``, or of it after something that has the CRC ``before``."""
    return int(google_crc32c.extend(before, content))
