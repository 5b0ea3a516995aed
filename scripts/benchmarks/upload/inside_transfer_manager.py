"""Copies a folder to a bucket by google-cloud-storage's `transfer_manager`.

Its arguments: folder, bucket, ``process`` or ``thread``, and how many of them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.cloud.storage import transfer_manager


def copy(folder: str, bucket: str, kind: str, workers: int) -> None:
    """Copy every file below ``folder``."""
    top = Path(folder)
    names = [path.relative_to(top).as_posix() for path in top.rglob("*") if path.is_file()]
    # Large ones first, as anybody would have it who wants to be done early.
    names.sort(key=lambda name: -(top / name).stat().st_size)
    client = storage.Client(project="bench", credentials=AnonymousCredentials())
    results = transfer_manager.upload_many_from_filenames(
        client.bucket(bucket),
        names,
        source_directory=folder,
        blob_name_prefix="copy/",
        worker_type=kind,
        max_workers=workers,
    )
    failed = [result for result in results if isinstance(result, Exception)]
    if failed:
        sys.exit(f"{len(failed)} of {len(names)} failed, with {failed[0]!r}")


if __name__ == "__main__":
    copy(*sys.argv[1:4], int(sys.argv[4]))
