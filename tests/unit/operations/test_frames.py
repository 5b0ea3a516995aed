"""Bringing frames to a folder, over a real storage directory."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from burst.errors import StorageError
from burst.operations.frames import FrameFolder, output_of, with_way_back
from burst.protocol.messages import OutputFile
from burst.storage import layout
from burst.storage.directory import DirectoryStorage
from tests.fakes.manager import frame_view

JOB = "shot-abc234"


def published(storage: DirectoryStorage, name: str, content: bytes) -> OutputFile:
    storage.put_bytes(content, layout.render(JOB, name))
    return OutputFile(name=name, size=len(content), sha256=hashlib.sha256(content).hexdigest())


@pytest.fixture
def storage(tmp_path: Path) -> DirectoryStorage:
    return DirectoryStorage(tmp_path / "storage")


@pytest.fixture
def folder(tmp_path: Path, storage: DirectoryStorage) -> FrameFolder:
    return FrameFolder(tmp_path / "out", storage, JOB)


def test_files_arrive_whole_and_leave_nothing_else(
    folder: FrameFolder, storage: DirectoryStorage
) -> None:
    file = published(storage, "left/shot_0001.png", b"pixels")
    folder.bring([frame_view(1, 1, file)])
    assert (folder.folder / "left/shot_0001.png").read_bytes() == b"pixels"
    assert [path.name for path in (folder.folder / "left").iterdir()] == ["shot_0001.png"]
    assert (folder.brought, folder.kept) == (1, 0)


def test_an_identical_file_is_kept_and_a_different_one_replaced(
    folder: FrameFolder, storage: DirectoryStorage
) -> None:
    same, other = published(storage, "a.png", b"same"), published(storage, "b.png", b"new!")
    folder.folder.mkdir()
    (folder.folder / "a.png").write_bytes(b"same")
    (folder.folder / "b.png").write_bytes(b"old!")
    before = (folder.folder / "a.png").stat()
    folder.bring([frame_view(1, 1, same, other)])
    assert (folder.folder / "a.png").stat().st_ino == before.st_ino
    assert (folder.folder / "b.png").read_bytes() == b"new!"
    assert (folder.brought, folder.kept) == (1, 1)


def test_a_file_that_is_not_what_was_published_never_appears(
    folder: FrameFolder, storage: DirectoryStorage
) -> None:
    file = published(storage, "a.png", b"right")
    storage.put_bytes(b"wrong", layout.render(JOB, "a.png"))
    with pytest.raises(StorageError, match="not what was published"):
        folder.bring([frame_view(1, 1, file)])
    assert list(folder.folder.iterdir()) == []


@pytest.mark.parametrize("name", ["../a.png", "/tmp/a.png", "x/../../a.png"])
def test_a_name_that_leaves_the_folder_is_refused(folder: FrameFolder, name: str) -> None:
    file = OutputFile(name=name, size=1, sha256="0" * 64)
    with pytest.raises(StorageError, match="no name for a frame"):
        folder.bring([frame_view(1, 1, file)])


def test_a_file_that_is_gone_is_a_storage_error(folder: FrameFolder) -> None:
    with pytest.raises(StorageError):
        folder.bring([frame_view(1, 1, OutputFile(name="a.png", size=1, sha256="0" * 64))])


def test_a_folder_that_can_not_be_made_is_a_storage_error(
    tmp_path: Path, storage: DirectoryStorage
) -> None:
    file = published(storage, "a.png", b"pixels")
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(StorageError):
        FrameFolder(tmp_path / "out", storage, JOB).bring([frame_view(1, 1, file)])


def test_frames_go_where_was_typed_else_where_the_job_says() -> None:
    assert output_of("/jobs/own", "shot", Path("/typed")) == Path("/typed")
    assert output_of("/jobs/own", "shot", None) == Path("/jobs/own")
    assert output_of("", "a/b", None) == Path.cwd() / "a-b-frames"


def test_an_error_while_bringing_says_how_to_get_the_frames_later() -> None:
    assert JOB in (with_way_back(StorageError("no"), JOB).hint or "")
