"""The storage as a file system of fsspec, to look around in: listings, previews, manifests.

The same code for a bucket and for a directory. To bring files or to write them is the business
of `burst.storage.storage`, which proves what it moves.
"""

from __future__ import annotations

from typing import Any

from burst.storage.access import open_access
from burst.storage.urls import directory_of, is_bucket


def open_files(url: str) -> Any:
    """Open a storage as an ``fsspec`` file system, whose paths are names in the storage.

    ``""`` is its root. A bucket is not asked for anything yet; where it refuses or does not
    answer, the file system's methods raise `StorageError`. A file that is not there, and
    trouble with a local disk, are `OSError` as in any file system of fsspec.

    Raises:
        ConfigError: the URL is of a kind that burst does not know.
    """
    from fsspec.implementations.dirfs import DirFileSystem

    if is_bucket(url):
        access = open_access(url)
        from burst.storage.gcs_files import BucketFiles

        return DirFileSystem(path=access.bucket, fs=BucketFiles(access), skip_instance_cache=True)
    folder = directory_of(url)
    from fsspec.implementations.local import LocalFileSystem

    return DirFileSystem(path=str(folder), fs=LocalFileSystem(), skip_instance_cache=True)
