"""What a command task makes the worker do: run a program, wait, copy, encode, say something.

`CommandRunner.run` does the commands of one task, one after the other, in a folder that is the
task's own; what they leave in it is published as the task's one result. Called by the worker's
task runner, on its thread; a command ends at once when the attempt is over.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from burst.domain.commands import Copy, Echo, Encode, Exec, Sleep, TaskCommand
from burst.errors import BurstError
from burst.scene.checkout import CheckedOut
from burst.worker.blender import BlenderFailed
from burst.worker.dialogue import GivesUp
from burst.worker.faults import Outcome, signal_name
from burst.worker.held import Held
from burst.worker.program import Allowance, Ended, Unstartable, run_program
from burst.worker.surroundings import prepare
from burst.worker.talk import Talk

RESERVED = ("index.json",)
"""Names under a job's renders that are the manager's own."""
_COPY_BYTES = 8 * 1024 * 1024
_FORBIDDEN = ("/proc", "/sys", "/dev")
"""Not files, but windows into the machine and into the worker itself."""


class CommandFailed(Exception):
    """A command could not do what it was to do."""

    def __init__(
        self,
        reason: str,
        log_tail: tuple[str, ...] = (),
        outcome: Outcome = "failed",
        peak_memory_bytes: int = 0,
        gives_up: GivesUp | None = None,
    ) -> None:
        """Keep a sentence for the artist, the program's last lines, and what end it is."""
        super().__init__(reason)
        self.reason = reason
        self.log_tail = log_tail
        self.outcome = outcome
        self.peak_memory_bytes = peak_memory_bytes
        self.gives_up = gives_up


class Interrupted(Exception):
    """The attempt is over: what was done of it is dropped."""


@dataclass(slots=True)
class Place:
    """Where the commands of one task run."""

    held: Held
    talk: Talk
    scene: CheckedOut | None
    output: Path
    """What is left here is published."""
    own: Path
    """Scratch of this task alone."""
    memory_limit_bytes: int = 0
    threads: int = 1
    peak_memory_bytes: int = 0
    warnings: list[str] = field(default_factory=list)

    @property
    def scene_folder(self) -> Path | None:
        """The folder of the scene's .blend."""
        return self.scene.blend.parent if self.scene else None

    def check(self) -> None:
        """Go on only while the attempt is not over.

        Raises:
            Interrupted: it is.
        """
        if self.held.over.is_set():
            raise Interrupted

    def warn(self, text: str) -> None:
        """Tell the artist what may be wrong, now and with the result."""
        self.warnings.append(text)
        self.talk.say("warning", text)

    def environment(self) -> dict[str, str]:
        """Return what every program of a task finds in its environment."""
        env = prepare(self.own)
        env["BURST_OUTPUT_DIR"] = str(self.output)
        env["BURST_JOB"] = self.held.assignment.job_id
        if self.scene_folder:
            env["BURST_SCENE_DIR"] = str(self.scene_folder)
        return env


Action = Callable[[Any, Place], None]


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the commands of a worker have at their hands."""

    encode: Callable[[Encode, Place], None]
    """Makes a video; `burst.worker.encode` brings it."""
    memory_limit_bytes: int = 0
    """For each program; 0 is no limit."""
    threads: int = 1


def run_commands(place: Place, encode: Callable[[Encode, Place], None]) -> tuple[Path, ...]:
    """Do all commands of a task, and return the files that they left.

    Args:
        place: where, and for which attempt.
        encode: makes a video.

    Raises:
        CommandFailed: one of them failed; the rest is not done.
        Interrupted: the attempt is over.
        BlenderFailed: Blender could not help with a video.
        BurstError: the storage or the manager failed.
        OSError: the disk did.
    """
    actions: dict[type[TaskCommand], Action] = {
        Exec: run_exec,
        Sleep: run_sleep,
        Echo: run_echo,
        Copy: run_copy,
        Encode: encode,
    }
    commands = place.held.assignment.commands
    place.output.mkdir(parents=True, exist_ok=True)
    place.own.mkdir(parents=True, exist_ok=True)
    for number, command in enumerate(commands, 1):
        place.check()
        place.talk.begin(number, len(commands), command.kind)
        try:
            actions[type(command)](command, place)
        except (OSError, BurstError, BlenderFailed):
            # What was stopped may fail in any way.
            place.check()
            raise
    return _results(place.output)


def run_exec(command: Exec, place: Place) -> None:
    """Run a program until it ends.

    Raises:
        CommandFailed: it can't be started, took too long or too much, or failed.
        Interrupted: the attempt is over.
    """
    env = place.environment() | command.environment
    name = command.argv[0]
    folder = _working_directory(command, place)
    program = shutil.which(name if "/" not in name else str(folder / name), path=env["PATH"])
    if program is None:
        raise _failed(command, f"there is no program {name} on this worker")
    try:
        ended = run_program(
            [program, *command.argv[1:]],
            env=env,
            folder=folder,
            on_line=place.talk.listener(command.progress),
            stop=place.held.over,
            allowance=Allowance(command.timeout_seconds, place.memory_limit_bytes),
        )
    except Unstartable as error:
        raise _failed(command, f"{name} can't be started: {error}") from error
    judge(command, name, ended, place)


def judge(command: TaskCommand, name: str, ended: Ended, place: Place) -> None:
    """Pass a program that ended well, and name what was wrong with any other.

    Raises:
        CommandFailed: it did not end well.
        Interrupted: it was stopped because the attempt is over.
    """
    place.peak_memory_bytes = max(place.peak_memory_bytes, ended.peak_memory_bytes)
    place.check()
    if ended.left:
        what = "1 process" if ended.left == 1 else f"{ended.left} processes"
        place.talk.say("info", f"{name} left {what} running, which burst ended")
    if ended.how == "exited" and ended.code == 0:
        return
    outcome: Outcome = "failed"
    if ended.how == "timeout" and isinstance(command, Exec):
        reason = f"{name} took longer than the {command.timeout_seconds:g} s that it was given"
    elif ended.how == "silent":
        reason = f"{name} hung: it has said nothing for too long"
    elif ended.how == "memory":
        used, limit = ended.peak_memory_bytes / 2**30, place.memory_limit_bytes / 2**30
        reason, outcome = f"{name} used {used:.1f} of {limit:.1f} GiB of memory", "out_of_memory"
    elif ended.code < 0:
        reason = f"{name} was ended by signal {signal_name(-ended.code)}"
    else:
        reason = f"{name} left with exit status {ended.code}"
    raise _failed(command, reason, ended.last_lines, outcome, place.peak_memory_bytes)


def run_sleep(command: Sleep, place: Place) -> None:
    """Wait, and say how far that is.

    Raises:
        Interrupted: the attempt is over.
    """
    started = time.monotonic()
    while (left := command.seconds - (time.monotonic() - started)) > 0:
        place.talk.progress(100 * (1 - left / command.seconds), f"sleep {command.seconds:g} s")
        place.held.over.wait(min(left, 1.0))
        place.check()


def run_echo(command: Echo, place: Place) -> None:
    """Write to the job's log."""
    for line in command.text.splitlines() or [""]:
        place.talk.say("info", line)


def run_copy(command: Copy, place: Place) -> None:
    """Copy a file or a folder with all that is in it; links are followed.

    Raises:
        CommandFailed: there is no such thing, or it is none to be copied, or the target
            would lie elsewhere.
        Interrupted: the attempt is over.
    """
    source = _source(command, place)
    target = place.output / command.target
    if source.is_dir():
        for parent, folders, names in os.walk(source, followlinks=True):
            folders.sort()
            for name in sorted(names):
                path = Path(parent) / name
                _copy_file(command, path, target / path.relative_to(source), place)
        return
    _copy_file(command, source, target, place)


def _copy_file(command: Copy, source: Path, target: Path, place: Place) -> None:
    try:
        # A pipe that nobody writes to would keep an ordinary open waiting for ever.
        with os.fdopen(os.open(source, os.O_RDONLY | os.O_NONBLOCK), "rb") as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise _failed(command, f"{source} is no ordinary file")
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as sink:
                while chunk := opened.read(_COPY_BYTES):
                    place.check()
                    sink.write(chunk)
    except FileNotFoundError as error:
        raise _failed(command, f"there is no {source}") from error
    except PermissionError as error:
        raise _failed(command, f"{source} may not be read") from error


def _source(command: Copy, place: Place) -> Path:
    path = Path(command.source)
    if path.is_absolute():
        real = path.resolve()
        if any(real.is_relative_to(folder) for folder in _FORBIDDEN):
            raise _failed(command, f"{command.source} is no file to copy", gives_up="task")
    else:
        real = _in_scene(command, command.source, place)
    if not real.exists():
        raise _failed(command, f"there is no {command.source}")
    return real


def _in_scene(command: TaskCommand, name: str, place: Place) -> Path:
    """Return a path that was given relative to the .blend, which may not leave the scene."""
    if place.scene is None:
        raise _failed(command, f"{name} is relative, and the job has no scene", gives_up="task")
    path = Path(os.path.normpath(place.scene.blend.parent / name))
    if not path.is_relative_to(place.scene.folder):
        raise _failed(command, f"{name} lies outside of the scene", gives_up="task")
    return path


def _working_directory(command: Exec, place: Place) -> Path:
    wanted = command.working_directory
    if wanted is None:
        return place.scene_folder or place.own
    folder = Path(wanted) if Path(wanted).is_absolute() else _in_scene(command, wanted, place)
    if not folder.is_dir():
        raise _failed(command, f"there is no folder {wanted}")
    return folder


def _results(output: Path) -> tuple[Path, ...]:
    """Return every file below a folder; what is no ordinary file can't be published."""
    found = []
    for path in sorted(output.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            name = path.relative_to(output)
            raise CommandFailed(f"{name} is no ordinary file and can't be published")
        if path.is_file():
            found.append(path)
    for path in found:
        if path.relative_to(output).as_posix() in RESERVED:
            raise CommandFailed(f"{path.name} is a name that burst uses itself", gives_up="task")
    return tuple(found)


def _failed(
    command: TaskCommand,
    reason: str,
    log_tail: tuple[str, ...] = (),
    outcome: Outcome = "failed",
    peak_memory_bytes: int = 0,
    gives_up: GivesUp | None = None,
) -> CommandFailed:
    return CommandFailed(
        f"{command.kind}: {reason}", log_tail, outcome, peak_memory_bytes, gives_up
    )
