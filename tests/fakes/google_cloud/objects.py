"""Cloud Storage: objects in all their versions, and what the JSON API says of them."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.fakes.google_cloud import buckets
from tests.fakes.google_cloud.answering import Call, answers
from tests.fakes.google_cloud.operations import timestamp
from tests.fakes.google_cloud.refusals import RefusedError
from tests.fakes.strict_gcs_answers import checksum

PAGE = 1000
TOLD = (
    "cacheControl", "contentDisposition", "contentEncoding", "contentLanguage", "contentType",
    "customTime", "metadata", "storageClass",
)  # fmt: skip
"""What a caller may say of an object."""


@dataclass
class Version:
    """An object, of one generation."""

    name: str
    content: bytes
    told: dict[str, Any]
    generation: int
    created: str = field(default_factory=timestamp)
    metageneration: int = 1
    gone: str = ""
    """Since when it is not the newest, in a bucket that keeps such."""

    def shown(self, bucket: str, url: str) -> dict[str, Any]:
        """Return it as the JSON API does, that listens at a URL."""
        name = quote(self.name, safe="")
        media = f"{url}/download/storage/v1/b/{bucket}/o/{name}"
        digest = hashlib.md5(self.content, usedforsecurity=False).digest()
        shown = {
            "kind": "storage#object",
            "id": f"{bucket}/{self.name}/{self.generation}",
            "selfLink": f"{buckets.LINK}/{bucket}/o/{name}",
            "mediaLink": f"{media}?generation={self.generation}&alt=media",
            "name": self.name,
            "bucket": bucket,
            "generation": str(self.generation),
            "metageneration": str(self.metageneration),
            "size": str(len(self.content)),
            "crc32c": checksum(self.content),
            "md5Hash": base64.b64encode(digest).decode(),
            "etag": base64.b64encode(str(self.generation).encode()).decode(),
            "storageClass": "STANDARD",
            "timeCreated": self.created,
            "updated": self.created,
            **{key: self.told[key] for key in TOLD if self.told.get(key) is not None},
        }
        return {**shown, "timeDeleted": self.gone} if self.gone else shown


class Objects:
    """The objects of all buckets."""

    def __init__(self) -> None:
        self._all: dict[str, list[Version]] = {}
        self._generation = 1_700_000_000_000_000

    def open(self, bucket: str) -> None:
        """Note a new bucket."""
        self._all[bucket] = []

    def close(self, bucket: str) -> None:
        """Forget a bucket."""
        del self._all[bucket]

    def versions(self, bucket: str) -> list[Version]:
        """Return what is in a bucket, by name and age."""
        return sorted(self._all.get(bucket, []), key=lambda v: (v.name.encode(), v.generation))

    def find(self, bucket: str, name: str, generation: str | None = None) -> Version | None:
        """Return an object's newest version, or one that is named."""
        for one in self._all[bucket]:
            if one.name == name and (
                str(one.generation) == generation or not (generation or one.gone)
            ):
                return one
        return None

    def write(
        self, bucket: str, name: str, content: bytes, told: dict[str, Any], *, keep: bool
    ) -> Version:
        """Put an object in a bucket; what it replaces stays if it is to be kept."""
        if not name or len(name.encode()) > 1024 or {"\r", "\n"} & set(name):
            raise RefusedError(400, f"Invalid object name: {name!r}")
        _check_hashes(told, content)
        before = self.find(bucket, name)
        if before:
            self.remove(bucket, before, keep=keep)
        self._generation += 1
        made = Version(name, content, told, self._generation)
        self._all[bucket].append(made)
        return made

    def remove(self, bucket: str, one: Version, *, keep: bool) -> None:
        """Take an object away; one that is kept is not its newest version any more."""
        if keep and not one.gone:
            one.gone = timestamp()
        else:
            self._all[bucket].remove(one)


def _check_hashes(told: dict[str, Any], content: bytes) -> None:
    if told.get("crc32c", checksum(content)) != checksum(content):
        raise RefusedError(
            400, f"Provided CRC32C \"{told['crc32c']}\" doesn't match calculated "
            f'"{checksum(content)}".',
        )  # fmt: skip
    digest = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
    if told.get("md5Hash", digest) != digest:
        raise RefusedError(400, f'Provided MD5 hash "{told["md5Hash"]}" doesn\'t match calculated.')


def check(query: dict[str, str], found: Version | None, prefix: str = "if") -> None:
    """Refuse a request about another state of an object."""
    generation = found.generation if found else 0
    meta = found.metageneration if found else 0
    for name, now in (("Generation", generation), ("Metageneration", meta)):
        wanted, unwanted = query.get(f"{prefix}{name}Match"), query.get(f"{prefix}{name}NotMatch")
        if wanted is not None and int(wanted) != now:
            raise RefusedError(412, buckets.NOT_MET)
        if unwanted is not None and int(unwanted) == now:
            raise RefusedError(304 if prefix == "if" else 412, buckets.NOT_MET)


def keeps(bucket: dict[str, Any]) -> bool:
    """Tell whether a bucket keeps what is replaced or deleted."""
    return bool((bucket.get("versioning") or {}).get("enabled"))


def look(call: Call) -> Version:
    """Return the object that a call is about."""
    buckets.look(call)
    bucket, name = call.names["bucket"], call.names["object"]
    found = call.cloud.objects.find(bucket, name, call.query.get("generation"))
    if found is None:
        check({k: v for k, v in call.query.items() if k == "ifGenerationMatch" and v != "0"}, None)
        raise RefusedError(404, f"No such object: {bucket}/{name}")
    check(call.query, found)
    return found


@answers("storage.objects.get")
def get(call: Call) -> dict[str, Any]:
    """Show what there is to say of an object."""
    return look(call).shown(call.names["bucket"], call.cloud.url)


@answers("storage.objects.list")
def list_(call: Call) -> dict[str, Any]:
    """Show objects, and the folders that a delimiter makes of their names."""
    buckets.look(call)
    query, bucket = call.query, call.names["bucket"]
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    limit = min(int(query.get("maxResults") or PAGE), PAGE, call.cloud.page_size)
    after = base64.b64decode(query.get("pageToken", "")).decode().partition("\n")
    rows: list[tuple[str, str, Version | None]] = []
    for one in call.cloud.objects.versions(bucket):
        if (one.gone and query.get("versions", "").lower() != "true") or not _is_wanted(
            one.name, query
        ):
            continue
        folder, cut, _ = one.name[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
        if cut:
            row: tuple[str, str, Version | None] = (prefix + folder + cut, "", None)
            if row not in rows:
                rows.append(row)
        else:
            rows.append((one.name, str(one.generation), one))
    rows = [row for row in rows if not after[0] or (row[0], row[1]) > (after[0], after[2])]
    page: dict[str, Any] = {"kind": "storage#objects"}
    items = [one.shown(bucket, call.cloud.url) for _, _, one in rows[:limit] if one]
    folders = [name for name, _, one in rows[:limit] if one is None]
    page |= {"items": items} if items else {}
    page |= {"prefixes": folders} if folders else {}
    if len(rows) > limit:
        last = f"{rows[limit - 1][0]}\n{rows[limit - 1][1]}"
        page["nextPageToken"] = base64.b64encode(last.encode()).decode()
    return page


def _is_wanted(name: str, query: dict[str, str]) -> bool:
    start, end = query.get("startOffset", ""), query.get("endOffset")
    return name.startswith(query.get("prefix", "")) and name >= start and (not end or name < end)


@answers("storage.objects.delete")
def delete(call: Call) -> None:
    """Delete an object; its version, if one is named, for good."""
    found = look(call)
    keep = keeps(buckets.look(call)) and "generation" not in call.query
    call.cloud.objects.remove(call.names["bucket"], found, keep=keep)


@answers("storage.objects.patch", "storage.objects.update")
def change(call: Call) -> dict[str, Any]:
    """Change what is said of an object."""
    found = look(call)
    found.told = {**found.told, **{key: call.body[key] for key in TOLD if key in call.body}}
    found.metageneration += 1
    return found.shown(call.names["bucket"], call.cloud.url)


@answers("storage.objects.insert")
def insert(_call: Call) -> None:
    """Refuse: contents come by the paths for uploads."""
    raise RefusedError(
        400,
        "Upload requests must include an uploadType URL parameter and a URL path beginning with "
        "/upload/",
        reason="wrongUrlForUpload",
    )


def write(
    call: Call, bucket: str, name: str, content: bytes, told: dict[str, Any]
) -> dict[str, Any]:
    """Put an object in a bucket if the preconditions hold, and show it."""
    names = {"bucket": bucket}
    found = buckets.look(Call(call.cloud, call.method, names))
    check(call.query, call.cloud.objects.find(bucket, name))
    made = call.cloud.objects.write(bucket, name, content, told, keep=keeps(found))
    return made.shown(bucket, call.cloud.url)


@answers("storage.objects.rewrite", "storage.objects.copy")
def copy(call: Call) -> dict[str, Any]:
    """Copy an object, in one go."""
    names, query = call.names, call.query
    source_names = {"bucket": names["sourceBucket"], "object": names["sourceObject"]}
    wanted = {"generation": query["sourceGeneration"]} if "sourceGeneration" in query else {}
    source = look(Call(call.cloud, call.method, source_names, wanted))
    check(query, source, "ifSource")
    told = call.body or source.told
    shown = write(
        call, names["destinationBucket"], names["destinationObject"], source.content, told
    )
    if call.method == "storage.objects.copy":
        return shown
    size = str(len(source.content))
    done = {"done": True, "objectSize": size, "totalBytesRewritten": size, "resource": shown}
    return {"kind": "storage#rewriteResponse", **done}


@answers("storage.objects.compose")
def compose(call: Call) -> dict[str, Any]:
    """Make one object of several."""
    parts = call.body.get("sourceObjects", [])
    if not 1 <= len(parts) <= 32:
        raise RefusedError(400, "The number of source components must be from 1 to 32.")
    bucket, content = call.names["destinationBucket"], b""
    for one in parts:
        wanted = {"generation": str(one["generation"])} if "generation" in one else {}
        found = look(
            Call(call.cloud, call.method, {"bucket": bucket, "object": one.get("name", "")}, wanted)
        )
        check({k: str(v) for k, v in one.get("objectPreconditions", {}).items()}, found)
        content += found.content
    told = call.body.get("destination", {})
    return write(call, bucket, call.names["destinationObject"], content, told)
