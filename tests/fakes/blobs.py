"""Files that are to become blobs, hashed as an upload has them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from burst.storage.checksum import crc32c
from burst.storage.items import LocalBlob


def local_blob(path: Path, content: bytes) -> LocalBlob:
    """Write a file, and say what it has."""
    path.write_bytes(content)
    return LocalBlob(path, hashlib.sha256(content).hexdigest(), len(content), crc32c(content))
