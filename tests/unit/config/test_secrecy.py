"""Another program of the same user finds no token in a program of burst; checked as no superuser.

Left out: that a superuser finds it all the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from burst.config import secrecy

NOBODY = 65534
SECRET = "BURST_WORKER_TOKEN=not-for-you"
VICTIM = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("secrecy", sys.argv[1])
secrecy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(secrecy)
if sys.argv[2] == "hidden":
    secrecy.hide_memory()
print("ready", flush=True)
sys.stdin.read()
"""
THIEF = """
import sys
for name in ("environ", "maps"):
    print(open(f"/proc/{sys.argv[1]}/{name}").read(), flush=True)
"""

ROLE = """
import ctypes, os, sys
from burst.manager import app
from burst.worker import agent
from burst.cli.main import app as commands
def look(settings):
    is_open = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
    token = settings.worker_token.get_secret_value()
    print(is_open, token, "BURST_WORKER_TOKEN" in os.environ, flush=True)
    return 0
agent.run_worker = app.run_manager = look
commands([sys.argv[1]])
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can do it")


def nobodys_python() -> list[str]:
    """Return the start of a command that runs Python as a user without rights."""
    python = Path("/usr/bin/python3")
    if os.geteuid() != 0:
        return [sys.executable]
    if not python.exists():
        pytest.skip("the tests run as a superuser, and nobody else can reach a Python")
    # Started as that user, not turned into it: a process that gave up rights is closed anyway.
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", str(python)]


@contextmanager
def victim(how: str) -> Iterator[int]:
    name, _, value = SECRET.partition("=")
    # A folder that nobody may enter is no place to start from.
    with subprocess.Popen(
        [*nobodys_python(), "-c", VICTIM, secrecy.__file__, how],
        env={"PATH": os.environ["PATH"], name: value},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.kill()


def look_into(pid: int) -> subprocess.CompletedProcess[str]:
    thief = [*nobodys_python(), "-c", THIEF, str(pid)]
    return subprocess.run(thief, capture_output=True, text=True, cwd="/", check=False)


def test_any_program_of_the_user_reads_the_environment_of_one_that_does_not_hide() -> None:
    with victim("open") as pid:
        assert SECRET in look_into(pid).stdout


def test_a_program_that_hides_shows_neither_environment_nor_memory() -> None:
    with victim("hidden") as pid:
        found = look_into(pid)
    assert SECRET not in found.stdout
    assert "PermissionError" in found.stderr


def test_no_child_inherits_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURST_WORKER_TOKEN", "not-for-you")
    monkeypatch.setenv("BURST_CONSOLE_TOKEN", "nor-this")
    monkeypatch.setenv("BURST_STORAGE_URL", "/kept")
    secrecy.forget_secrets()
    command = [sys.executable, "-c", "import os; print(sorted(os.environ))"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "TOKEN" not in said
    assert "BURST_STORAGE_URL" in said


@pytest.mark.parametrize("role", ["manager", "worker"])
def test_manager_and_worker_hide_and_forget_before_they_begin(role: str, tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", ROLE, role],
        env={**os.environ, "BURST_WORKER_TOKEN": "secret", "BURST_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.stdout == "0 secret False\n", said.stderr
