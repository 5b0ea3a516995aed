"""burst as a program: one command at a time, which a limit or Ctrl-C can stop."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LOG = "verify.log"
"""In the folder: what nobody was there to read."""

_OF_ANOTHER_FARM = frozenset(
    f"BURST_{name}"
    for name in (
        "CONFIG", "CONSOLE_URL", "CONTEXT", "FARM", "KUBECONFIG", "NAMESPACE", "PROJECT", "REGION",
        "STATE_DIR", "STORAGE_URL", "ZONE",
    )
)  # fmt: skip
"""Variables that count for more than the burst.toml of the farm that is verified."""


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
    hear_of: Callable[[int], None] = lambda _: None
    """Is told the number of each process that is started."""
    trouble: str = ""
    """Why the last question has no answer, if its answer was awaited by one only."""

    def ask(self, *arguments: str, seconds: float = 120) -> Any:
        """Return the JSON of a short command, whatever its exit status; None if it says none."""
        self.trouble = f"no answer in {seconds:.0f} seconds"
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
            self.trouble = _reason(ended.stderr) or f"it ended with {ended.returncode}"
            return json.loads(ended.stdout)
        except (OSError, subprocess.TimeoutExpired, ValueError):
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
        self.say(f"\n$ burst {' '.join(arguments)}")
        child = subprocess.Popen(
            [*self.program, *arguments],
            cwd=self.folder,
            env=dict(self.environ),
            stdin=subprocess.DEVNULL,
            # Ctrl-C comes to us alone, and is passed on.
            start_new_session=True,
        )
        self.hear_of(child.pid)
        return child

    def follow(
        self, child: subprocess.Popen[bytes], what: str, seconds: float, *, is_last: bool = False
    ) -> None:
        """Wait for a command; takes and raises what `do` does."""
        left = seconds
        while child.poll() is None:
            if (self.stopped.is_set() and not is_last) or left <= 0:
                interrupt(child)
                if self.stopped.is_set() and not is_last:
                    raise StoppedError
                raise FailedError(f"burst {what} took longer than {seconds / 60:.0f} minutes")
            try:
                child.wait(0.2)
            except subprocess.TimeoutExpired:
                left -= 0.2
        if child.returncode:
            raise FailedError(f"burst {what} ended with {child.returncode}")

    def say(self, text: str) -> None:
        """Write a line; into a file from the moment on in which nobody reads any more.

        A terminal that was closed must not keep the farm from going down, and the commands that
        take it down would end at their own first word.
        """
        try:
            print(text, flush=True)
        except OSError:
            self.speak_into_log()

    def speak_into_log(self) -> None:
        """Write, and have all commands write, into a file from now on."""
        with contextlib.suppress(OSError), (self.folder / LOG).open("ab") as log:
            for stream in (1, 2):
                os.dup2(log.fileno(), stream)


def without_another_farm(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what would have burst mean another farm."""
    return {name: text for name, text in environ.items() if name not in _OF_ANOTHER_FARM}


def _reason(said: str) -> str:
    """Return the error that burst told at last, with what mends it."""
    last = said.strip().rpartition("\n")[2]
    try:
        told = json.loads(last)
        return "; ".join(filter(None, (told["message"], told["hint"])))
    except (ValueError, KeyError, TypeError):
        return last


def interrupt(child: subprocess.Popen[bytes]) -> None:
    """End a command as Ctrl-C does; burst saves what it was at, which takes a while."""
    child.send_signal(signal.SIGINT)
    try:
        child.wait(600)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
