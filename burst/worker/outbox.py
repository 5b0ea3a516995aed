"""Reports that the manager did not take yet, one file each, so that a crash loses none.

``outbox/<number>.json``, written beside and renamed, deleted when the manager has answered.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import threading
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from burst.protocol.worker_messages import Report

log = logging.getLogger(__name__)

_REPORT: TypeAdapter[Report] = TypeAdapter(Report)


class Outbox:
    """A folder of reports, in the order they were made. Safe from several threads."""

    def __init__(self, folder: Path) -> None:
        """Read what an earlier life left."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._waiting: dict[int, Report] = {}
        self._sending: set[int] = set()
        for path in sorted(folder.glob("*.json"), key=lambda path: int(path.stem)):
            with contextlib.suppress(ValidationError, OSError):
                self._waiting[int(path.stem)] = _REPORT.validate_json(path.read_bytes())
        self._numbers = itertools.count(max(self._waiting, default=0) + 1)

    def __len__(self) -> int:
        with self._lock:
            return len(self._waiting)

    def add(self, report: Report) -> None:
        """Keep a report until the manager has answered it.

        A disk that does not take it, being full, does not keep it from being sent: only a
        crash would lose it then.
        """
        with self._lock:
            number = next(self._numbers)
            final = self.folder / f"{number}.json"
            temporary = final.with_suffix(".new")
            try:
                with temporary.open("wb") as file:
                    file.write(_REPORT.dump_json(report))
                    file.flush()
                    os.fsync(file.fileno())
                temporary.rename(final)
            except OSError as error:
                log.warning("a report is kept in memory only: %s", error)
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
            self._waiting[number] = report

    def take(self) -> dict[int, Report]:
        """Return the reports that nobody is sending, to be given back or settled."""
        with self._lock:
            taken = {n: r for n, r in self._waiting.items() if n not in self._sending}
            self._sending.update(taken)
            return taken

    def give_back(self, numbers: list[int]) -> None:
        """Keep reports that could not be sent."""
        with self._lock:
            self._sending.difference_update(numbers)

    def settle(self, numbers: list[int]) -> None:
        """Forget reports that were answered."""
        with self._lock:
            for number in numbers:
                self._sending.discard(number)
                if self._waiting.pop(number, None):
                    # Where it stays, the manager drops it when it comes again.
                    with contextlib.suppress(OSError):
                        (self.folder / f"{number}.json").unlink(missing_ok=True)
