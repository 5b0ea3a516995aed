"""Reading a file piece by piece, where every shortage means that the file is cut."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

HOLE = bytes(64)
"""No packed data has so many zeros in a row; a file system may leave them, in larger blocks."""


class NotWhole(Exception):
    """A file is cut, damaged, or not what it should be."""

    def __init__(self, reason: str) -> None:
        """Keep what was found, as the end of the sentence "the file …"."""
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Shape:
    """What a file says of its picture."""

    width: int
    height: int
    colors: tuple[str, ...] = ()
    """``BW``, ``RGB``, ``RGBA``: what Blender may have been asked for to write this; () is any."""
    depth: int = 0
    """Bits a channel; 0 is unknown."""


class Reader:
    """An open file whose reads are as long as asked for, or raise `NotWhole`."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            NotWhole: it can't be opened.
        """
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise NotWhole(f"can't be read: {error.strerror}") from error
        self.size = os.fstat(self._file.fileno()).st_size

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    @property
    def descriptor(self) -> int:
        """For `mmap`."""
        return self._file.fileno()

    def take(self, count: int) -> bytes:
        """Read the next ``count`` bytes."""
        # Asked first: a damaged count must not make Python reserve that much.
        self.need(self._file.tell() + count)
        data = self._file.read(count)
        if len(data) != count:
            raise NotWhole(f"ends at byte {self.size}, in the middle of its data")
        return data

    def unpack(self, layout: str) -> tuple[Any, ...]:
        """Read the next bytes as a `struct`."""
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def take_at(self, offset: int, count: int) -> bytes:
        """Read ``count`` bytes from ``offset``."""
        self.seek(offset)
        return self.take(count)

    def unpack_at(self, offset: int, layout: str) -> tuple[Any, ...]:
        """Read from ``offset`` as a `struct`."""
        self.seek(offset)
        return self.unpack(layout)

    def seek(self, offset: int) -> None:
        """Go to an absolute place inside the file."""
        if not 0 <= offset <= self.size:
            raise NotWhole(f"ends at byte {self.size}, but has data at byte {offset}")
        self._file.seek(offset)

    def tell(self) -> int:
        """Return where the next read starts."""
        return self._file.tell()

    def need(self, end: int) -> None:
        """Check that the file reaches to ``end``."""
        if end > self.size:
            raise NotWhole(f"is cut: it has {self.size} bytes of at least {end}")


def need(condition: object, reason: str) -> None:
    """Raise `NotWhole` with ``reason`` unless the condition holds."""
    if not condition:
        raise NotWhole(reason)
