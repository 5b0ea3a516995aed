"""Who takes the farm down when verify-cloud itself is killed: a process that waits for its end.

It reads from a pipe that only verify-cloud has the other end of, the number of each process that is
started, and at last that all is done. If the pipe ends without that, verify-cloud is dead: then the
last of those processes is ended as Ctrl-C does, and the farm is taken down. What it says is in the
log. It does not outlive its machine.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from verifycloud.commands import LOG, Burst, FailedError

_DONE = "done"
_SECONDS_TO_END = 600.0
"""What a command may take to save what it was at."""


class Guard:
    """The process, as verify-cloud sees it."""

    def __init__(self, burst: Burst, farm: str, seconds: float) -> None:
        """Start it.

        Args:
            burst: as which program, where and with which environment.
            farm: whose name is typed.
            seconds: what the way down may take.
        """
        scripts = Path(__file__).resolve().parents[1]
        path = os.pathsep.join(filter(None, (str(scripts), burst.environ.get("PYTHONPATH"))))
        with (burst.folder / LOG).open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", __name__, farm, str(seconds), *burst.program],
                cwd=burst.folder,
                env={**burst.environ, "PYTHONPATH": path},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def note(self, process: int) -> None:
        """Tell it what runs from now on."""
        self._tell(str(process))

    def dismiss(self) -> None:
        """Tell it that there is nothing to take down any more, and wait for its end."""
        self._tell(_DONE)
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _tell(self, line: str) -> None:
        if self.process.stdin is not None:
            # A guard that was killed is missed only if verify-cloud is killed as well.
            with contextlib.suppress(OSError):
                self.process.stdin.write(f"{line}\n".encode())
                self.process.stdin.flush()


def orphan(lines: Iterable[str]) -> tuple[bool, int | None]:
    """Return whether the farm is to be taken down, and what runs still, when a pipe has ended."""
    last: int | None = None
    for line in lines:
        if line.strip() == _DONE:
            return False, None
        last = int(line)
    return True, last


def end(process: int, seconds: float = _SECONDS_TO_END) -> None:
    """End a command that lost its parent as Ctrl-C does, and wait until it is gone."""
    ends = time.monotonic() + seconds
    with contextlib.suppress(ProcessLookupError, PermissionError, psutil.Error):
        if os.getsid(process) != process:
            # Commands lead a session. This one has its number, and came after it.
            return
        os.kill(process, signal.SIGINT)
        while psutil.Process(process).status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > ends:
                os.kill(process, signal.SIGKILL)
                return
            time.sleep(0.2)


def take_down(burst: Burst, farm: str, seconds: float) -> None:
    """Take a farm away with all it has, in two tries: a terminal may be closed under the first.

    Raises:
        FailedError: it could not be.
    """
    arguments = ("down", "--all", "--yes", "--farm", farm)
    try:
        burst.do(*arguments, seconds=seconds, is_last=True)
    except FailedError as error:
        burst.say(f"\n== {error}; once more")
        burst.do(*arguments, seconds=seconds, is_last=True)


def main() -> int:
    """Wait, and do it."""
    farm, seconds, *program = sys.argv[1:]
    is_dead, running = orphan(sys.stdin)
    if not is_dead:
        return 0
    print("verify-cloud was killed: taking the farm down", flush=True)
    if running is not None:
        end(running)
    burst = Burst(program, Path.cwd(), os.environ)
    try:
        take_down(burst, farm, float(seconds))
    except FailedError as error:
        print(f"{error}: the farm {farm} may be there still, and bill", flush=True)
        return 1
    print("the farm is gone", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
