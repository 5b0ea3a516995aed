"""Whether this worker can still render: when to doubt it, and how to find out.

A frame that fails is mostly the scene's fault. Where one after the other fails, the sooner
if they are of several jobs, or where a GPU was lost, it may be the machine's: then a few
pixels are rendered in a fresh Blender. Called by the agent, between two tasks.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from burst.errors import BlenderNotFound
from burst.worker.blenders import Use
from burst.worker.probing import Probe
from burst.worker.space import is_disk_full
from burst.worker.trust import Cage, Inmate

FAILURES_MAX = 3
"""Failures in a row after which a worker doubts itself, …"""

JOBS_MIN = 2
"""… if they belong to so many jobs: one job alone may just be broken."""

FAILURES_OF_A_JOB_MAX = 5
"""Failures in a row of one job alone: a farm often has no other, and to look costs seconds."""

PATIENCE_MAX = 16


@dataclass(frozen=True, slots=True)
class Row:
    """What one Blender failed to do on one device since a frame, or a check, went well."""

    failures: int = 0
    jobs: frozenset[str] = frozenset()
    device_lost: bool = False
    patience: int = 1
    """How many times as many failures it takes: twice as many after each check for nothing."""


def is_doubtful(row: Row) -> bool:
    """Say whether failures in a row speak against the machine."""
    if row.device_lost:
        return True
    enough = FAILURES_MAX if len(row.jobs) >= JOBS_MIN else FAILURES_OF_A_JOB_MAX
    return row.failures >= enough * row.patience


class Health:
    """Failures in a row of each Blender on each device."""

    def __init__(self) -> None:
        """Trust all of them."""
        self._rows: dict[tuple[Path, str], Row] = {}

    def note(self, job_id: str, use: Use) -> bool:
        """Take note of what came of a Blender's last use; say whether to check it now."""
        key = (use.installed.program, use.device)
        if use.error is None:
            self._rows.pop(key, None)
            return False
        if not _is_against_the_machine(use):
            return False
        row = self._rows.get(key, Row())
        self._rows[key] = row = replace(
            row,
            failures=row.failures + 1,
            jobs=row.jobs | {job_id},
            device_lost=use.error.suspect == "device",
        )
        return is_doubtful(row)

    def trust(self, use: Use) -> None:
        """Count anew, with more patience: it was checked, and renders."""
        key = (use.installed.program, use.device)
        row = self._rows.get(key, Row())
        self._rows[key] = Row(patience=min(PATIENCE_MAX, 2 * row.patience))


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

    def __init__(self, scratch: Path, cage: Cage | None) -> None:
        """Use ``scratch`` for the home and the temporary files of that process.

        It is shut in as those that render scenes: the cage may be what is in the way.
        """
        self._scratch = scratch
        self._cage = cage
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Let a check end at once, and every later one."""
        self._stopped.set()

    def find_fault(self, use: Use) -> str:
        """Return why the Blender can't render on the device any more; empty if it can.

        Blocks for some seconds. The answer means nothing if it was stopped.
        """
        installed = use.installed

        def shut_in(command: list[str], env: Mapping[str, str]) -> list[str]:
            if self._cage is None:
                return command
            # It loads no scene, but might as well have one here.
            blend, graphics = self._scratch / "none.blend", use.engine != "CYCLES"
            inmate = Inmate(installed.program, installed.facts, blend, self._scratch, env, graphics)
            return self._cage.command_line(command, inmate)

        try:
            with Probe(
                installed.program,
                self._scratch,
                installed.facts.kind,
                self._stopped.is_set,
                shut_in,
            ) as probe:
                return probe.render(use.engine, use.device).reason
        except BlenderNotFound as error:
            return error.message
        except OSError as error:
            return f"{installed.program} can't be tried: {error.strerror}"
