"""Cloud Storage: contents on their way in and out, by the JSON API and by the XML one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tests.fakes.google_cloud import objects
from tests.fakes.google_cloud.answering import Call
from tests.fakes.google_cloud.operations import timestamp
from tests.fakes.google_cloud.refusals import RefusedError, api_disabled
from tests.fakes.strict_gcs_answers import Answer, Asked, checksum, shown_range

if TYPE_CHECKING:
    from tests.fakes.google_cloud.answering import Request
    from tests.fakes.google_cloud.cloud import GoogleCloud

UPLOAD = re.compile(r"(?:/resumable)?/upload/storage/v1/b/(?P<bucket>[^/]+)/o")
MEDIA = re.compile(r"(?:/download)?/storage/v1/b/(?P<bucket>[^/]+)/o/(?P<object>[^/]+)")
XML = re.compile(r"/(?P<bucket>[a-z0-9][a-z0-9_.-]+)/(?P<object>.+)")
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
        _admit(cloud)
        with cloud.lock:
            return _upload(cloud, request, unquote(upload["bucket"]), headers, raw)
    if request.method not in ("GET", "HEAD"):
        return None
    media = MEDIA.fullmatch(request.path)
    if media and request.query.get("alt") == "media":
        _admit(cloud)
        with cloud.lock:
            return _content(cloud, request, _names(media), headers)
    plain = XML.fullmatch(request.path)
    if plain and plain["bucket"] not in OURS:
        with cloud.lock:
            return _content(cloud, request, _names(plain), headers)
    return None


def _admit(cloud: GoogleCloud) -> None:
    if "storage.googleapis.com" not in cloud.services:
        raise api_disabled("storage.googleapis.com", cloud.number)


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
    asked = Asked("insert", bucket, query.get("name", ""), query, headers)
    call = Call(cloud, "storage.objects.insert", {"bucket": bucket}, query)
    if kind == "resumable":
        return _start(call, asked, raw)
    if kind not in ("media", "multipart"):
        raise RefusedError(400, f"Invalid upload type: {kind}")
    told, content = asked.parts(raw)
    name = str(asked.name or told.get("name", ""))
    return Answer.of(objects.write(call, bucket, name, content, told))


def _start(call: Call, asked: Asked, raw: bytes) -> Answer:
    told = json.loads(raw or b"{}")
    name = str(asked.name or told.get("name", ""))
    kind = asked.headers.get("x-upload-content-type")
    told = {"contentType": kind, **told} if kind else told
    objects.buckets.look(call)
    objects.check(call.query, call.cloud.objects.find(asked.bucket, name))
    sessions = call.cloud.sessions
    key = f"session-{len(sessions)}"
    sessions[key] = Session(asked.bucket, name, told, call.query)
    where = f"{call.cloud.url}/upload/storage/v1/b/{asked.bucket}/o"
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
        call = Call(cloud, "storage.objects.insert", {"bucket": session.bucket}, session.query)
        content = bytes(session.content)
        session.shown = objects.write(call, session.bucket, session.name, content, session.told)
    if session.shown is not None:
        return Answer.of(session.shown)
    kept = len(session.content)
    return Answer(308, b"", {"Range": f"bytes=0-{kept - 1}"} if kept else {})
