"""Downloads that go on where they were cut, and are taken only with the SHA-256 that was expected.

What has arrived lies beside its end as ``….part``, so that the next run fetches the rest. A lock on
it keeps two from writing the same; who comes second finds the file complete.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from burst.errors import ToolError

Hear = Callable[[int, int], None]
"""Is told how many bytes there are, and how many it will be: 0 if nobody says."""

_TRIES = 5
_TIMEOUT = (10.0, 60.0)
_PIECE = 1 << 18


class _CutError(Exception):
    """The rest may come with another try."""


def nobody_hears(_done: int, _total: int) -> None:
    """Hear nothing."""


def fetch(
    address: str,
    sha256: str,
    folder: Path,
    *,
    largest: int,
    hear: Hear = nobody_hears,
    pause: Callable[[float], None] = time.sleep,
) -> Path:
    """Fetch a file, or what is missing of it, and return where it lies.

    Args:
        address: where it is.
        sha256: of the whole file.
        folder: where it goes.
        largest: bytes that it may have.
        hear: is told how far it is.
        pause: waits between two tries.

    Raises:
        ToolError: it can't be fetched or written, or is another file.
    """
    target, part = folder / sha256, folder / f"{sha256}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _held(folder / f"{sha256}.lock"):
            if not (target.is_file() and digest(target) == sha256):
                _fill(address, part, largest, hear, pause)
                _check(address, part, sha256)
                part.replace(target)
    except OSError as error:
        raise ToolError(
            f"can't write to {folder}: {error.strerror or error}",
            hint="free some space, or name another folder with XDG_CACHE_HOME",
        ) from error
    return target


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fill(
    address: str, part: Path, largest: int, hear: Hear, pause: Callable[[float], None]
) -> None:
    for left in range(_TRIES - 1, -1, -1):
        try:
            with part.open("ab") as sink:
                _take(address, sink, largest, hear)
        except _CutError as error:
            if not left:
                raise _away(address, str(error)) from error
            pause(2.0 ** (_TRIES - 1 - left) * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
        else:
            return


def _take(address: str, sink: IO[bytes], largest: int, hear: Hear) -> None:
    """Take what is missing, as far as it comes."""
    import requests

    have = sink.tell()
    # What is packed once more on its way could not go on in the middle.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
    try:
        with requests.get(address, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
            if answer.status_code == 416:
                # There is nothing behind what is here, whatever it is: the sum says.
                return
            _look_at(address, answer)
            if answer.status_code != 206:
                sink.truncate(0)
                have = 0
            rest = int(answer.headers.get("Content-Length") or 0)
            total = have + rest if rest else 0
            for piece in answer.iter_content(_PIECE):
                have += sink.write(piece)
                if have > largest:
                    raise ToolError(f"{address} has no end: there are {have:,} bytes already")
                hear(have, total)
    except (requests.RequestException, OSError) as error:
        if isinstance(error, requests.RequestException):
            raise _CutError(_reason(error)) from error
        raise
    if total and have < total:
        raise _CutError("the connection was cut")


def _look_at(address: str, answer: Any) -> None:
    status = answer.status_code
    if status in (408, 425, 429, 500, 502, 503, 504):
        raise _CutError(f"status {status}")
    if status not in (200, 206):
        raise _away(address, f"status {status}")


def _check(address: str, part: Path, sha256: str) -> None:
    found = digest(part)
    if found == sha256:
        return
    part.unlink()
    raise ToolError(
        f"{address} is not the file that burst knows: its SHA-256 is {found}, not {sha256}",
        hint="a proxy may have answered; try again, or name another mirror by BURST_TOOLS_MIRROR",
    )


def _away(address: str, why: str) -> ToolError:
    return ToolError(
        f"can't fetch {address}: {why}",
        hint="look at the network, or name a mirror by BURST_TOOLS_MIRROR; the next try goes on",
    )


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy does not let it through"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    return "the connection is refused or was cut"


@contextmanager
def _held(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
