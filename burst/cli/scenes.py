"""``burst scenes``: versions in the storage, listed, compared, removed, and what that leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from burst.cli import console, options, words
from burst.cli.settings import farm_settings
from burst.domain.text import printable

if TYPE_CHECKING:
    from burst.config.farm import FarmSettings
    from burst.scene.collection import Collected
    from burst.scene.versions import Version
    from burst.storage.storage import Storage

app = typer.Typer(help="List, compare and remove scenes in the storage.", rich_markup_mode=None)

VersionTyped = Annotated[
    str,
    typer.Argument(
        metavar="SCENE[@VERSION]",
        help="Name of a scene, for its newest version, or with the beginning of one.",
        show_default=False,
    ),
]


@app.callback(invoke_without_command=True)
def _scenes(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_scenes()


@app.command("list")
def list_scenes(
    name: Annotated[
        str | None,
        typer.Argument(metavar="SCENE", help="Name of a scene. [default: all]", show_default=False),
    ] = None,
    storage: options.Storage = None,
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """List the versions of scenes, newest first."""
    from burst.domain.jobs import slug
    from burst.operations.scenes import find_storage, storage_meant
    from burst.scene.versions import list_versions, read_manifests

    opened = find_storage(storage_meant(farm_settings(state_dir, storage=storage, local=local)))
    versions = list_versions(opened, slug(name) if name else "") if opened else []
    manifests = read_manifests(opened, versions) if opened else []
    rows = [
        {
            **_head(version),
            "files": None if manifest is None else len(manifest.files),
            "bytes": None if manifest is None else manifest.size,
        }
        for version, manifest in zip(versions, manifests, strict=True)
    ]
    if json:
        console.emit(rows)
    elif not rows:
        console.tell("there are no scenes")
    else:
        console.table(
            ("SCENE", "UPLOADED", "FILES", "SIZE"),
            [
                (
                    f"{version.scene.name}@{version.scene.version}",
                    words.time(version.uploaded),
                    "can't be read" if row["files"] is None else str(row["files"]),
                    "" if row["bytes"] is None else words.size(row["bytes"]),
                )
                for version, row in zip(versions, rows, strict=True)
            ],
        )


@app.command("show")
def show(
    scene: VersionTyped,
    storage: options.Storage = None,
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Show the files of one version."""
    from burst.scene.versions import find_version, read_manifest

    opened = _storage(farm_settings(state_dir, storage=storage, local=local))
    version = find_version(opened, scene)
    manifest = read_manifest(opened, version)
    if json:
        files = [
            {"name": where, "size": entry.size, "sha256": entry.sha256}
            for where, entry in sorted(manifest.files.items())
        ]
        head = {**_head(version), "main": manifest.main, "bytes": manifest.size}
        console.emit({**head, "files": files})
        return
    for where, entry in sorted(manifest.files.items()):
        console.say(f"{words.size(entry.size):>10}  {printable(where)}")
    many = f"{words.count(len(manifest.files), 'file')}, {words.size(manifest.size)}"
    uploaded = f"uploaded {words.time(version.uploaded)}"
    console.tell(f"{version.scene.name}@{version.scene.version}: {many}, {uploaded}")


@app.command("diff")
def diff(
    before: Annotated[
        str,
        typer.Argument(
            metavar="BEFORE", help="SCENE, SCENE@VERSION or a .blend.", show_default=False
        ),
    ],
    after: Annotated[
        str | None,
        typer.Argument(
            metavar="AFTER",
            help="The same. [default: the newest version of that scene]",
            show_default=False,
        ),
    ] = None,
    storage: options.Storage = None,
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Say which files two versions have otherwise, or a version and a .blend here.

    With a SCENE alone its last two versions are compared.
    """
    from burst.cli.progress import upload_progress
    from burst.operations.scenes import sides
    from burst.scene.versions import compare

    opened = _storage(farm_settings(state_dir, storage=storage, local=local))
    with upload_progress() as progress:
        old, new = sides(opened, before, after, progress)
    found = compare(old.manifest, new.manifest)
    if json:
        changed = {
            where: {"before": was.size, "after": now.size}
            for where, (was, now) in found.changed.items()
        }
        console.emit(
            {
                "before": old.label,
                "after": new.label,
                "added": {where: entry.size for where, entry in found.added.items()},
                "removed": {where: entry.size for where, entry in found.removed.items()},
                "changed": changed,
            }
        )
        return
    for where, entry in found.added.items():
        console.say(f"added    {printable(where)}  {words.size(entry.size)}")
    for where, entry in found.removed.items():
        console.say(f"removed  {printable(where)}  {words.size(entry.size)}")
    for where, (was, now) in found.changed.items():
        sizes = f"{words.size(was.size)} -> {words.size(now.size)}"
        console.say(f"changed  {printable(where)}  {sizes}")
    counts = f"{len(found.added)} added, {len(found.removed)} removed, {len(found.changed)} changed"
    console.tell(f"from {old.label} to {new.label}: {counts}")


@app.command("remove")
def remove(
    scenes: Annotated[
        list[str],
        typer.Argument(
            metavar="SCENE@VERSION...", help="Versions, or beginnings of them.", show_default=False
        ),
    ],
    yes: options.Yes = False,
    storage: options.Storage = None,
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Remove versions that no unfinished job needs.

    The files that only they had are freed by burst scenes gc.
    """
    from burst.operations.scenes import existing_storage, storage_meant, unused_versions
    from burst.scene.versions import remove_version

    settings = farm_settings(state_dir, storage=storage, local=local)
    opened = existing_storage(storage_meant(settings))
    versions, unasked = unused_versions(opened, scenes, settings)
    if unasked:
        console.tell(f"note: {unasked}")
    names = [f"{one.scene.name}@{one.scene.version}" for one in versions]
    console.confirm(f"Remove {', '.join(names)} from {opened.url}?", yes=yes)
    removed = [
        name for name, one in zip(names, versions, strict=True) if remove_version(opened, one)
    ]
    if json:
        console.emit({"removed": removed})
        return
    for name in names:
        state = "removed" if name in removed else "uploaded again meanwhile, and left alone"
        console.tell(f"{name}: {state}")
    console.tell("free the space: burst scenes gc")


@app.command("gc")
def gc(
    older_than: Annotated[
        str,
        typer.Option(
            "--older-than", metavar="AGE", help="Leave what is younger: 90m, 12h, 30d, 0."
        ),
    ] = "1d",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be removed.")
    ] = False,
    storage: options.Storage = None,
    local: options.Local = False,
    state_dir: options.StateDir = None,
    json: options.Json = False,
) -> None:
    """Free the space of files that no version names any more.

    Uploads may go on meanwhile, and lose nothing.
    """
    from burst.cli.progress import collection_progress
    from burst.operations.scenes import parse_age
    from burst.scene.collection import Collection

    age = parse_age(older_than)
    opened = _storage(farm_settings(state_dir, storage=storage, local=local))
    with collection_progress() as progress:
        collection = Collection(opened, age, progress)
        collected = collection.plan() if dry_run else collection.run()
    _print_collected(collected, dry_run=dry_run, json=json)


def _print_collected(collected: Collected, *, dry_run: bool, json: bool) -> None:
    if json:
        console.emit(
            {
                "dry_run": dry_run,
                "removed_blobs": collected.blobs,
                "removed_bytes": collected.bytes,
                "kept_blobs": collected.kept,
                "young_blobs": collected.young,
                "expired_uploads": collected.expired,
                "pending_uploads": collected.uploads,
            }
        )
        return
    done = "would be freed" if dry_run else "freed"
    console.say(f"{words.count(collected.blobs, 'file')}, {words.size(collected.bytes)} {done}")
    young = f", {collected.young} are too young" if collected.young else ""
    console.tell(f"{words.count(collected.kept, 'file')} are in use{young}")
    if collected.uploads:
        uploads = words.count(collected.uploads, "upload")
        console.tell(f"{uploads} not ended: what such a one has sent is held for a day")


def _head(version: Version) -> dict[str, Any]:
    return {
        "scene": version.scene.name,
        "version": version.scene.version,
        "uploaded": words.iso_time(version.uploaded),
    }


def _storage(settings: FarmSettings) -> Storage:
    from burst.operations.scenes import existing_storage, storage_meant

    return existing_storage(storage_meant(settings))
