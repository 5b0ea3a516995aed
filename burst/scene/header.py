"""The first bytes of a .blend: plain, gzip or zstd, and the version that saved it."""

from __future__ import annotations

import contextlib
import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import zstandard

from burst.errors import SceneUnreadable

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
_HEADER_OLD = re.compile(rb"BLENDER[_-][vV](\d{3})")
_HEADER_NEW = re.compile(rb"BLENDER17-\d\dv(\d{4})")
"""Of 5.0 and later: the header's own size, the format's version, then Blender's."""
_HEADER_BYTES = 17


def read_version(path: Path) -> tuple[int, int]:
    """Return major and minor of the Blender that saved ``path``.

    Raises:
        SceneUnreadable: it can't be read, or is not a .blend.
    """
    with opened(path) as file:
        header = file.read(_HEADER_BYTES)
    match = _HEADER_NEW.match(header) or _HEADER_OLD.match(header)
    if match is None:
        raise SceneUnreadable(f"{path} is not a .blend", hint="name the .blend file to render")
    major, minor = divmod(int(match[1]), 100)
    return major, minor


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a .blend as the plain bytes that Blender wrote, whatever it is packed in.

    Raises:
        SceneUnreadable: it can't be read, or its compressed bytes are damaged; also while
            the caller reads.
    """
    if path.is_dir():
        raise SceneUnreadable(f"{path} is a folder", hint="name the .blend file in it")
    try:
        with path.open("rb") as raw:
            magic = raw.read(4)
            raw.seek(0)
            if not magic:
                raise SceneUnreadable(f"{path} is empty", hint="save it again in Blender")
            with _plain(raw, magic) as file:
                yield file
    except FileNotFoundError as error:
        raise SceneUnreadable(f"there is no file {path}") from error
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        raise SceneUnreadable(f"{path} is damaged: {error}", hint="save it again") from error
    except OSError as error:
        raise SceneUnreadable(f"can't read {path}: {error.strerror or error}") from error


def _plain(raw: IO[bytes], magic: bytes) -> contextlib.AbstractContextManager[IO[bytes]]:
    if magic.startswith(_GZIP):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=raw))
    if magic == _ZSTD or _ZSTD_SKIPPABLE.match(magic):
        # Blender writes one frame per megabyte and an index behind them.
        reader = zstandard.ZstdDecompressor().stream_reader(
            raw, read_across_frames=True, closefd=False
        )
        return cast("IO[bytes]", reader)
    return contextlib.nullcontext(raw)
