"""Keeps a farm rendering while a test kills it: one job after the other, by the real CLI.

When the command line was killed, the very same command is run again, as a user would; it
must go on with the same job.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tests.fakes.checker import ExpectedJob, check
from tests.fakes.farm import HEIGHT, WIDTH, Farm, Program, job_in, poll

FRAMES = 60
LEFT_MIN = 30
"""With fewer frames to go a job may end before a killed command runs again: a next job is
begun instead."""

KILLED = -9

Found = TypeVar("Found")


class Rounds:
    """Jobs of one farm, one at a time."""

    def __init__(self, farm: Farm, scene: Path) -> None:
        self.farm = farm
        self.jobs: list[ExpectedJob] = []
        self.cli: Program | None = None
        self._scene = scene
        self._number = 0
        self._job_id: str | None = None

    def __str__(self) -> str:
        return f"{len(self.jobs)} jobs"

    def keep_going(self) -> None:
        """Return when a command line waits for a job with enough frames to go."""
        while True:
            job_id = self._ask_for_job(self._running_cli())
            if job_id is None:
                continue
            self._learn(job_id)
            if FRAMES - self.farm.published(job_id) >= LEFT_MIN:
                return
            self._end_round()

    def wait_for(self, look: Callable[[], Found | None], what: str = "") -> Found:
        """Return what ``look`` finds, while the command line is kept going."""

        def look_and_keep_going() -> Found | None:
            if not (found := look()) and self.cli and not self.cli.running:
                self.keep_going()
            return found

        return poll(look_and_keep_going, lambda: f"{what}: {self.farm.logs()}")

    def finish(self) -> None:
        """Wait for the last job's end and until the farm has left, and check everything."""
        if self.cli:
            self._end_round()
        self.farm.wait_gone()
        wrong = check(self.farm.left(), self.jobs)
        assert not wrong, "\n".join([*wrong, self.farm.logs()])

    def _running_cli(self) -> Program:
        """Return the command line, started again if the test has killed it."""
        if self.cli is None:
            self._number += 1
            self._job_id = None
            self.cli = self._start()
        elif not self.cli.running:
            assert self.cli.wait() == KILLED, self.cli.words()
            self.cli = self._start()
        return self.cli

    def _ask_for_job(self, cli: Program) -> str | None:
        """Return the job that a command line tells of, or None if it ended before."""
        job_id = poll(lambda: job_in(cli.words()) or not cli.running, cli.words)
        return job_id if isinstance(job_id, str) else None

    def _start(self) -> Program:
        return self.farm.start_render(self._scene, f"1-{FRAMES}", self._output)

    @property
    def _output(self) -> Path:
        return self.farm.root / f"frames-{self._number}"

    def _learn(self, job_id: str) -> None:
        if self._job_id is None:
            self._job_id = job_id
            frames = range(1, FRAMES + 1)
            self.jobs.append(ExpectedJob(job_id, frames, WIDTH, HEIGHT, self._output))
        assert job_id == self._job_id, "the same command has made another job"

    def _end_round(self) -> None:
        """See the job through."""
        cli = self._running_cli()
        if (code := cli.wait(120)) == KILLED:
            # A kill that was under way when it was looked at.
            cli = self._running_cli()
            code = cli.wait(120)
        assert code == 0, cli.words() + cli.said.read_text("utf-8")
        self._learn(cli.result()["job"])
        self.cli = None
