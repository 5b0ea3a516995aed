"""What `strict_gcs` takes and gives: requests taken apart, objects shown as the JSON API does."""

from __future__ import annotations

import base64
import email.parser
import email.policy
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import google_crc32c

KNOWN = frozenset(
    {
        "alt", "delimiter", "endOffset", "fields", "generation", "ifGenerationMatch",
        "ifSourceGenerationMatch", "maxResults", "name", "pageToken", "prefix", "prettyPrint",
        "projection", "rewriteToken", "sourceGeneration", "startOffset", "upload_id", "uploadType",
    }
)  # fmt: skip
"""Parameters that mean something here."""


class RefusedError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True)
class Stored:
    """One object, of one generation."""

    name: str
    content: bytes
    told: dict[str, Any]
    """What was said of it when it was written: contentType, metadata."""
    generation: int
    updated: str


@dataclass(frozen=True)
class Answer:
    """What is answered."""

    status: int
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Any) -> Answer:
        """Answer with JSON."""
        headers = {"Content-Type": "application/json; charset=UTF-8"}
        return cls(200, json.dumps(value).encode(), headers)

    @classmethod
    def refusal(cls, status: int, message: str, plain: bool = False) -> Answer:
        """Answer with an error, as JSON or, for media, in plain text."""
        if plain:
            return cls(status, message.encode(), {"Content-Type": "text/html; charset=UTF-8"})
        reason = {"message": message, "domain": "global", "reason": "refused"}
        error = {"code": status, "message": message, "errors": [reason]}
        headers = {"Content-Type": "application/json; charset=UTF-8"}
        return cls(status, json.dumps({"error": error}).encode(), headers)


@dataclass(frozen=True)
class Asked:
    """One request, taken apart."""

    operation: str
    """bucket, list, look, media, insert, start, chunk, copy, compose or delete."""
    bucket: str
    name: str
    """Of the object that is read or written."""
    query: dict[str, str]
    headers: dict[str, str]
    """By names in lower case."""
    source: str = ""
    is_rewrite: bool = False
    is_cut: bool = False
    """The connection broke before the whole body was there."""

    def named(self, body: bytes) -> str:
        """Return the object's name, which may be in the body."""
        if self.operation == "insert" and self.query["uploadType"] == "multipart":
            return str(self.name or self.parts(body)[0]["name"])
        if self.operation == "start":
            return str(self.name or json.loads(body)["name"])
        return self.name

    def parts(self, body: bytes) -> tuple[dict[str, Any], bytes]:
        """Return what an insert says of the object, and its content."""
        told: dict[str, Any] = {}
        if self.query["uploadType"] == "multipart":
            told, body, kind = _multipart(self.headers["content-type"], body)
        else:
            kind = self.headers.get("content-type", "application/octet-stream")
        for pair in self.headers.get("x-goog-hash", "").split(","):
            key, _, value = pair.strip().partition("=")
            if key == "crc32c":
                told = {**told, "crc32c": value}
        return {"contentType": kind, **told}, body


def _multipart(kind: str, body: bytes) -> tuple[dict[str, Any], bytes, str]:
    found = re.search(r'boundary="?([^";]+)"?', kind)
    assert found, kind
    _, told, content, end = body.split(f"--{found[1]}".encode())
    assert end.strip() == b"--"
    parser = email.parser.BytesParser(policy=email.policy.HTTP)
    headers, _, content = content.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    content_type = parser.parsebytes(headers + b"\r\n\r\n").get("content-type", "")
    _, _, metadata = told.partition(b"\r\n\r\n")
    return json.loads(metadata), content.removesuffix(b"\r\n"), str(content_type)


def resource(bucket: str, stored: Stored) -> dict[str, Any]:
    """Return an object as the JSON API shows it."""
    return {
        "kind": "storage#object",
        "id": f"{bucket}/{stored.name}/{stored.generation}",
        "name": stored.name,
        "bucket": bucket,
        "generation": str(stored.generation),
        "metageneration": "1",
        "size": str(len(stored.content)),
        "crc32c": checksum(stored.content),
        "etag": base64.b64encode(str(stored.generation).encode()).decode(),
        "storageClass": "STANDARD",
        "timeCreated": stored.updated,
        "updated": stored.updated,
        **{key: stored.told[key] for key in ("contentType", "metadata") if key in stored.told},
    }


def only(value: dict[str, Any], fields: str | None) -> dict[str, Any]:
    """Return what ``fields`` asks for: ``items(name,size),nextPageToken``, or names."""
    if not fields:
        return value
    chosen: dict[str, Any] = {}
    for name, inner in re.findall(r"(\w+)(?:\(([^)]*)\))?", fields):
        if name not in value:
            continue
        wanted = set(inner.split(",")) if inner else None
        chosen[name] = (
            [{k: v for k, v in item.items() if k in wanted} for item in value[name]]
            if wanted
            else value[name]
        )
    return chosen


def shown_range(content: bytes, asked: str) -> tuple[bytes, int, dict[str, str]]:
    """Return the part of a content that a Range header asks for, its status, and its header."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", asked)
    if not found:
        return content, 200, {}
    first = int(found[1]) if found[1] else max(0, len(content) - int(found[2]))
    last = min(int(found[2]), len(content) - 1) if found[1] and found[2] else len(content) - 1
    if first >= len(content):
        raise RefusedError(416, "The requested range cannot be satisfied.")
    told = {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
    return content[first : last + 1], 206, told


def checksum(content: bytes) -> str:
    """Return the CRC-32C as Google writes it."""
    return base64.b64encode(google_crc32c.value(content).to_bytes(4, "big")).decode()


def timestamp() -> str:
    """Return now, as Google writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
