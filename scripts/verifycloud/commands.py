"""burst as a program: one command at a time, which a limit or Ctrl-C can stop."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class FailedError(Exception):
    """A step did not do what it should; the message says what."""


class StoppedError(Exception):
    """The limit is reached, or somebody stopped it."""


@dataclass
class Burst:
    """The program, in one folder with one environment."""

    program: Sequence[str]
    folder: Path
    environ: Mapping[str, str]
    stopped: threading.Event = field(default_factory=threading.Event)
    """Set when nothing more is to be begun but the way down."""

    def ask(self, *arguments: str, seconds: float = 120) -> Any:
        """Return the JSON of a short command, whatever its exit status; None if it says none."""
        try:
            ended = subprocess.run(
                [*self.program, *arguments, "--json"],
                cwd=self.folder,
                env=dict(self.environ),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
            return json.loads(ended.stdout)
        except (subprocess.TimeoutExpired, ValueError):
            return None

    def do(self, *arguments: str, seconds: float, is_last: bool = False) -> None:
        """Run a command on the terminal, and stop it if there is no more money for it.

        Args:
            arguments: of burst.
            seconds: what it may take.
            is_last: it is part of the way down, which nothing stops but time.

        Raises:
            FailedError: it failed, or took too long.
            StoppedError: it was stopped.
        """
        child = self.start(*arguments, is_last=is_last)
        self.follow(child, " ".join(arguments), seconds, is_last=is_last)

    def start(self, *arguments: str, is_last: bool = False) -> subprocess.Popen[bytes]:
        """Start a command.

        Raises:
            StoppedError: nothing more is to be begun.
        """
        if self.stopped.is_set() and not is_last:
            raise StoppedError
        print(f"\n$ burst {' '.join(arguments)}", flush=True)
        return subprocess.Popen(
            [*self.program, *arguments],
            cwd=self.folder,
            env=dict(self.environ),
            stdin=subprocess.DEVNULL,
            # Ctrl-C comes to us alone, and is passed on.
            start_new_session=True,
        )

    def follow(
        self, child: subprocess.Popen[bytes], what: str, seconds: float, *, is_last: bool = False
    ) -> None:
        """Wait for a command; takes and raises what `do` does."""
        left = seconds
        while child.poll() is None:
            if (self.stopped.is_set() and not is_last) or left <= 0:
                _interrupt(child)
                if self.stopped.is_set() and not is_last:
                    raise StoppedError
                raise FailedError(f"burst {what} took longer than {seconds / 60:.0f} minutes")
            try:
                child.wait(0.2)
            except subprocess.TimeoutExpired:
                left -= 0.2
        if child.returncode:
            raise FailedError(f"burst {what} ended with {child.returncode}")


def _interrupt(child: subprocess.Popen[bytes]) -> None:
    """End a command as Ctrl-C does; burst saves what it was at, which takes a while."""
    child.send_signal(signal.SIGINT)
    try:
        child.wait(600)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
