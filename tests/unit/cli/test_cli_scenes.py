"""`burst upload`, `scenes` and `ls` over a directory, without a farm or a Blender.

Over a bucket: tests/chaos/test_upload_kills.py and tests/integration/test_cli_bucket.py.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from burst.cli import console, upload
from burst.cli.main import app
from burst.storage import layout
from tests.fakes.blend_bytes import BlendBytes

Run = Callable[..., Any]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scene with two pictures, one of which a library names too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BURST_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("BURST_BLENDER", "none")
    top = tmp_path / "project"
    (top / "lib").mkdir(parents=True)
    library = BlendBytes()
    library.image("//../wood.png")
    (top / "lib" / "props.blend").write_bytes(library.bytes())
    shot = BlendBytes()
    shot.scene()
    shot.image("//wood.png")
    shot.image("//tin.png")
    shot.link("//lib/props.blend", "IMx")
    (top / "shot.blend").write_bytes(shot.bytes())
    (top / "wood.png").write_bytes(b"wood" * 100)
    (top / "tin.png").write_bytes(b"tin")
    return top


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command with ``--json`` and return what it said; or its text, and its status."""

    def run(*arguments: str, status: int = 0, text: bool = False) -> Any:
        capsys.readouterr()
        got = console.exit_status(app, [*arguments, *([] if text else ["--json"])])
        said = capsys.readouterr()
        assert got == status, said.err
        if text:
            return said.out + said.err
        return json.loads(said.out if not status else said.err.splitlines()[-1])

    return run


def test_a_dry_run_says_what_would_be_sent_and_makes_nothing(
    project: Path, run: Run, tmp_path: Path
) -> None:
    first = run("upload", "project/shot.blend", "--dry-run")
    assert {file["name"]: file["send"] for file in first["files"]} == {
        "lib/props.blend": True, "shot.blend": True, "tin.png": True, "wood.png": True,
    }  # fmt: skip
    assert first["send_bytes"] == first["bytes"]
    assert not (tmp_path / "state").exists()
    sent = run("upload", "project/shot.blend")
    assert (sent["version"], sent["sent_bytes"]) == (first["version"], first["send_bytes"])
    (project / "tin.png").write_bytes(b"copper")
    again = run("upload", "project/shot.blend", "--dry-run")
    assert [file["name"] for file in again["files"] if file["send"]] == ["tin.png"]
    assert (again["send_files"], again["send_bytes"]) == (1, 6)
    text = run("upload", "project/shot.blend", "--dry-run", text=True)
    assert "6 B  send   tin.png" in text
    assert "400 B  there  wood.png" in text
    assert "1 file would be sent, 6 B" in text


def test_explain_says_who_uses_what(project: Path, run: Run) -> None:
    explained = run("upload", "project/shot.blend", "--explain")
    users = {file["name"]: file["users"] for file in explained["files"]}
    assert users["wood.png"] == [
        {"blend": "shot.blend", "block": "Image x"},
        {"blend": "lib/props.blend", "block": "Image x"},
    ]
    assert users["shot.blend"] == []
    assert "Image x of lib/props.blend" in run(
        "upload", "project/shot.blend", "--explain", text=True
    )


def test_missing_files_are_refused_or_allowed(project: Path, run: Run) -> None:
    (project / "tin.png").unlink()
    assert run("upload", "project/shot.blend", status=1)["files"] == ["//tin.png"]
    dry = ("upload", "project/shot.blend", "--dry-run")
    assert run(*dry, status=1)["files"] == ["//tin.png"]
    assert run(*dry, "--allow-missing")["missing"] == ["//tin.png"]
    assert run("upload", "project/shot.blend", "--allow-missing")["files"] == 3


def test_names_that_cannot_be_used_are_refused(project: Path, run: Run) -> None:
    bad = BlendBytes()
    bad.scene()
    bad.image(b"//caf\xe9.png")
    bad.image(b"//a\nb.png")
    (project / "bad.blend").write_bytes(bad.bytes())
    (project / "caf\udce9.png").write_bytes(b"1")
    (project / "a\nb.png").write_bytes(b"2")
    message = run("upload", "project/bad.blend", status=1)["message"]
    assert "2 files have names that can't be used elsewhere" in message
    assert r"a\nb.png: a control character" in message
    assert r"caf\udce9.png: not UTF-8" in message


def test_rehash_finds_what_the_memory_does_not_know(project: Path, run: Run) -> None:
    long_ago = (1_600_000_000, 1_600_000_000)
    os.utime(project / "tin.png", long_ago)
    first = run("upload", "project/shot.blend")
    (project / "tin.png").write_bytes(b"TIN")
    os.utime(project / "tin.png", long_ago)
    assert run("upload", "project/shot.blend")["version"] == first["version"]
    assert run("upload", "project/shot.blend", "--rehash")["version"] != first["version"]


def test_the_storage_may_be_named(project: Path, run: Run, tmp_path: Path) -> None:
    run("upload", "project/shot.blend", "--storage", "elsewhere", "--name", "My Shot")
    (version,) = run("scenes", "list", "--storage", str(tmp_path / "elsewhere"))
    assert version["scene"] == "my-shot"
    assert run("scenes", "list") == []
    refused = run("scenes", "show", "x", status=2)
    assert refused["message"] == f"there is no storage at {tmp_path}/state/storage"
    assert not (tmp_path / "state").exists()


def test_versions_are_listed_shown_compared_and_removed(project: Path, run: Run) -> None:
    old = run("upload", "project/shot.blend")
    (project / "tin.png").write_bytes(b"copper")
    new = run("upload", "project/shot.blend")
    listed = run("scenes", "list", "shot")
    assert {one["version"] for one in listed} == {old["version"], new["version"]}
    assert [one["files"] for one in listed] == [4, 4]
    shown = run("scenes", "show", f"shot@{new['version'][:8]}")
    assert {file["name"]: file["size"] for file in shown["files"]}["tin.png"] == 6
    pair = (f"shot@{old['version']}", f"shot@{new['version']}")
    expected = {"before": 3, "after": 6}
    assert run("scenes", "diff", *pair)["changed"] == {"tin.png": expected}
    (project / "wood.png").unlink()
    local = run("scenes", "diff", pair[1], "project/shot.blend")
    assert (local["added"], local["removed"], local["changed"]) == ({}, {"wood.png": 400}, {})
    assert run("scenes", "remove", pair[0], "--yes") == {"removed": [pair[0]]}
    assert [one["version"] for one in run("scenes", "list")] == [new["version"]]
    assert "which version of shot" in run("scenes", "remove", "shot", "--yes", status=2)["message"]
    assert run("scenes", "diff", "shot", status=2)["message"] == "shot has one version only"


def test_a_version_that_cannot_be_read_is_listed_and_may_be_removed(
    project: Path, run: Run, tmp_path: Path
) -> None:
    run("upload", "project/shot.blend")
    (tmp_path / "state" / "storage" / layout.manifest("shot", "0bad")).write_bytes(b"{")
    listed = {one["version"]: one["files"] for one in run("scenes", "list")}
    assert listed["0bad"] is None
    assert "can't be read" in run("scenes", text=True)
    assert "can't be read" in run("scenes", "show", "shot@0bad", status=1)["message"]
    assert "nothing is removed" in run("scenes", "gc", status=1)["message"]
    run("scenes", "remove", "shot@0bad", "--yes")
    assert run("scenes", "gc")["kept_blobs"] == 4


def test_the_last_two_versions_are_compared(project: Path, run: Run, tmp_path: Path) -> None:
    for age, content in ((300, b"first"), (200, b"second!"), (100, b"third")):
        (project / "tin.png").write_bytes(content)
        done = run("upload", "project/shot.blend")
        name = layout.manifest("shot", done["version"])
        at = (tmp_path / "state" / "storage" / name).stat().st_mtime - age
        os.utime(tmp_path / "state" / "storage" / name, (at, at))
    assert run("scenes", "diff", "shot")["changed"] == {"tin.png": {"before": 7, "after": 5}}


def test_the_space_of_removed_versions_is_freed(project: Path, run: Run) -> None:
    old = run("upload", "project/shot.blend")
    (project / "tin.png").write_bytes(b"copper")
    run("upload", "project/shot.blend")
    run("scenes", "remove", f"shot@{old['version']}", "--yes")
    assert run("scenes", "gc")["young_blobs"] == 1
    planned = run("scenes", "gc", "--older-than", "0", "--dry-run")
    assert (planned["removed_blobs"], planned["removed_bytes"]) == (1, 3)
    text = run("scenes", "gc", "--older-than", "0", text=True)
    assert "1 file, 3 B freed\n4 files are in use" in text
    assert "not ended" not in text
    assert run("scenes", "gc", "--older-than", "0")["removed_blobs"] == 0


def test_what_a_broken_off_upload_holds_is_said(project: Path, run: Run, tmp_path: Path) -> None:
    version = run("upload", "project/shot.blend")["version"]
    storage = tmp_path / "state" / "storage"
    pledge = storage / layout.pending("shot", version, "a")
    pledge.parent.mkdir(parents=True, exist_ok=True)
    pledge.write_bytes((storage / layout.manifest("shot", version)).read_bytes())
    run("scenes", "remove", f"shot@{version}", "--yes")
    text = run("scenes", "gc", "--older-than", "0", text=True)
    assert "0 files, 0 B freed" in text
    assert "1 upload not ended: what such a one has sent is held for a day" in text


@pytest.mark.parametrize("age", ["soon", "-1d", "3 months", ""])
def test_an_age_that_is_none_is_refused(project: Path, run: Run, age: str) -> None:
    run("upload", "project/shot.blend")
    assert "is no age" in run("scenes", "gc", f"--older-than={age}", status=2)["message"]


def test_the_storage_can_be_looked_around_in(project: Path, run: Run) -> None:
    version = run("upload", "project/shot.blend")["version"]
    folders = {one["name"]: one["kind"] for one in run("ls")}
    assert folders["scenes"] == "folder"
    (entry,) = run("ls", "/scenes/shot/")
    assert entry["name"] == f"scenes/shot/{version}.json"
    assert entry["kind"] == "file"
    assert entry["size"] > 100
    assert entry["changed"].endswith("+00:00")
    assert f"scenes/shot/{version}.json" in run("ls", "scenes/shot", text=True)
    assert "there is no nothing" in run("ls", "nothing", status=1)["message"]
    assert run("ls", "../..", status=1)["error"] == "StorageError"


def test_ctrl_c_says_how_to_go_on(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def press(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(upload, "_send", press)
    monkeypatch.setattr("sys.argv", ["burst", "upload", "my shot.blend"])
    text = run("upload", "project/shot.blend", status=130, text=True)
    assert "go on with the same command: burst upload 'my shot.blend'" in text
