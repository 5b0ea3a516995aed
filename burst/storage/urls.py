"""URLs of storages: a bucket's, or a directory's."""

from __future__ import annotations

from pathlib import Path

from burst.errors import ConfigError


def is_bucket(url: str) -> bool:
    """Return whether a URL is meant to be a bucket's."""
    # With one slash, too: as a path it would become a folder called "gs:".
    return url.startswith("gs:")


def canonical(url: str) -> str:
    """Return one spelling for all of the same storage, as `Storage.url` has it.

    Raises:
        ConfigError: the URL is of a kind that burst does not know.
    """
    return url.rstrip("/") if is_bucket(url) else str(directory_of(url))


def directory_of(url: str) -> Path:
    """Return the absolute path of a directory: a path, or ``file://`` and a path.

    Raises:
        ConfigError: the URL is of a kind that burst does not know.
    """
    path = url.removeprefix("file://")
    if "://" in path:
        raise ConfigError(
            f"{url} is no storage that burst knows",
            hint="give the path of a directory, or gs:// and the name of a bucket",
        )
    return Path(path).expanduser().absolute()
