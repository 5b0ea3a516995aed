"""``burst console``: the farm's pages in a browser, from wherever the farm is."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from burst.cli import console, options
from burst.cli.settings import farm_settings

if TYPE_CHECKING:
    from burst.config.cluster import ClusterFarm

_LOOK_SECONDS = 5.0


def open_console(
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Only print the address.")
    ] = False,
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Open the console of the farm, and print its address.

    For a farm on a cluster the connection lasts until Ctrl-C, over restarts of the manager.
    """
    from burst.config.cluster import ClusterFarm
    from burst.operations.reach import reach_farm

    settings = farm_settings(state_dir, local=local)
    url = reach_farm(settings, tell=console.tell).console_url
    if json:
        console.emit({"console_url": url})
    else:
        console.say(url)
    sys.stdout.flush()
    if not no_browser and not json and sys.stdout.isatty() and _has_windows():
        import webbrowser

        webbrowser.open(url)
    if isinstance(settings, ClusterFarm):
        _stay(settings, url)


def _has_windows() -> bool:
    """Say whether a browser would have a window: one in text would take the terminal."""
    named = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")
    return sys.platform == "darwin" or any(os.environ.get(name) for name in named)


def _stay(settings: ClusterFarm, url: str) -> None:
    """Keep the connection until Ctrl-C; see to it that something comes through."""
    from burst.errors import ManagerUnreachable
    from burst.operations.connect import open_client
    from burst.operations.reach import reach_again

    console.tell("connected; Ctrl-C ends the connection, and the farm goes on")
    is_away = False
    try:
        while True:
            time.sleep(_LOOK_SECONDS)
            try:
                with open_client(url) as client:
                    client.status()
            except ManagerUnreachable:
                if not is_away:
                    console.tell("the manager does not answer, trying again")
                is_away = True
                now = reach_again(settings)
                if now != url:
                    console.tell(f"the port was taken by another program; now at {now}")
                    url = now
            else:
                if is_away:
                    console.tell("the manager answers again")
                is_away = False
    except KeyboardInterrupt:
        console.tell()
