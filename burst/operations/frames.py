"""Bringing published frames from the storage to a folder: whole, proven, once."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from burst.errors import BurstError, StorageError, storage_error
from burst.protocol.artist_messages import FrameView
from burst.protocol.messages import OutputFile
from burst.storage import layout
from burst.storage.storage import Storage

_FETCHES = 2
"""A frame that is rendered again may be replaced between being listed and being fetched."""


class FrameFolder:
    """The folder that a job's frames are brought to."""

    def __init__(self, folder: Path, storage: Storage, job_id: str) -> None:
        """Bring frames of ``job_id`` from ``storage`` to ``folder``, made when needed."""
        self.folder = folder
        self.brought = 0
        self.kept = 0
        self._storage = storage
        self._job_id = job_id

    def bring(self, frames: Iterable[FrameView]) -> None:
        """Bring every file of the frames; one that is there already is kept.

        Raises:
            StorageError: the storage can't be read, the folder can't be written, or a file
                is not what was published.
        """
        for frame in frames:
            for file in frame.files:
                target = self._target(file)
                if is_identical(target, file):
                    self.kept += 1
                else:
                    self._fetch(file, target)
                    self.brought += 1

    def _target(self, file: OutputFile) -> Path:
        path = PurePosixPath(file.name)
        if path.is_absolute() or ".." in path.parts:
            raise StorageError(f"{file.name!r} is no name for a frame")
        return self.folder / path

    def _fetch(self, file: OutputFile, target: Path) -> None:
        name = layout.render(self._job_id, file.name)
        arriving = target.with_name(f".{target.name}.arriving")
        try:
            for _ in range(_FETCHES):
                self._storage.fetch(name, arriving)
                if is_identical(arriving, file):
                    arriving.replace(target)
                    return
        except OSError as error:
            raise storage_error(error, f"can't write {target}") from error
        finally:
            with contextlib.suppress(OSError):
                arriving.unlink(missing_ok=True)
        raise StorageError(
            f"{name} in the storage is not what was published",
            hint="render the frame again: burst jobs requeue "
            f"{self._job_id} --frames N, then burst download {self._job_id}",
        )


def is_identical(path: Path, file: OutputFile) -> bool:
    """Say whether ``path`` holds exactly what was published.

    Raises:
        StorageError: it is there and can't be read.
    """
    try:
        if path.stat().st_size != file.size:
            return False
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256
    except FileNotFoundError:
        return False
    except OSError as error:
        raise storage_error(error, f"can't read {path}") from error


def output_of(job_output: str, job_name: str, typed: Path | None) -> Path:
    """Return where frames go: what was typed, what the job says, or a folder of its name."""
    if typed is not None:
        return typed.expanduser().absolute()
    if job_output:
        return Path(job_output)
    safe = job_name.replace("/", "-")
    return Path(f"{safe}-frames").absolute()


def with_way_back(error: StorageError, job_id: str) -> BurstError:
    """Return the error with the way to the frames that the folder did not take."""
    hint = f"the job goes on; when that is mended: burst download {job_id}"
    return type(error)(error.message, hint=error.hint or hint)
