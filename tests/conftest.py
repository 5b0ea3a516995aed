"""What every test gets: no farm, settings or network but its own; the Blenders of this machine.

``BURST_TEST_BLENDERS`` names the programs to render with, separated by colons: a ``blender``,
or the ``python`` of an environment with bpy; they come before the ``blender`` in PATH and the
newest bpy in burst's cache. `scripts/test` sets it. See ``tests/fakes/blenders.py``.
"""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

UNIT = Path(__file__).parent / "unit"
PLACES = {
    "HOME": "home",
    "XDG_CACHE_HOME": "home/.cache",
    "XDG_CONFIG_HOME": "home/.config",
    "XDG_DATA_HOME": "home/.local/share",
    "XDG_STATE_HOME": "home/.local/state",
}
"""Where burst, and what it starts, look for what is the user's own."""

KILLS = 12
"""Kills at random moments in a run that nobody asked more of."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of tests/chaos; pytest wants them here to know them before it collects."""
    parser.addoption("--kills", type=int, default=KILLS, help="kills at random moments")
    parser.addoption("--seed", type=int, default=None, help="of the random moments")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object | None:
    """Share tests out so that one that takes its process with it does not stop the others."""
    if config.getvalue("dist") != "loadgroup":
        return None
    from tests.scheduling import CrashProof

    return CrashProof(config, log)


def pytest_configure(config: pytest.Config) -> None:
    """Find the Blenders while the cache is still the user's; forget the user's settings."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell gives that to what it runs in the background, and every child would inherit it:
        # no test of Ctrl-C would ever end.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    programs = _blenders()
    for name in [name for name in os.environ if name.startswith("BURST_")]:
        if not name.startswith("BURST_TEST_"):
            del os.environ[name]
    for program in programs:
        if program.name.startswith("python"):
            os.environ["BURST_TEST_BPY"] = str(program)
        else:
            os.environ["PATH"] = f"{program.parent}{os.pathsep}{os.environ['PATH']}"


def _blenders() -> list[Path]:
    named = os.environ.get("BURST_TEST_BLENDERS")
    if named is not None:
        return [Path(program) for program in named.split(":") if program]
    if "BURST_TEST_BPY" in os.environ:
        return [Path(os.environ["BURST_TEST_BPY"])]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return sorted(cache.glob("burst/bpy-*/bin/python"))[-1:]


@pytest.fixture(scope="session", autouse=True)
def _home_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Give fixtures that live longer than a test a home that is nobody's."""
    os.environ.update(_new_home(tmp_path_factory))


@pytest.fixture(autouse=True)
def _home_of_the_test(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Give each test a home of its own."""
    for name, place in _new_home(tmp_path_factory).items():
        monkeypatch.setenv(name, place)


def _new_home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    # Not in tmp_path, which a test may list.
    folder = tmp_path_factory.mktemp("own")
    (folder / "home").mkdir()
    return {name: str(folder / place) for name, place in PLACES.items()}


@pytest.fixture(autouse=True)
def _loopback_only(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse a unit test every address but this machine's own.

    Sockets that Python makes; not those of uvloop and of child processes.
    """
    if not request.node.path.is_relative_to(UNIT):
        return
    for name in ("connect", "connect_ex"):
        real = getattr(socket.socket, name)

        def guarded(mine: socket.socket, address: Any, _real: Any = real) -> Any:
            if mine.family != socket.AF_UNIX and not _is_loopback(address[0]):
                mine.close()
                raise AssertionError(f"a unit test reached out to {address[0]}")
            return _real(mine, address)

        monkeypatch.setattr(socket.socket, name, guarded)


def _is_loopback(host: str) -> bool:
    return host == "localhost" or ipaddress.ip_address(host).is_loopback
