"""A storage, and files of a scene, for the tests of this folder."""

import pytest

from burst.storage.directory import DirectoryStorage
from tests.fakes.blend_bytes import BlendBytes


@pytest.fixture
def project(tmp_path):
    """Write files below a folder, given as path=content; bytes by default."""

    def write(files):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.bytes() if isinstance(content, BlendBytes) else content)
        return tmp_path

    return write


@pytest.fixture
def storage(tmp_path):
    """A directory as storage."""
    return DirectoryStorage(tmp_path / "storage")
