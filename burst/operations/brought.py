"""What burst has brought to a folder: how it tells its own files from an artist's.

Remembered in the state directory, not beside the frames: whatever reads a folder of frames
finds frames. Lines are only ever added, each before its file gets its name, so that a run
that is killed at any moment has said too much rather than too little. Forgotten, a file is
taken for an artist's, unless it is what is published.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import NamedTuple

from burst.protocol.messages import OutputFile
from burst.storage.files import sha256_of


class Brought(NamedTuple):
    """A file as it was when it was brought."""

    sha256: str
    size: int
    """Bytes."""
    mtime_ns: int
    inode: int

    def is_untouched(self, status: os.stat_result) -> bool:
        """Say whether a file is this one, and nobody has written to it."""
        return (status.st_size, status.st_mtime_ns, status.st_ino) == self[1:]

    def is_cut(self, status: os.stat_result) -> bool:
        """Say whether it lost its end though nobody wrote to it: the machine has lost power."""
        is_same = (status.st_mtime_ns, status.st_ino) == self[2:]
        return is_same and status.st_size < self.size


class BroughtFiles:
    """What was brought to one folder, by this and by earlier runs, of any job."""

    def __init__(self, state_dir: Path, folder: Path) -> None:
        """Remember files of ``folder`` below ``state_dir``; what can't be read is forgotten."""
        self._folder = folder
        # Not by its path as typed: a folder has many.
        named = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()
        self._path = state_dir / "brought" / f"{named[:32]}.jsonl"
        self._files: dict[str, list[Brought]] = {}
        self._read()

    def is_it(self, path: str, status: os.stat_result, file: OutputFile) -> bool:
        """Say whether what is at ``path`` is that file; reads it only if it must.

        Args:
            path: below the folder.
            status: of what is there, links not followed.
            file: as it is published.
        """
        for brought in self._files.get(path, ()):
            if brought.is_untouched(status):
                return brought.sha256 == file.sha256
        is_link = stat.S_ISLNK(status.st_mode)
        if is_link:
            try:
                status = (self._folder / path).stat()
            except OSError:
                return False
        # A pipe or a device, and so what a link to one leads to, might never end.
        if not stat.S_ISREG(status.st_mode) or status.st_size != file.size:
            return False
        if self._hash(path) != file.sha256:
            return False
        if not is_link:
            self.add(path, file.sha256, status)
        return True

    def is_untouched(self, path: str, status: os.stat_result) -> bool:
        """Say whether what is at ``path`` may be replaced: as it was brought, or empty.

        Blender leaves empty files as placeholders, and so does a machine that loses power.
        """
        if not stat.S_ISREG(status.st_mode):
            return False
        before = self._files.get(path, ())
        if not status.st_size or any(b.is_untouched(status) or b.is_cut(status) for b in before):
            return True
        # Copied, or on a file system whose inodes come and go.
        if not any(brought.size == status.st_size for brought in before):
            return False
        sha256 = self._hash(path)
        return any(brought.sha256 == sha256 for brought in before)

    def was_brought(self, path: str, sha256: str) -> bool:
        """Say whether that content was brought to ``path`` once, whatever is there now."""
        return any(brought.sha256 == sha256 for brought in self._files.get(path, ()))

    def add(self, path: str, sha256: str, status: os.stat_result) -> None:
        """Remember that a file is ours; one that can't be remembered is none the less brought."""
        brought = Brought(sha256, status.st_size, status.st_mtime_ns, status.st_ino)
        if brought in self._files.get(path, ()):
            return
        self._files.setdefault(path, []).append(brought)
        # The newline first: what a machine that lost power has left there is then a line too.
        line = "\n" + json.dumps([path, *brought])
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab", buffering=0) as file:
                # In one write, so that of several processes each adds whole lines.
                file.write(line.encode())

    def _hash(self, path: str) -> str | None:
        """Return the hash of what is there; None of what is no file, or can't be read."""
        try:
            return sha256_of(self._folder / path)
        except OSError:
            return None

    def _read(self) -> None:
        try:
            lines = self._path.read_bytes().splitlines()
        except OSError:
            return
        for line in lines:
            # One that was being written when the machine lost power may be anything.
            with contextlib.suppress(ValueError, TypeError):
                path, sha256, size, mtime_ns, inode = json.loads(line)
                brought = Brought(str(sha256), int(size), int(mtime_ns), int(inode))
                self._files.setdefault(str(path), []).append(brought)
