"""The state bucket of a farm: what every laptop needs that is to go on with it.

::

    farm.json                      the settings as they were used
    run.json                       burst's lock; see terraform_locks
    times.json                     how long things took
    storage/, farm/                a root each:
      default.tfstate, .tflock     Terraform's own
      terraform.lock.hcl           which provider it is

It is made by the API, as Terraform needs it before it can make anything. Its name is known to
everybody, so it may be a stranger's who was first: what he could read and change there is the
whole farm. A bucket is the farm's own only with its label, in its project.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from burst.errors import CloudConflict, CloudDenied, CloudNotFound, LoginNeeded, StorageError
from burst.storage.access import GOOGLE, Access
from burst.storage.checksum import crc32c
from burst.storage.login import TOKEN
from burst.storage.objects import ABSENT, AbsentError, ChangedError, DamagedError, Objects

if TYPE_CHECKING:
    from burst.cloud.google_api import GoogleApi

LABEL = "burst-farm"
ENDPOINT = "GOOGLE_STORAGE_CUSTOM_ENDPOINT"
"""Names another Cloud Storage, as it does for Terraform."""

_SERVICE = "STORAGE"
_OLD_VERSIONS = {"daysSinceNoncurrentTime": 30, "numNewerVersions": 20}
"""What may go: a state of a month ago, with twenty after it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The bucket as it is to be."""

    name: str
    project: str
    region: str
    farm: str
    labels: Mapping[str, str]

    def body(self) -> dict[str, Any]:
        """Return it as the API wants it."""
        rule = {"action": {"type": "Delete"}, "condition": _OLD_VERSIONS}
        return {
            "name": self.name,
            "location": self.region,
            "labels": {**self.labels, LABEL: self.farm},
            "lifecycle": {"rule": [rule]},
            **_GUARDS,
        }


_GUARDS: dict[str, Any] = {
    "versioning": {"enabled": True},
    "iamConfiguration": {
        "uniformBucketLevelAccess": {"enabled": True},
        "publicAccessPrevention": "enforced",
    },
}


def judge(found: Mapping[str, Any], wanted: Wanted, project_number: str) -> dict[str, Any]:
    """Return what has to be mended in a bucket that exists; nothing if it is as it should be.

    Args:
        found: the bucket, as the API tells it.
        wanted: as it is to be.
        project_number: of the farm's project.

    Raises:
        CloudConflict: it is not the farm's own.
    """
    name, owner = wanted.name, str(found.get("projectNumber", ""))
    if owner and owner != project_number:
        raise CloudConflict(
            f"the bucket {name} is in somebody else's project (number {owner})",
            hint="give the farm another name in burst.toml",
        )
    label = (found.get("labels") or {}).get(LABEL)
    if label != wanted.farm:
        whose = f"of the farm {label}" if label else f"without the label {LABEL}"
        raise CloudConflict(
            f"the bucket {name} exists already, {whose}",
            hint="give the farm another name in burst.toml; or, if it is yours and empty: "
            f"gcloud storage rm -r gs://{name}",
        )
    return {key: value for key, value in _GUARDS.items() if not _has(found.get(key), value)}


def ensure_bucket(api: GoogleApi, wanted: Wanted, project_number: str) -> bool:
    """Make the bucket if it is not there, and mend it if it is open; say whether it was made.

    Raises:
        CloudConflict: it is somebody else's.
        CloudError: it can't be looked at or made.
    """
    made = False
    found = find_bucket(api, wanted.name)
    if found is None:
        try:
            found = api.post(_SERVICE, "b", wanted.body(), {"project": wanted.project})
            made = True
        except CloudConflict as error:
            # Somebody else was first, or the answer to a first try got lost.
            found = find_bucket(api, wanted.name)
            if found is None:
                raise _taken(wanted.name) from error
    mend = judge(found, wanted, project_number)
    if mend:
        api.patch(_SERVICE, f"b/{wanted.name}", mend)
    return made


def remove_bucket(api: GoogleApi, name: str) -> None:
    """Delete the bucket with every version of everything in it.

    Raises:
        CloudError: it can't be deleted.
    """
    query = {"versions": "true", "fields": "items(name,generation),nextPageToken"}
    try:
        for page in api.pages(_SERVICE, f"b/{name}/o", query):
            for item in page.get("items", ()):
                _remove_version(api, name, item)
        api.delete(_SERVICE, f"b/{name}")
    except CloudNotFound:
        return


class StateBucket:
    """The objects of the bucket."""

    patience_seconds = 20.0
    """How long it is asked again when it does not answer: somebody sits in front of it."""

    def __init__(self, name: str, environ: Mapping[str, str]) -> None:
        """Know a bucket; nothing is asked of it yet."""
        self.name = name
        given = environ.get(ENDPOINT) or GOOGLE
        parts = urlsplit(given)
        # An emulator of one's own machine may want no login; what has one gets it from there.
        anonymous = parts.scheme == "http" and not environ.get(TOKEN)
        path = parts.path.rstrip("/").removesuffix("/storage/v1")
        access = Access(name, f"{parts.scheme}://{parts.netloc}{path}", anonymous=anonymous)
        access.patience_seconds_once_reached = self.patience_seconds
        self._objects = Objects(access)

    def read(self, name: str) -> bytes | None:
        """Return an object's content; None if there is none.

        Raises:
            StorageError: the bucket can't be read.
        """
        found = self.look(name)
        return found[0] if found else None

    def look(self, name: str) -> tuple[bytes, int] | None:
        """Return an object's content and generation; None if there is none.

        Raises:
            StorageError: the bucket can't be read.
        """
        sink, what = io.BytesIO(), f"can't read {name} of gs://{self.name}"
        try:
            found = self._objects.download(name, sink, what)
        except AbsentError:
            return None
        except DamagedError as error:
            raise StorageError(f"{what}: it arrives damaged") from error
        return sink.getvalue(), found.generation

    def write(self, name: str, content: bytes) -> None:
        """Write an object, whatever it was before.

        Raises:
            StorageError: the bucket can't be written.
        """
        self._upload(name, content, None)

    def replace(self, name: str, content: bytes, generation: int = ABSENT) -> int | None:
        """Write an object if it is of a generation, or absent; None if it is not.

        Raises:
            StorageError: the bucket can't be written.
        """
        try:
            return self._upload(name, content, generation)
        except ChangedError:
            found = self.look(name)
            # The answer to a first try may have been lost.
            return found[1] if found and found[0] == content else None

    def remove(self, name: str, generation: int | None = None) -> None:
        """Remove an object, or that generation of it alone; one that is gone is no error.

        Raises:
            StorageError: the bucket can't be written.
        """
        try:
            self._objects.delete(name, f"can't delete {name} of gs://{self.name}", generation)
        except AbsentError:
            return

    def _upload(self, name: str, content: bytes, generation: int | None) -> int:
        what = f"can't write {name} of gs://{self.name}"
        expected = len(content), crc32c(content)
        try:
            return self._objects.upload(
                name, io.BytesIO(content), expected, what, generation=generation
            ).generation
        except DamagedError as error:
            raise StorageError(f"{what}: it arrives damaged") from error


def find_bucket(api: GoogleApi, name: str) -> dict[str, Any] | None:
    """Return a bucket as the API tells it, or None if there is none of that name.

    Raises:
        CloudConflict: it is somebody else's.
        CloudError: it can't be looked at.
    """
    try:
        return api.get(_SERVICE, f"b/{name}", {"projection": "noAcl"})
    except CloudNotFound:
        return None
    except LoginNeeded:
        raise
    except CloudDenied as error:
        raise _taken(name) from error


def _taken(name: str) -> CloudConflict:
    return CloudConflict(
        f"the bucket {name} is somebody else's, or this login may not see it",
        hint="give the farm another name in burst.toml; or, if it is yours, have "
        "roles/storage.admin granted on it",
    )


def _remove_version(api: GoogleApi, bucket: str, item: Mapping[str, Any]) -> None:
    from urllib.parse import quote

    path = f"b/{bucket}/o/{quote(item['name'], safe='')}"
    try:
        api.delete(_SERVICE, path, {"generation": str(item["generation"])})
    except CloudNotFound:
        return


def _has(found: object, wanted: object) -> bool:
    """Say whether all that is wanted is found, as deep as it goes."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(_has(found.get(k), v) for k, v in wanted.items())
    return found == wanted
