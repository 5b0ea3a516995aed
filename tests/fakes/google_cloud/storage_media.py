"""Cloud Storage: contents on their way in and out, by the JSON API and by the XML one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tests.fakes.google_cloud import objects, schema
from tests.fakes.google_cloud.answering import Call
from tests.fakes.google_cloud.operations import timestamp
from tests.fakes.google_cloud.refusals import RefusedError
from tests.fakes.strict_gcs_answers import Answer, checksum, shown_range

if TYPE_CHECKING:
    from tests.fakes.google_cloud.answering import Request
    from tests.fakes.google_cloud.cloud import GoogleCloud

UPLOAD = re.compile(r"(?:/resumable)?/upload/storage/v1/b/(?P<bucket>[^/]+)/o")
MEDIA = re.compile(r"(?:/download)?/storage/v1/b/(?P<bucket>[^/]+)/o/(?P<object>[^/]+)")
XML = re.compile(r"/(?P<bucket>[a-z0-9][a-z0-9_.-]+)/(?P<object>.+)")
INSERT = "storage.objects.insert"
QUANTUM_BYTES = 256 * 1024
OURS = frozenset(
    {
        "artifactregistry", "cloudbilling", "compute", "container", "crm", "dns", "download", "iam",
        "resumable", "serviceusage", "storage", "upload",
    }
)  # fmt: skip
"""What a path of the XML API does not begin with here."""


@dataclass
class Session:
    """An upload in several requests."""

    bucket: str
    name: str
    told: dict[str, Any]
    query: dict[str, str]
    content: bytearray = field(default_factory=bytearray)
    shown: dict[str, Any] | None = None


def answer(
    cloud: GoogleCloud, request: Request, headers: dict[str, str], raw: bytes
) -> Answer | None:
    """Answer a request about contents; nothing if it is about something else."""
    upload = UPLOAD.fullmatch(request.path)
    if upload:
        _admit(cloud, INSERT, request)
        with cloud.lock:
            return _upload(cloud, request, unquote(upload["bucket"]), headers, raw)
    if request.method not in ("GET", "HEAD"):
        return None
    media = MEDIA.fullmatch(request.path)
    if media and request.query.get("alt") == "media":
        _admit(cloud, "storage.objects.get", request)
        with cloud.lock:
            return _content(cloud, request, _names(media), headers)
    plain = XML.fullmatch(request.path)
    if plain and plain["bucket"] not in OURS:
        cloud.admit("storage.objects.get", {})
        with cloud.lock:
            return _content(cloud, request, _names(plain), headers)
    return None


def _admit(cloud: GoogleCloud, name: str, request: Request) -> None:
    """Refuse who may not, and what the method does not have."""
    method = schema.method(name)
    cloud.admit(name, {})
    method.check_query({key: request.query[key] for key in request.query if key != "upload_id"})


def _names(found: re.Match[str]) -> dict[str, str]:
    return {key: unquote(value) for key, value in found.groupdict().items()}


def _content(
    cloud: GoogleCloud, request: Request, names: dict[str, str], headers: dict[str, str]
) -> Answer:
    query = {key: value for key, value in request.query.items() if key != "alt"}
    found = objects.look(Call(cloud, "storage.objects.get", names, query))
    content, status, told = shown_range(found.content, headers.get("range", ""))
    shown = {
        "Content-Type": found.told.get("contentType") or "application/octet-stream",
        "ETag": f'"{found.generation}"',
        "Last-Modified": "Sun, 22 Nov 2026 00:00:00 GMT",
        "X-Goog-Generation": str(found.generation),
        "X-Goog-Metageneration": str(found.metageneration),
        "X-Goog-Hash": f"crc32c={checksum(found.content)}",
        "X-Goog-Stored-Content-Length": str(len(found.content)),
        "X-Goog-Stored-Content-Encoding": "identity",
        **told,
    }
    if request.method == "HEAD":
        shown["Content-Length"] = str(len(content))
    return Answer(status, content, shown)


def _upload(
    cloud: GoogleCloud, request: Request, bucket: str, headers: dict[str, str], raw: bytes
) -> Answer:
    query = request.query
    kind = query.get("uploadType", "")
    if "upload_id" in query:
        return _chunk(cloud, query["upload_id"], headers, raw)
    call = Call(cloud, INSERT, {"bucket": bucket}, query)
    if kind == "resumable":
        return _start(call, headers, raw)
    if kind not in ("media", "multipart"):
        raise RefusedError(400, f"Invalid upload type: {kind}")
    told, content = _parts(headers, raw, kind)
    name = str(query.get("name") or told.get("name", ""))
    return Answer.of(objects.write(call, bucket, name, content, told))


def _parts(headers: dict[str, str], raw: bytes, kind: str) -> tuple[dict[str, Any], bytes]:
    """What an upload says of an object, and its content."""
    told: dict[str, Any] = {"contentType": headers.get("content-type")}
    if kind == "multipart":
        found = re.search(r"boundary=[\"']?([^\"';]+)[\"']?", headers.get("content-type", ""))
        boundary = re.escape(found[1].encode() if found else b"")
        parts = re.split(rb"(?:^|\r?\n)--" + boundary + rb"(?:--)?(?:\r?\n|$)", raw)
        if len(parts) != 4:
            raise RefusedError(400, "Malformed multipart body.")
        (_, metadata), (inner, raw) = (_divided(part) for part in parts[1:3])
        told = {"contentType": inner, **json.loads(metadata)}
    for pair in headers.get("x-goog-hash", "").split(","):
        name, _, value = pair.strip().partition("=")
        told |= {"crc32c": value} if name == "crc32c" else {}
    return told, raw


def _divided(part: bytes) -> tuple[str, bytes]:
    """The type of one part of several, and what is in it."""
    head, _, content = re.split(rb"(\r?\n\r?\n)", part, maxsplit=1)
    found = re.search(rb"(?i)content-type: *([^\r\n]+)", head)
    return (found[1].decode() if found else "application/octet-stream"), content


def _start(call: Call, headers: dict[str, str], raw: bytes) -> Answer:
    told = json.loads(raw or b"{}")
    bucket, name = call.names["bucket"], str(call.query.get("name") or told.get("name", ""))
    kind = headers.get("x-upload-content-type")
    told = {"contentType": kind, **told} if kind else told
    objects.buckets.look(call)
    objects.check(call.query, call.cloud.objects.find(bucket, name))
    sessions = call.cloud.sessions
    key = f"session-{len(sessions)}"
    sessions[key] = Session(bucket, name, told, call.query)
    where = f"{call.cloud.url}/upload/storage/v1/b/{bucket}/o"
    link = f"{where}?uploadType=resumable&upload_id={key}"
    return Answer(200, b"", {"Location": link, "X-GUploader-UploadID": key, "Date": timestamp()})


def _chunk(cloud: GoogleCloud, key: str, headers: dict[str, str], raw: bytes) -> Answer:
    session = cloud.sessions.get(key)
    if session is None:
        raise RefusedError(404, "The upload session is gone.")
    sent, _, total = headers.get("content-range", "").removeprefix("bytes ").partition("/")
    if session.shown is None and not sent:
        sent, total = f"0-{len(raw)}", str(len(raw))
    if session.shown is None and sent != "*":
        first = int(sent.partition("-")[0])
        if first > len(session.content):
            raise RefusedError(400, "The offset exceeds what is uploaded already.")
        if (total == "*" or first + len(raw) != int(total)) and len(raw) % QUANTUM_BYTES:
            raise RefusedError(400, "A chunk must be a multiple of 256 KiB.")
        session.content += raw[len(session.content) - first :]
    if session.shown is None and total not in ("*", "") and len(session.content) == int(total):
        call = Call(cloud, INSERT, {"bucket": session.bucket}, session.query)
        content = bytes(session.content)
        session.shown = objects.write(call, session.bucket, session.name, content, session.told)
    if session.shown is not None:
        return Answer.of(session.shown)
    kept = len(session.content)
    return Answer(308, b"", {"Range": f"bytes=0-{kept - 1}"} if kept else {})
