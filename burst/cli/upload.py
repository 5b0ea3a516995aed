"""``burst upload``: a scene with all that it needs into the storage, or what that would take."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from burst.cli import console, options, words
from burst.cli.settings import farm_settings
from burst.domain.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from burst.config.farm import FarmSettings
    from burst.scene.trace import SceneTrace
    from burst.scene.upload import Planned, Uploaded


def upload(
    scene: options.Scene,
    name: options.Name = None,
    storage: options.Storage = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Upload although files are missing.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be sent, and what is there.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Only say which data-blocks use each file.")
    ] = False,
    rehash: Annotated[
        bool, typer.Option("--rehash", help="Read every file, whatever is remembered of it.")
    ] = False,
    blender: options.Blender = None,
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Upload a scene with every file that it needs.

    Only what the storage never had is sent. Stopped at any point, the same command goes on.
    """
    from burst.scene.upload import check_complete

    is_look = dry_run or explain
    with nullcontext() if is_look else going_on():
        settings = farm_settings(state_dir, blender=blender, storage=storage, local=local)
        asked = _Asked(name or scene.stem, settings, rehash, is_quiet=json)
        traced = _look_at(scene, asked, allow_missing=allow_missing or is_look)
        if is_look:
            planned = _plan(traced, asked) if dry_run else None
            _print_look(traced, planned, explain=explain, json=json)
            if dry_run:
                # The upload would refuse it, too.
                check_complete(traced, allow_missing)
        else:
            _print_upload(_send(traced, asked), json=json)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was typed, beside the scene."""

    name: str
    settings: FarmSettings
    rehash: bool
    is_quiet: bool
    """For a program, that reads what is told of an error."""


def tell_notes(traced: SceneTrace, notes: tuple[str, ...]) -> None:
    """Say what an artist wants to know before anything is sent."""
    for warning in traced.warnings:
        console.tell(f"warning: {warning}")
    for note in notes:
        console.tell(f"note: {note}")


@contextmanager
def going_on() -> Iterator[None]:
    """Say after a Ctrl-C how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        command = shlex.join(["burst", *sys.argv[1:]])
        console.tell(f"what was sent stays; go on with the same command: {command}")
        raise


def _look_at(scene: Path, asked: _Asked, *, allow_missing: bool) -> SceneTrace:
    from burst.cli.progress import after_a_while
    from burst.operations.check import blenders_at_hand, check_scene, must_be_file

    must_be_file(scene)
    wait = nullcontext() if asked.is_quiet else after_a_while(f"looking at what {scene} needs")
    with wait:
        installed = blenders_at_hand(asked.settings)
        traced, notes = check_scene(scene, allow_missing=allow_missing, installed=installed)
    tell_notes(traced, notes)
    return traced


def _plan(traced: SceneTrace, asked: _Asked) -> Planned:
    from burst.cli.progress import upload_progress
    from burst.operations.scenes import find_storage, storage_meant
    from burst.operations.submit import hasher
    from burst.scene.upload import plan_upload

    storage = find_storage(storage_meant(asked.settings))
    with upload_progress() as progress:
        return plan_upload(traced, asked.name, storage, hasher(rehash=asked.rehash), progress)


def _send(traced: SceneTrace, asked: _Asked) -> Uploaded:
    from burst.cli.progress import upload_progress
    from burst.operations.scenes import storage_meant
    from burst.operations.submit import Ears
    from burst.operations.submit import upload as upload_traced

    url = storage_meant(asked.settings)
    with upload_progress() as progress:
        ears = Ears(progress, console.tell)
        return upload_traced(traced, asked.name, url, ears, rehash=asked.rehash)


def _print_look(traced: SceneTrace, planned: Planned | None, *, explain: bool, json: bool) -> None:
    rows = _rows(traced, planned, explain=explain)
    if json:
        _emit_look(traced, planned, rows)
        return
    for row in rows:
        first = f"{words.size(row['size']):>10}"
        if planned is not None:
            first += "  send " if row["send"] else "  there"
        console.say(f"{first}  {row['name']}")
        for user in row.get("users", ()):
            console.say(f"{'':>14}{user['block']} of {user['blend']}")
    total = words.size(sum(row["size"] for row in rows))
    console.tell(f"{words.count(len(rows), 'file')}, {total}")
    if planned is not None:
        console.tell(
            f"{words.count(len(planned.lacking), 'file')} would be sent, "
            f"{words.size(planned.lacking_bytes)}"
        )


def _rows(traced: SceneTrace, planned: Planned | None, *, explain: bool) -> list[dict[str, Any]]:
    rows = []
    for file in traced.files:
        row: dict[str, Any] = {"name": printable(file.relative)}
        if planned is None:
            row["size"] = file.path.stat().st_size
        else:
            entry = planned.manifest.files[file.relative]
            row |= {"size": entry.size, "send": entry.sha256 in planned.lacking}
        if explain:
            row["users"] = [{"blend": user.blend, "block": user.block} for user in file.users]
        rows.append(row)
    return rows


def _emit_look(traced: SceneTrace, planned: Planned | None, rows: list[dict[str, Any]]) -> None:
    body: dict[str, Any] = {"main": traced.main}
    if planned is not None:
        manifest = planned.manifest
        body |= {
            "scene": manifest.name,
            "version": manifest.version,
            "bytes": manifest.size,
            "send_files": len(planned.lacking),
            "send_bytes": planned.lacking_bytes,
        }
    missing = [file.name for file in traced.missing]
    console.emit({**body, "files": rows, "missing": missing, "warnings": list(traced.warnings)})


def _print_upload(uploaded: Uploaded, *, json: bool) -> None:
    scene = uploaded.scene
    if json:
        console.emit(
            {
                "scene": scene.name,
                "version": scene.version,
                "files": uploaded.files,
                "bytes": uploaded.bytes,
                "sent_files": uploaded.sent_files,
                "sent_bytes": uploaded.sent_bytes,
            }
        )
        return
    console.say(f"{scene.name}@{scene.version}")
    sent = f"{words.count(uploaded.sent_files, 'file')} sent, {words.size(uploaded.sent_bytes)}"
    whole = f"{words.count(uploaded.files, 'file')}, {words.size(uploaded.bytes)}"
    console.tell(f"{whole} in the storage; {sent}")
