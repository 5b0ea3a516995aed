"""The manifest of a scene: where each file lies and what is in it; its digest is the version.

Nothing in it tells of when, where or by which program it was made, so that the same files
are the same version on every machine.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from burst.errors import StorageError


def _checked_place(place: str) -> str:
    """Check a relative path, since a checkout makes files where it says."""
    parts = place.split("/")
    if not place or "\0" in place or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{place!r} is no relative path")
    return place


Place = Annotated[str, AfterValidator(_checked_place)]
"""``/``-separated path below the scene's root, without ``.`` and ``..``."""


class FileEntry(NamedTuple):
    """Content of one file."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]


class Manifest(BaseModel):
    """The files of one scene version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    """Of this file; a reader refuses one that it does not know."""
    name: str
    """Of the scene, safe as a path part."""
    main: Place
    """The .blend to open."""
    files: dict[Place, FileEntry]
    outside: dict[str, Place] = {}
    """What stands for an absolute path that a .blend names (`burst.scene.naming.key_of`) →
    where that lies in the scene. Patterns and folders too, for names of many files."""

    @model_validator(mode="after")
    def _check_tree(self) -> Manifest:
        if self.main not in self.files:
            raise ValueError(f"the scene's .blend, {self.main}, is not among its files")
        folders: set[str] = set()
        for place in self.files:
            folder = place.rpartition("/")[0]
            # Its own folders were looked at with the first file in it.
            while folder and folder not in folders:
                if folder in self.files:
                    raise ValueError(f"{folder} is a file and a folder")
                folders.add(folder)
                folder = folder.rpartition("/")[0]
        return self

    @cached_property
    def version(self) -> str:
        """First 16 hex digits of the SHA-256 of `to_bytes`."""
        return hashlib.sha256(self.to_bytes()).hexdigest()[:16]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files.values())

    def to_bytes(self) -> bytes:
        """Return it as canonical JSON: one text for one content."""
        return self._canonical

    @cached_property
    def _canonical(self) -> bytes:
        content = self.model_dump(mode="json")
        return json.dumps(
            content, sort_keys=True, ensure_ascii=False, separators=(",", ":")
        ).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Manifest:
        """Read it back.

        Raises:
            StorageError: it is damaged, or of a newer burst.
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise StorageError(
                f"a scene's manifest can't be read: {reason}", hint="upload the scene again"
            ) from error
