"""The logs of jobs: JSON lines in the state directory while a job runs, in the storage after.

Appending is not worth a commit: a line that was written a moment before the manager was
killed may be missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from burst.errors import StorageError
from burst.protocol.messages import LogLine
from burst.storage import layout
from burst.storage.storage import Storage

JOB_LOG_BYTES_MAX = 64 * 1024 * 1024
"""A job that prints more than this loses the rest; a log is for reading."""


class JobLogs:
    """Logs of all jobs."""

    def __init__(self, folder: Path, storage: Storage) -> None:
        """Keep logs of running jobs in ``folder``."""
        self._folder = folder / "jobs"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._storage = storage

    def append(self, job_id: str, lines: Iterable[LogLine]) -> None:
        """Add lines to a job's log; a full disk loses them, not the job."""
        path = self._path(job_id)
        try:
            with path.open("ab") as file:
                if file.tell() > JOB_LOG_BYTES_MAX:
                    return
                for line in lines:
                    file.write(line.model_dump_json(exclude_none=True).encode() + b"\n")
        except OSError:
            return

    def is_here(self, job_id: str) -> bool:
        """Say whether a job's log is read without the storage."""
        return self._path(job_id).exists()

    def read(self, job_id: str, offset: int) -> tuple[bytes, int]:
        """Return whole lines from byte ``offset`` on, and the offset after them. Blocks."""
        try:
            with self._path(job_id).open("rb") as file:
                file.seek(offset)
                content = file.read()
        except FileNotFoundError:
            content = self._archived(job_id)[offset:]
        whole = content[: content.rfind(b"\n") + 1]
        return whole, offset + len(whole)

    def archive(self, job_id: str) -> None:
        """Put the log of an ended job into the storage; it stays here too. Blocks.

        Raises:
            StorageError: the storage does not take it.
        """
        path = self._path(job_id)
        if path.exists():
            self._storage.put_file(path, layout.job_log(job_id))

    def delete(self, job_id: str) -> None:
        """Forget a job's log here."""
        self._path(job_id).unlink(missing_ok=True)

    def _path(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.jsonl"

    def _archived(self, job_id: str) -> bytes:
        try:
            return self._storage.get_bytes(layout.job_log(job_id))
        except StorageError:
            return b""
