"""`burst upload`, `scenes` and `ls` over a bucket, real fake-gcs-server, and what it may refuse.

Killed uploads, over the strict stand-in: tests/chaos/test_upload_kills.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from burst.cli import console
from burst.cli.main import app
from burst.storage.access import Access
from tests.fakes.blend_bytes import BlendBytes
from tests.fakes.emulator import running_emulator
from tests.fakes.strict_gcs import StrictGcs, running_strict_gcs

Run = Callable[..., Any]


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BURST_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("BURST_BLENDER", "none")
    monkeypatch.setenv("BURST_STORAGE_URL", "gs://farm")
    shot = BlendBytes()
    shot.scene()
    for number in range(5):
        shot.image(f"//{number}.png")
        (tmp_path / f"{number}.png").write_bytes(bytes([number]) * (number + 1))
    (tmp_path / "shot.blend").write_bytes(shot.bytes())
    return tmp_path / "shot.blend"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str, status: int = 0) -> Any:
        capsys.readouterr()
        got = console.exit_status(app, [*arguments, "--json"])
        said = capsys.readouterr()
        assert got == status, said.err
        return json.loads(said.out if not status else said.err.splitlines()[-1])

    return run


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> Iterator[StrictGcs]:
    monkeypatch.setattr(Access, "patience_seconds_at_first", 1.0)
    monkeypatch.setattr(Access, "patience_seconds_once_reached", 1.0)
    with running_strict_gcs("farm") as gcs:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.endpoint)
        yield gcs


def test_a_scene_goes_there_is_listed_compared_and_taken_away(
    scene: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_emulator(tmp_path / "emulator") as emulator:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.endpoint)
        assert run("scenes", "list") == []
        planned = run("upload", "shot.blend", "--dry-run")
        assert planned["send_files"] == 6
        first = run("upload", "shot.blend")
        assert (first["files"], first["sent_files"]) == (6, 6)
        (tmp_path / "0.png").write_bytes(b"another")
        second = run("upload", "shot.blend")
        assert (second["sent_files"], second["sent_bytes"]) == (1, 7)
        assert run("upload", "shot.blend")["sent_files"] == 0
        versions = {one["version"]: one["files"] for one in run("scenes", "list")}
        assert versions == {first["version"]: 6, second["version"]: 6}
        old = f"shot@{first['version']}"
        assert run("scenes", "diff", old)["changed"] == {"0.png": {"before": 1, "after": 7}}
        assert run("scenes", "remove", old, "--yes")["removed"] == [old]
        freed = run("scenes", "gc", "--older-than", "0")
        assert (freed["removed_blobs"], freed["removed_bytes"], freed["kept_blobs"]) == (1, 1, 6)
        assert run("upload", "shot.blend", "--dry-run")["send_files"] == 0
        (entry,) = run("ls", "scenes/shot")
        assert entry["name"] == f"scenes/shot/{second['version']}.json"
        assert run("ls", "uploads", status=1)["error"] == "NotFound"


def test_a_bucket_that_is_not_there_is_said_so(scene: Path, run: Run, strict: StrictGcs) -> None:
    for command in (["upload", "shot.blend"], ["scenes", "list"], ["ls"]):
        refused = run(*command, "--storage", "gs://nothing", status=1)
        assert "nothing" in refused["message"]
        assert refused["hint"]


def test_a_permission_that_lacks_is_named(scene: Path, run: Run, strict: StrictGcs) -> None:
    strict.denied = {"storage.objects.create"}
    refused = run("upload", "shot.blend", status=1)
    assert refused["error"] == "StorageDenied"
    assert "storage.objects.create" in refused["message"]
    assert "add-iam-policy-binding" in refused["hint"]


def test_a_login_that_runs_out_in_the_middle_keeps_what_was_sent(
    scene: Path, run: Run, strict: StrictGcs
) -> None:
    strict.fail("insert", status=401, message="Invalid Credentials", name="blobs/", times=10**6)
    assert run("upload", "shot.blend", status=1)["error"] == "StorageDenied"
    strict.heal()
    assert run("scenes", "gc", "--older-than", "0")["removed_blobs"] == 0
    assert run("upload", "shot.blend")["files"] == 6


@pytest.mark.parametrize("status", [429, 503])
def test_a_bucket_that_is_busy_is_asked_again_for_a_while(
    scene: Path, run: Run, strict: StrictGcs, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(Access, "first_pause_seconds", 0.01)
    strict.fail("insert", status=status, times=3)
    assert run("upload", "shot.blend")["sent_files"] == 6
    strict.fail("insert", status=status, times=10**6)
    refused = run("upload", "shot.blend", "--rehash", "--name", "again", status=1)
    assert refused["error"] == "StorageAway"
