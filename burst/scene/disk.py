"""Looking for files under names that may be spelled another way.

Windows and macOS find ``Tex/Wood.PNG`` under ``tex/wood.png``, under either Unicode normal
form, and with dots or spaces at its end. A .blend that was made there may name it so. What
has exactly the name that is asked for always comes first.
"""

# Paths are strings here: there may be ten thousand of them, and a Path costs more than a look.
# ruff: noqa: PTH110, PTH116, PTH118, PTH208

from __future__ import annotations

import os
import stat
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

_MOUNTS = Path("/proc/self/mounts")
_SHARES = ("cifs", "smb3", "smbfs", "9p", "drvfs")
"""File systems whose source may be a folder of Windows."""


def loosely(name: str) -> str:
    """Return what all spellings of a name have in common."""
    folded = unicodedata.normalize("NFD", name).casefold()
    return unicodedata.normalize("NFC", folded).rstrip(" .") or name


class Disk:
    """What lies where; each folder is listed at most once."""

    def __init__(self) -> None:
        """Look at nothing yet."""
        self._found: dict[str, str | None] = {}
        self._spellings: dict[str, dict[str, list[str]]] = {}
        self._files: dict[str, list[str]] = {}
        self._shares: dict[str, str] | None = None

    def find_file(self, path: str) -> str | None:
        """Return where the file is that ``path`` asks for, if it is there."""
        return self._find_kind(path, stat.S_ISREG)

    def find_folder(self, path: str) -> str | None:
        """Return where the folder is that ``path`` asks for, if it is there."""
        return self._find_kind(path, stat.S_ISDIR)

    def files_in(self, folder: str) -> list[str]:
        """Return the sorted names of the files right in a folder; links are followed."""
        if folder not in self._files:
            self._files[folder] = sorted(_files_in(folder))
        return self._files[folder]

    def files_below(self, folder: str) -> list[str]:
        """Return the sorted paths, from the folder on, of all files in it and below.

        Links are followed, also to folders; one that leads to a folder around itself is not.
        """
        return sorted(_below(folder, "", ()))

    def share(self, name: str) -> str | None:
        r"""Return where a drive or share of Windows is mounted here, such as ``//nas/art``."""
        if self._shares is None:
            self._shares = dict(_shares())
        parts = name.lower().rstrip("/").split("/")
        for length in range(len(parts), 0, -1):
            folder = self._shares.get("/".join(parts[:length]))
            if folder is not None:
                return os.path.join(folder, *name.rstrip("/").split("/")[length:])
        return None

    def _find_kind(self, path: str, is_kind: Callable[[int], bool]) -> str | None:
        if _is(path, is_kind):
            return path
        found = self._find(path)
        return found if found is not None and _is(found, is_kind) else None

    def _find(self, path: str) -> str | None:
        """Return an existing path for any spelling of it."""
        if path in self._found:
            return self._found[path]
        folder, name = os.path.split(path)
        found: str | None = None
        if os.path.exists(path):
            found = path
        elif name and folder != path:
            there = self._find(folder)
            if there is not None:
                found = next(iter(self._spelled(there, name)), None)
        self._found[path] = found
        return found

    def _spelled(self, folder: str, name: str) -> list[str]:
        if folder not in self._spellings:
            spellings: dict[str, list[str]] = defaultdict(list)
            for other in sorted(_names_in(folder)):
                spellings[loosely(other)].append(os.path.join(folder, other))
            self._spellings[folder] = spellings
        return self._spellings[folder].get(loosely(name), [])


def _is(path: str, is_kind: Callable[[int], bool]) -> bool:
    try:
        return bool(is_kind(os.stat(path).st_mode))
    except (OSError, ValueError):
        return False


def _names_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _files_in(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry.name for entry in entries if _is_file(entry))
    except OSError:
        return


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def _below(folder: str, place: str, around: tuple[tuple[int, int], ...]) -> Iterator[str]:
    try:
        status = os.stat(folder)
        with os.scandir(folder) as scanned:
            entries = list(scanned)
    except OSError:
        return
    own = status.st_dev, status.st_ino
    if own in around:
        return
    for entry in entries:
        if _is(entry.path, stat.S_ISDIR):
            yield from _below(entry.path, f"{place}{entry.name}/", (*around, own))
        elif _is(entry.path, stat.S_ISREG):
            yield place + entry.name


def _shares() -> Iterator[tuple[str, str]]:
    try:
        lines = _MOUNTS.read_text("utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        source, folder, kind = [*line.split(" "), "", "", ""][:3]
        if kind in _SHARES:
            yield _plain(source).replace("\\", "/").lower().rstrip("/"), _plain(folder)


def _plain(field: str) -> str:
    r"""Return a field of the list of mounts without its ``\040`` for a space."""
    for code, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, plain)
    return field
