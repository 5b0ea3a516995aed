"""A call of Terraform: a process that outlives burst, and how it is followed and interrupted.

What it says goes to a file and not to a pipe, and it has a session of its own. So nothing that
happens to burst or its terminal ends it: a broken pipe, or a second Ctrl-C, would end it before
it has written down what it made. Whoever comes next sees that it is still at work, by a locked
file which it and all that it starts have open, and follows it to its end.

::

    .burst/call.lock       locked as long as anything of a call lives
    .burst/call.json       the last call: what, when, its process
    .burst/OPERATION.out   what it said, and .err
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from burst.cloud.terraform_watch import GO_ON, Lines, Tell, Watch, stops_asked
from burst.errors import CloudAway, FarmBusy, RunInterrupted, StateError, ToolMissing

FOLDER = ".burst"
"""In the folder of a root."""
POLL_SECONDS = 0.05
GONE_SECONDS = 20.0
"""What killed processes get to be gone."""
SAME_START_SECONDS = 2.0
"""Clocks of the kernel are read with this precision."""

HearLine = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was begun."""

    operation: str
    begun_at: float
    """Seconds since 1970, before its process began."""
    pid: int = 0
    """0: burst was ended before it knew."""
    started_at: float = 0.0
    """When the kernel says that the process began; with the pid this is one process alone."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call came out."""

    status: int
    """Negative: the signal that ended it."""
    output: str
    errors: str
    seconds: float


class Process:
    """The calls in one folder, one at a time."""

    silent_seconds = 1200.0
    """After this without a word it is ended: asked again and again, a bucket that is away keeps
    Terraform waiting for ever. While resources are made it says so every ten seconds."""

    def __init__(self, folder: Path, tell: Tell) -> None:
        """Use a folder that is there; ``tell`` hears what an artist has to know."""
        self._folder = folder
        self._notes = folder / FOLDER
        self._tell = tell
        self._watch: Watch | None = None

    def run(
        self,
        operation: str,
        command: Sequence[str],
        environ: Mapping[str, str],
        hear: HearLine = lambda line: None,
    ) -> Ended:
        """Run a call to its end.

        Args:
            operation: what it does, in a word.
            command: the program and its arguments.
            environ: all of its variables.
            hear: hears each line of what it says.

        Raises:
            RunInterrupted: Ctrl-C or SIGTERM came; at the second the call is left to itself.
            FarmBusy: another call is at work in the folder.
            CloudAway: it hung, and was ended.
            ToolMissing: there is no such program.
            StateError: the folder can't be written.
        """
        begun = time.monotonic()
        output, errors = self._output(operation), self._notes / f"{operation}.err"
        with stops_asked() as stops:
            child = self._begin(operation, command, environ)
            interrupted = self._follow(
                lambda: child.poll() is None, (operation, child.pid), hear, stops
            )
        status = child.wait()
        self._end_children(child.pid)
        ended = Ended(status, _text(output), _text(errors), time.monotonic() - begun)
        if status >= 0:
            self._forget()
        if interrupted:
            raise RunInterrupted(f"terraform {operation} was interrupted", hint=GO_ON)
        return ended

    def last(self) -> Call | None:
        """Return the call that nobody saw the end of, at work or dead; None if there is none."""
        try:
            return Call(**json.loads((self._notes / "call.json").read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def forget(self) -> None:
        """Forget the last call: what it left is in order again."""
        self._forget()

    def is_at_work(self) -> bool:
        """Say whether anything of a call lives, whoever began it."""
        lock = self._lock()
        if lock is None:
            return True
        os.close(lock)
        return False

    def wait(self, hear: HearLine = lambda line: None) -> None:
        """Follow the call that is at work to its end; return at once if there is none.

        Raises:
            RunInterrupted: as for `run`.
            StateError: what is left of it does not end.
        """
        call = self.last()
        if call is None or not self.is_at_work():
            return

        def goes_on() -> bool:
            return _is_alive(call) if call.pid else self.is_at_work()

        with stops_asked() as stops:
            interrupted = self._follow(goes_on, (call.operation, call.pid), hear, stops)
        # Its plugins don't notice when nobody listens any more.
        self._end_children(call.pid)
        if interrupted:
            raise RunInterrupted(f"terraform {call.operation} was interrupted", hint=GO_ON)

    def _begin(
        self, operation: str, command: Sequence[str], environ: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        lock = self._lock()
        if lock is None:
            call = self.last()
            who = f"terraform {call.operation} (process {call.pid})" if call else "terraform"
            raise FarmBusy(f"{who} is at work in {self._folder}")
        note = Call(operation, time.time())
        try:
            self._write(note)
            with (
                self._output(operation).open("wb") as out,
                (self._notes / f"{operation}.err").open("wb") as err,
            ):
                child = subprocess.Popen(
                    command,
                    cwd=self._folder,
                    env=dict(environ),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    pass_fds=(lock,),
                    start_new_session=True,
                )
        except OSError as error:
            self._forget()
            raise ToolMissing(f"can't start {command[0]}: {error.strerror}") from error
        finally:
            # From here on it is the call alone that holds it.
            os.close(lock)
        self._write(_with_process(note, child.pid))
        return child

    def _follow(
        self,
        is_going: Callable[[], bool],
        call: tuple[str, int],
        hear: HearLine,
        stops: Sequence[float],
    ) -> bool:
        """Pass on what is said until the end, and say whether it was interrupted."""
        operation, pid = call
        watch = self._watch = Watch(operation, pid, self._tell, self.silent_seconds)
        with self._output(operation).open("rb") as file:
            lines = Lines(file)
            while True:
                goes_on = is_going()
                for line in lines.new(is_last=not goes_on):
                    watch.heard()
                    hear(line)
                if not goes_on:
                    break
                watch.look(stops)
                time.sleep(POLL_SECONDS)
        if watch.was_silent:
            raise CloudAway(
                f"terraform {operation} said nothing for {self.silent_seconds / 60:.0f} minutes",
                hint="look at the network; then the same command goes on",
            )
        return watch.was_interrupted

    def end_within(self, seconds: float) -> None:
        """Have the call that is followed end within some seconds; then it is killed."""
        if self._watch is not None:
            self._watch.end_within(seconds)

    def _end_children(self, pid: int) -> None:
        """End what a call left behind."""
        deadline = time.monotonic() + GONE_SECONDS
        while self.is_at_work():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if pid:
                    os.killpg(pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                raise StateError(
                    f"something of an earlier terraform still runs in {self._folder}",
                    hint=f"see what has it open: fuser -v {self._notes / 'call.lock'}",
                )
            time.sleep(POLL_SECONDS)

    def _lock(self) -> int | None:
        """Return the lock, held, which the caller closes; None if a call has it."""
        path = self._notes / "call.lock"
        try:
            self._notes.mkdir(parents=True, exist_ok=True)
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(f"can't write {path}: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            if isinstance(error, BlockingIOError):
                return None
            raise StateError(f"can't lock {path}: {error.strerror}") from error
        return lock

    def _output(self, operation: str) -> Path:
        return self._notes / f"{operation}.out"

    def _write(self, call: Call) -> None:
        path = self._notes / "call.json"
        temporary = path.with_suffix(".new")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(json.dumps(asdict(call)))
                file.flush()
                # A machine without power comes back without what was not on its disk.
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            raise StateError(f"can't write {path}: {error.strerror}") from error

    def _forget(self) -> None:
        (self._notes / "call.json").unlink(missing_ok=True)


def _with_process(call: Call, pid: int) -> Call:
    try:
        started_at = psutil.Process(pid).create_time()
    except psutil.Error:
        started_at = 0.0
    return Call(call.operation, call.begun_at, pid, started_at)


def _is_alive(call: Call) -> bool:
    try:
        process = psutil.Process(call.pid) if call.pid else None
        return (
            process is not None
            and process.status() != psutil.STATUS_ZOMBIE
            and abs(process.create_time() - call.started_at) <= SAME_START_SECONDS
        )
    except psutil.Error:
        return False


def _text(path: Path) -> str:
    return path.read_text("utf-8", "replace")
