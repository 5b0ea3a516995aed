"""Versions of .blend files by their first bytes. Real files are in the integration tests."""

import gzip
import os
import struct
from pathlib import Path

import pytest
import zstandard

from burst.errors import SceneUnreadable
from burst.scene.header import read_version


def saved(folder: Path, content: bytes) -> Path:
    path = folder / "shot.blend"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("header", "version"),
    [
        (b"BLENDER-v304REND", (3, 4)),
        (b"BLENDER-v279REND", (2, 79)),
        (b"BLENDER_v248REND", (2, 48)),
        (b"BLENDER-V403REND", (4, 3)),
        (b"BLENDER17-01v0500REND", (5, 0)),
        (b"BLENDER17-01v0502REND", (5, 2)),
        (b"BLENDER17-02v1003REND", (10, 3)),
    ],
)
def test_the_version_is_read_from_every_form_of_header(tmp_path, header, version):
    assert read_version(saved(tmp_path, header)) == version


def test_gzip_is_looked_into(tmp_path):
    assert read_version(saved(tmp_path, gzip.compress(b"BLENDER-v279" + bytes(99)))) == (2, 79)


def test_zstd_is_looked_into(tmp_path):
    packed = zstandard.compress(b"BLENDER17-01v0500" + bytes(99))
    assert read_version(saved(tmp_path, packed)) == (5, 0)


def test_zstd_may_begin_with_a_frame_to_skip_and_cut_the_header_in_two(tmp_path):
    skipped = b"\x52\x2a\x4d\x18" + struct.pack("<I", 3) + b"abc"
    frames = zstandard.compress(b"BLENDER17-0") + zstandard.compress(b"1v0501 and more")
    assert read_version(saved(tmp_path, skipped + frames)) == (5, 1)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n", "is not a .blend"),
        (b"BLENDER", "is not a .blend"),
        (b"BLENDER-vabc", "is not a .blend"),
        (gzip.compress(b"a text"), "is not a .blend"),
        (gzip.compress(os.urandom(99))[:20], "is damaged"),
        (gzip.compress(b"BLENDER-v279")[:10] + b"\xff" * 20, "is damaged"),
        (zstandard.compress(os.urandom(99))[:8] + b"\xff" * 30, "is damaged"),
    ],
    ids=["empty", "png", "short", "letters", "text", "cut", "broken-gzip", "broken-zstd"],
)
def test_what_is_no_blend_is_refused_with_a_reason(tmp_path, content, reason):
    with pytest.raises(SceneUnreadable, match=reason):
        read_version(saved(tmp_path, content))


def test_a_lacking_file_is_refused(tmp_path):
    with pytest.raises(SceneUnreadable, match="there is no file"):
        read_version(tmp_path / "nothing.blend")


def test_a_broken_link_is_refused(tmp_path):
    link = tmp_path / "link.blend"
    link.symlink_to(tmp_path / "gone.blend")
    with pytest.raises(SceneUnreadable, match="there is no file"):
        read_version(link)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(SceneUnreadable, match="is a folder"):
        read_version(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path):
    path = saved(tmp_path, b"BLENDER-v304")
    path.chmod(0)
    with pytest.raises(SceneUnreadable, match="Permission denied"):
        read_version(path)
