"""A checkout by root and by another user: what Blender may write to is its own, blobs are nobody's.

A program that writes to everything in a checkout stands for Blender; real ones that rewrite a
stale point cache are in `test_scene_files`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from burst.scene.manifest import FileEntry, Manifest
from burst.storage import layout
from burst.storage.directory import DirectoryStorage

NOBODY = 65534
STALE = "blendcache_shot/4F42_000001_00.bphys"
LAYER = "set/layer.usd"
CONTENTS = {"shot.blend": b"scene", STALE: b"stale", LAYER: b"layer", "tex/wood.png": b"wood"}

WRITE_EVERYWHERE = """
import json, os, sys
from pathlib import Path
from burst.domain.jobs import SceneRef
from burst.scene.blob_cache import CachedBlobs
from burst.scene.checkout import checkout
from burst.scene.source import MountedBlobs
from burst.storage.directory import DirectoryStorage
kind, root, version, home, uid = sys.argv[1:]
# Only now: the other user may not even read this Python.
os.setgroups([])
os.setgid(int(uid))
os.setuid(int(uid))
storage = DirectoryStorage(Path(root))
source = MountedBlobs(Path(root), storage)
if kind == "remote":
    source.is_remote = True
if kind == "fetch":
    source = CachedBlobs(Path(home, "cache"), 0, storage)
done = checkout(SceneRef(name="s", version=version), storage, source, Path(home, "scene"))
said = {}
for place in done.files:
    path = done.folder / place
    if path.is_symlink() and uid == "0":
        # The cage holds root's Blender; see test_trust.
        said[place] = "a link"
        continue
    try:
        with path.open("r+b") as file:
            file.write(b"XXXXX")
        said[place] = "written"
    except PermissionError:
        said[place] = "refused"
print(json.dumps(said))
source.close()
"""


@pytest.fixture
def top() -> Iterator[Path]:
    """A folder that another user can reach, unlike that of the tests."""
    folder = Path(tempfile.mkdtemp(prefix="burst-rights-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("kind", ["local", "remote", "fetch"])
@pytest.mark.parametrize("user", ["root", "another"])
def test_what_is_written_in_a_checkout_changes_no_blob(top: Path, kind: str, user: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("to be another user needs root")
    storage = DirectoryStorage(top / "storage")
    files = {}
    for place, content in CONTENTS.items():
        sha256 = hashlib.sha256(content).hexdigest()
        storage.put_bytes(content, layout.blob(sha256))
        storage.blob_path(sha256).chmod(0o444)
        files[place] = FileEntry(sha256, len(content))
    manifest = Manifest(name="s", main="shot.blend", files=files)
    storage.put_bytes(manifest.to_bytes(), layout.manifest("s", manifest.version))
    home = top / "home"
    home.mkdir()
    uid = 0 if user == "root" else NOBODY
    os.chown(home, uid, uid)
    words = [kind, str(storage.root), manifest.version, str(home), str(uid)]
    done = subprocess.run(
        [sys.executable, "-c", WRITE_EVERYWHERE, *words],
        capture_output=True, text=True, timeout=60,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(home)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    linked = "a link" if user == "root" else "refused"
    assert json.loads(done.stdout) == {
        "shot.blend": linked, STALE: "written", LAYER: "written", "tex/wood.png": linked,
    }  # fmt: skip
    for name in storage.list("blobs/"):
        assert hashlib.sha256(storage.get_bytes(name)).hexdigest() == name.rpartition("/")[2]
