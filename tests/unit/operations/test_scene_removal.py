"""Removing scene versions while a farm may need them, and naming the storage that is meant."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

from burst import __version__
from burst.config.farm import FarmSettings
from burst.domain.jobs import SceneRef
from burst.domain.transitions import JobStatus
from burst.errors import NotAllowed, UsageError
from burst.manager.state_dir import Address, database_path, lock_path, write_address
from burst.operations.scenes import (
    existing_storage,
    parse_age,
    storage_meant,
    unused_versions,
)
from burst.scene.manifest import FileEntry, Manifest
from burst.storage import layout
from burst.storage.directory import DirectoryStorage
from tests.fakes.manager import FakeManager, job_view


@pytest.fixture
def settings(tmp_path: Path) -> FarmSettings:
    (tmp_path / "state").mkdir()
    return FarmSettings(state_dir=tmp_path / "state")


@pytest.fixture
def running(settings: FarmSettings, manager: FakeManager) -> Iterator[FakeManager]:
    """A manager that holds the state directory."""
    write_address(settings.state_dir, Address(1, manager.url, manager.url, __version__, False))
    with lock_path(settings.state_dir).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield manager


@pytest.fixture
def version(storage_dir: Path) -> SceneRef:
    made = Manifest(name="shot", main="a", files={"a": FileEntry("0" * 64, 1)})
    name = layout.manifest("shot", made.version)
    DirectoryStorage(storage_dir).put_bytes(made.to_bytes(), name)
    return SceneRef(name="shot", version=made.version)


@pytest.mark.parametrize("status", [JobStatus.QUEUED, JobStatus.ACTIVE, JobStatus.PAUSED])
def test_a_version_that_an_unfinished_job_needs_is_not_removed(
    running: FakeManager,
    settings: FarmSettings,
    version: SceneRef,
    storage_dir: Path,
    status: JobStatus,
) -> None:
    running.job = job_view(scene=version, status=status)
    with pytest.raises(NotAllowed, match=r"shot@\w+ is needed by shot-abc234") as caught:
        unused_versions(existing_storage(str(storage_dir)), ["shot@" + version.version], settings)
    assert "burst jobs cancel shot-abc234" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("version_of_job", "status"),
    [("0" * 16, JobStatus.ACTIVE), (None, JobStatus.COMPLETED), (None, JobStatus.FAILED)],
)
def test_a_version_that_no_unfinished_job_needs_may_go(
    running: FakeManager,
    settings: FarmSettings,
    version: SceneRef,
    storage_dir: Path,
    version_of_job: str | None,
    status: JobStatus,
) -> None:
    scene = SceneRef(name="shot", version=version_of_job or version.version)
    running.job = job_view(scene=scene, status=status)
    storage = existing_storage(str(storage_dir))
    (found,), unasked = unused_versions(storage, ["shot@" + version.version], settings)
    assert (found.scene, unasked) == (version, "")


def test_a_farm_that_does_not_run_is_said_not_to_be_asked(
    settings: FarmSettings, version: SceneRef, storage_dir: Path
) -> None:
    storage = existing_storage(str(storage_dir))
    typed = ["shot@" + version.version]
    assert unused_versions(storage, typed, settings)[1] == ""
    database_path(settings.state_dir).touch()
    assert "does not run, so it was not asked" in unused_versions(storage, typed, settings)[1]


def test_the_storage_that_is_named_is_meant_else_the_farms(
    running: FakeManager, settings: FarmSettings, storage_dir: Path, tmp_path: Path
) -> None:
    assert storage_meant(settings) == str(storage_dir)
    named = FarmSettings(state_dir=settings.state_dir, storage_url="gs://other")
    assert storage_meant(named) == "gs://other"
    idle = FarmSettings(state_dir=tmp_path / "idle")
    assert storage_meant(idle) == str(tmp_path / "idle" / "storage")


def test_a_storage_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no storage at"):
        existing_storage(f"file://{tmp_path}/gone")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [("0", 0), ("90", 90), ("1.5h", 5400), ("2d", 172800), (" 1 W ", 604800), ("3m", 180)],
)
def test_an_age_is_read(typed: str, seconds: float) -> None:
    assert parse_age(typed) == seconds
