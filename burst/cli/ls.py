"""``burst ls``: look around in the storage."""

from __future__ import annotations

from typing import Annotated

import typer

from burst.cli import console, options, words
from burst.cli.settings import farm_settings
from burst.domain.text import printable


def ls(
    path: Annotated[
        str,
        typer.Argument(metavar="PATH", help="A folder or file in the storage.", show_default=False),
    ] = "",
    storage: options.Storage = None,
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """List what lies in the storage: scenes, renders, logs."""
    from burst.operations.scenes import list_folder, storage_meant

    entries = list_folder(
        storage_meant(farm_settings(state_dir, storage=storage, local=local)), path
    )
    if json:
        console.emit(
            [
                {
                    "name": one.name,
                    "kind": "folder" if one.is_folder else "file",
                    "size": None if one.is_folder else one.size,
                    "changed": None if one.changed is None else words.iso_time(one.changed),
                }
                for one in entries
            ]
        )
        return
    for one in entries:
        size = "" if one.is_folder else words.size(one.size)
        changed = "" if one.changed is None else words.time(one.changed)
        slash = "/" if one.is_folder else ""
        console.say(f"{size:>10}  {changed:16}  {printable(one.name)}{slash}")
