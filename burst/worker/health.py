"""Whether this worker can still render: when to doubt it, and how to find out.

A frame that fails is mostly the scene's fault. Where one frame after the other fails, over
several jobs, or where a GPU was lost, it may be the machine's: then a few pixels are
rendered in a fresh Blender. Called by the agent, between two tasks.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from burst.errors import BlenderNotFound
from burst.worker.blenders import Use
from burst.worker.probing import Probe
from burst.worker.space import is_disk_full

FAILURES_MAX = 3
"""Failures in a row after which a worker doubts itself, …"""

JOBS_MIN = 2
"""… if they belong to so many jobs: one job alone may just be broken."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that a Blender failed to do."""

    job_id: str
    device_lost: bool


def is_doubtful(failures: tuple[Failure, ...]) -> bool:
    """Say whether failures in a row, of one Blender on one device, speak against the machine."""
    if any(failure.device_lost for failure in failures):
        return True
    jobs = {failure.job_id for failure in failures}
    return len(failures) >= FAILURES_MAX and len(jobs) >= JOBS_MIN


class Health:
    """Failures in a row of each Blender on each device."""

    def __init__(self) -> None:
        """Trust all of them."""
        self._rows: dict[tuple[Path, str], tuple[Failure, ...]] = {}

    def note(self, job_id: str, use: Use) -> bool:
        """Take note of what came of a Blender's last use; say whether to check it now."""
        key = (use.installed.program, use.device)
        if use.error is None:
            self._rows.pop(key, None)
            return False
        if not _is_against_the_machine(use):
            return False
        failure = Failure(job_id, device_lost=use.error.suspect == "device")
        row = (*self._rows.get(key, ()), failure)[-FAILURES_MAX:]
        self._rows[key] = row
        return is_doubtful(row)

    def trust(self, use: Use) -> None:
        """Count anew: it was checked, and renders."""
        self._rows.pop((use.installed.program, use.device), None)


def _is_against_the_machine(use: Use) -> bool:
    """Say whether a failure may be the machine's fault.

    What was interrupted, lacked memory or space, or can't be saved by any worker is not.
    """
    error = use.error
    return (
        error is not None
        and error.outcome == "failed"
        and error.gives_up is None
        and not is_disk_full(error)
    )


class Checkup:
    """Renders a few pixels in a fresh process; any thread may stop it for good."""

    def __init__(self, scratch: Path) -> None:
        """Use ``scratch`` for the home and the temporary files of that process."""
        self._scratch = scratch
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Let a check end at once, and every later one."""
        self._stopped.set()

    def find_fault(self, use: Use) -> str:
        """Return why the Blender can't render on the device any more; empty if it can.

        Blocks for some seconds. The answer means nothing if it was stopped.
        """
        installed = use.installed
        try:
            with Probe(
                installed.program, self._scratch, installed.facts.kind, self._stopped.is_set
            ) as probe:
                return probe.render(use.engine, use.device).reason
        except BlenderNotFound as error:
            return error.message
        except OSError as error:
            return f"{installed.program} can't be tried: {error.strerror}"
