"""What a program opens, as the kernel saw it; with Debian's strace.

``seen = watch(command, log, env)`` runs a command to its end. Files are named as the program
named them, absolute and without ``..``, links not followed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_OPENS = ("open", "openat", "openat2")
_LOOKS = ("stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2")
_SECONDS = 300
_CALL = re.compile(
    r"(?P<pid>\d+) +(?P<call>\w+)\("
    r"(?:(?:AT_FDCWD|-?\d+)<(?P<folder>[^>]*)>, )?"
    r'"(?P<path>(?:\\x[0-9a-f]{2})*)"(?P<rest>.*)'
)
_RESUMED = re.compile(r"(?P<pid>\d+) +<\.\.\. \w+ resumed>(?P<rest>.*)")
_RESULT = re.compile(r"\) += (?P<value>-?\d+)(?: (?P<error>E[A-Z]+))?")


@dataclass(slots=True)
class Seen:
    """What a program did with files."""

    opened: set[Path] = field(default_factory=set)
    """Opened to be read."""
    created: set[Path] = field(default_factory=set)
    """Opened to be made."""
    lacking: set[Path] = field(default_factory=set)
    """Looked for, and not there."""
    printed: str = ""
    code: int = 0

    def opened_below(self, folder: Path) -> set[Path]:
        """Return the files, not folders, below a folder that were there and were opened."""
        found = self.opened - self.created
        return {p for p in found if p.is_relative_to(folder) and not p.is_dir()}

    def lacking_below(self, folder: Path) -> set[Path]:
        """Return what was looked for below a folder and never found there."""
        return {p for p in self.lacking - self.opened if p.is_relative_to(folder)}


def strace_program() -> str:
    """Return where strace is, or skip the test."""
    found = shutil.which("strace")
    if found is None:
        pytest.skip("no strace in PATH: scripts/setup --strace")
    return found


def watch(command: Sequence[str], log: Path, env: Mapping[str, str], folder: Path) -> Seen:
    """Run a command under strace to its end, and return what it and its children opened.

    Args:
        command: what to run.
        log: a file for what strace writes; stays.
        env: the command's environment.
        folder: its working directory.
    """
    calls = ",".join((*_OPENS, *_LOOKS))
    # All strings in hex: names are bytes. The kernel stops only for these calls (seccomp).
    head = ["strace", "-f", "--seccomp-bpf", "-y", "-xx", "-qq", "-s", "4096"]
    done = subprocess.run(
        [*head, "-e", f"trace={calls}", "-e", "signal=none", "-o", str(log), "--", *command],
        env=dict(env),
        cwd=folder,
        capture_output=True,
        timeout=_SECONDS,
    )
    with log.open(encoding="ascii", errors="replace") as lines:
        seen = read_log(lines)
    seen.printed = (done.stdout + done.stderr).decode("utf-8", "replace")
    seen.code = done.returncode
    return seen


def read_log(lines: Iterable[str]) -> Seen:
    """Read what strace wrote; a call that another thread interrupted stands on two lines."""
    seen = Seen()
    begun: dict[str, re.Match[str]] = {}
    for line in lines:
        resumed = _RESUMED.match(line)
        if resumed:
            call = begun.pop(resumed["pid"], None)
            if call is not None:
                _note(seen, call, call["rest"] + resumed["rest"])
            continue
        call = _CALL.match(line)
        if call is None:
            continue
        if call["rest"].rstrip().endswith("<unfinished ...>"):
            begun[call["pid"]] = call
        else:
            _note(seen, call, call["rest"])
    return seen


def _note(seen: Seen, call: re.Match[str], rest: str) -> None:
    result = _RESULT.search(rest)
    if result is None:
        return
    path = _path(call)
    if result["error"] == "ENOENT":
        seen.lacking.add(path)
    if call["call"] in _OPENS and int(result["value"]) >= 0:
        if "O_CREAT" in rest:
            seen.created.add(path)
        elif "O_WRONLY" not in rest and "O_DIRECTORY" not in rest:
            seen.opened.add(path)


def _path(call: re.Match[str]) -> Path:
    named = os.fsdecode(bytes.fromhex(call["path"].replace("\\x", "")))
    folder = call["folder"] or ""
    if folder.startswith("\\x"):
        folder = os.fsdecode(bytes.fromhex(folder.replace("\\x", "")))
    return Path(os.path.normpath(Path(folder, named)))
