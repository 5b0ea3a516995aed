"""The provider as a process that Terraform starts; what it answers is tested without one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.fakes.terraform_provider.plugin import COOKIE, CORE_VERSION, PROTOCOL_VERSION

PROVIDER = [sys.executable, "-m", "tests.fakes.terraform_provider"]
PARENT = f"""
import subprocess, time
child = subprocess.Popen({PROVIDER!r})
print(child.pid, flush=True)
time.sleep(600)
"""
PATIENCE_SECONDS = 120


def environ() -> dict[str, str]:
    return {**os.environ, COOKIE[0]: COOKIE[1], "PYTHONPATH": os.pathsep.join(sys.path)}


def test_nobody_starts_it_by_mistake() -> None:
    without = {name: value for name, value in environ().items() if name != COOKIE[0]}

    ran = subprocess.run(PROVIDER, env=without, capture_output=True, text=True, check=False)

    assert ran.returncode == 1
    assert ran.stderr == "This is a plugin of Terraform, which starts it by itself.\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_it_ends_with_a_terraform_that_was_killed_and_heeds_no_interrupt(
    number: signal.Signals,
) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], env=environ(), stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout
    try:
        child = psutil.Process(int(parent.stdout.readline()))
        said = parent.stdout.readline().split("|")
        assert said[:3] == [str(CORE_VERSION), str(PROTOCOL_VERSION), "unix"]

        if number == signal.SIGINT:
            child.send_signal(number)
            assert is_alive(child)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
    assert ends(child)


def ends(process: psutil.Process) -> bool:
    """Tell whether it ends by itself; it is over in any case."""
    limit = time.monotonic() + PATIENCE_SECONDS
    while is_alive(process):
        if time.monotonic() > limit:
            process.kill()
            return False
        time.sleep(0.05)
    return True


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
